//! Values held to the schemas of a document, more strictly than the document says.

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// A schema of `document`, in which what is not named is not admitted: clients are to ignore fields that
/// they do not know, and a test is to find those that nobody has written down.
pub fn validator(document: &Value, draft: Draft, schema: &Value) -> Validator {
    let mut root = Map::new();
    root.insert("allOf".into(), json!([schema]));
    root.insert("components".into(), document["components"].clone());
    let mut root = Value::Object(root);
    close(&mut root, false);
    let options = jsonschema::options().with_draft(draft);
    let validator = options.should_validate_formats(true).build(&root);
    validator.unwrap_or_else(|error| panic!("{error} in {schema:#}"))
}

/// Panics with all that is wrong with `value`.
pub fn hold(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?} in {value:#}");
}

/// `is_part`: what is one of several that hold together cannot speak for the others' fields.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|one| close(one, is_part)),
        Value::Object(fields) => {
            let is_object = fields.get("properties").is_some_and(Value::is_object);
            if is_object && !is_part && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".into(), json!(false));
            }
            for (name, value) in fields {
                // An example is no schema.
                if !matches!(&**name, "example" | "examples" | "enum" | "const") {
                    close(
                        value,
                        name == "allOf" && value.as_array().is_some_and(|all| all.len() > 1),
                    );
                }
            }
        }
        _ => {}
    }
}
