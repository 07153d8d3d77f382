//! One operation of the document, put together: what all of a kind have in common is said here once.

use serde_json::{Value, json};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponsesBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};
use utoipa::{IntoParams, ToSchema};

use super::{refusals, schemas};
use crate::http::code::Code;

pub(super) const JSON: &str = "application/json";

/// Who may ask, and with which of the credentials that the document names.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Anyone,
    /// Anyone, who is told more with a good token.
    AnyoneAndMore,
    Publisher,
    Admin,
    /// An admin, whose credential may be in the URL too; those named are besides header and cookie.
    Streams(&'static [&'static str]),
    /// Whoever reads `/metrics`.
    Monitoring,
}

/// An operation with the schemas that it refers to.
pub(super) struct Described {
    pub path: String,
    pub method: HttpMethod,
    pub operation: Operation,
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

/// An operation in the making.
pub(super) struct Draft {
    path: String,
    method: HttpMethod,
    operation: OperationBuilder,
    responses: ResponsesBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
    codes: Vec<Code>,
}

impl Draft {
    pub fn get(path: impl Into<String>, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path.into(), id, summary)
    }

    pub fn post(path: impl Into<String>, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, path.into(), id, summary)
    }

    pub fn new(method: HttpMethod, path: String, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id));
        Self {
            path,
            method,
            operation: operation.summary(Some(summary)),
            responses: ResponsesBuilder::new(),
            schemas: Vec::new(),
            // A handler may panic, whichever it is.
            codes: vec![Code::Internal],
        }
    }

    pub fn says(mut self, description: impl Into<String>) -> Self {
        self.operation = self.operation.description(Some(description));
        self
    }

    pub fn by(mut self, who: Who) -> Self {
        let of = |name: &&str| SecurityRequirement::new::<_, [&str; 0], &str>(*name, []);
        let nobody = SecurityRequirement::default();
        let admin = ["bearer", "cookie"];
        let ways: Vec<_> = match who {
            Who::Anyone => vec![nobody],
            Who::AnyoneAndMore => admin.iter().map(of).chain([nobody]).collect(),
            Who::Publisher | Who::Admin => admin.iter().map(of).collect(),
            Who::Streams(more) => admin.iter().chain(more).map(of).collect(),
            Who::Monitoring => vec![of(&"prometheus"), nobody],
        };
        self.operation = self.operation.securities(Some(ways));
        match who {
            Who::Anyone | Who::AnyoneAndMore => self,
            Who::Monitoring => self.refuses(&[Code::Unauthenticated, Code::Forbidden]),
            Who::Publisher | Who::Admin | Who::Streams(_) => self.refuses(&[
                Code::Unauthenticated,
                Code::Forbidden,
                Code::RateLimited,
                Code::Unavailable,
            ]),
        }
    }

    /// The fields of `T` as parameters of the query.
    pub fn query<T: IntoParams>(mut self) -> Self {
        let parameters =
            T::into_params(|| Some(ParameterIn::Query))
                .into_iter()
                .map(|mut parameter| {
                    // A schema of ours says what it is of; then the derived parameter does not.
                    if let (None, Some(RefOr::T(Schema::Object(of)))) =
                        (&parameter.description, &mut parameter.schema)
                    {
                        parameter.description = of.description.take();
                    }
                    parameter
                });
        self.operation = self.operation.parameters(Some(parameters));
        self.refuses(&[Code::InvalidRequest])
    }

    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.operation = self.operation.parameter(parameter);
        self
    }

    pub fn body<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = self.reference::<T>();
        self.body_of(schema, Required::True, example)
    }

    pub fn optional_body<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = self.reference::<T>();
        self.body_of(schema, Required::False, example)
    }

    /// A body that is no JSON.
    pub fn text_body(self, schema: Object, example: &str) -> Self {
        let schema = RefOr::T(Schema::Object(schema));
        self.bodies_of([("text/plain", schema, example.into())], Required::True)
    }

    pub fn body_of(self, schema: RefOr<Schema>, required: Required, example: Value) -> Self {
        self.bodies_of([(JSON, schema, example)], required)
    }

    /// A body of one of these media types.
    pub fn bodies_of(
        mut self,
        bodies: impl IntoIterator<Item = (&'static str, RefOr<Schema>, Value)>,
        required: Required,
    ) -> Self {
        let mut body = RequestBodyBuilder::new();
        for (media_type, schema, example) in bodies {
            let content = ContentBuilder::new()
                .schema(Some(schema))
                .example(Some(example));
            body = body.content(media_type, content.build());
        }
        let body = body.required(Some(required)).build();
        self.operation = self.operation.request_body(Some(body));
        self.refuses(&[
            Code::InvalidRequest,
            Code::RequestTimeout,
            Code::PayloadTooLarge,
            Code::UnsupportedMediaType,
        ])
    }

    /// An answer in the envelope, with `T` as its data.
    pub fn gives<T: ToSchema>(mut self, status: u16, description: &str, example: Value) -> Self {
        let data = self.reference::<T>();
        self.gives_of(data, status, description, example)
    }

    /// Likewise, with `T` or `U`.
    pub fn gives_one_of<T: ToSchema, U: ToSchema>(
        mut self,
        status: u16,
        description: &str,
        example: Value,
    ) -> Self {
        let either = OneOfBuilder::new().item(self.reference::<T>());
        let either = either.item(self.reference::<U>());
        self.gives_of(either.into(), status, description, example)
    }

    fn gives_of(self, data: RefOr<Schema>, status: u16, description: &str, example: Value) -> Self {
        let schema = ObjectBuilder::new()
            .property("success", schemas::yes())
            .property("data", data)
            .required("success")
            .required("data");
        let example = json!({"success": true, "data": example});
        let content = ContentBuilder::new().schema(Some(schema));
        let content = content.example(Some(example)).build();
        let response = ResponseBuilder::new().description(description);
        self.answer(status, response.content(JSON, content))
    }

    /// An answer that is no envelope.
    pub fn gives_plain(self, status: u16, description: &str, kinds: &[(&str, Object)]) -> Self {
        let mut response = ResponseBuilder::new().description(description);
        for (kind, schema) in kinds {
            let content = ContentBuilder::new().schema(Some(schema.clone()));
            response = response.content(*kind, content.build());
        }
        self.answer(status, response)
    }

    pub fn answer(mut self, status: u16, response: ResponseBuilder) -> Self {
        let response: Response = refusals::with_request_id(response).build();
        self.responses = self.responses.response(status.to_string(), response);
        self
    }

    pub fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Refers to the schema of `T`, and takes it along.
    pub fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        let name = T::name().into_owned();
        self.schemas.push((name.clone(), T::schema()));
        Ref::from_schema_name(name).into()
    }

    pub fn done(self, tag: &str) -> Described {
        let mut responses = self.responses;
        let mut codes: Vec<Code> = Code::ALL
            .into_iter()
            .filter(|code| self.codes.contains(code))
            .collect();
        while let Some(first) = codes.first().copied() {
            let status = first.status();
            let (of_status, others) = codes
                .into_iter()
                .partition::<Vec<_>, _>(|code| code.status() == status);
            responses = responses.response(status.as_str(), refusals::answer(&of_status));
            codes = others;
        }
        Described {
            path: self.path,
            method: self.method,
            operation: self.operation.tag(tag).responses(responses.build()).build(),
            schemas: self.schemas,
        }
    }
}

pub(super) fn in_query(name: &str, description: &str, schema: Object) -> Parameter {
    parameter(ParameterIn::Query, name, description, schema)
}

pub(super) fn in_header(name: &str, description: &str, schema: Object) -> Parameter {
    parameter(ParameterIn::Header, name, description, schema)
}

pub(super) fn in_path(name: &str, description: &str, schema: Object) -> Parameter {
    let mut parameter = parameter(ParameterIn::Path, name, description, schema);
    parameter.required = Required::True;
    parameter
}

fn parameter(place: ParameterIn, name: &str, description: &str, schema: Object) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}
