//! Lines of CSV as RFC 4180 has them.

/// Begins a cell that a spreadsheet would take for a formula.
const FORMULA_STARTS: [char; 4] = ['=', '+', '-', '@'];

pub const HEADER: &str = "messageId,timestamp,metric,priority,userId,value\r\n";

/// A cell of text. One that a spreadsheet would carry out gets a `'` before it, which shows that it is
/// text: a name or a user's id is anybody's.
pub fn text(line: &mut String, cell: &str) {
    match cell.starts_with(FORMULA_STARTS) {
        true => quoted(line, &format!("'{cell}")),
        false => quoted(line, cell),
    }
}

/// A cell of JSON, as it is. It begins with a letter of `true`, `false` or `null`, a digit, a bracket or
/// a quotation mark; or with `-`, but then it is a number and nothing else: no formula has room in it.
pub fn json(line: &mut String, cell: &str) {
    quoted(line, cell);
}

fn quoted(line: &mut String, cell: &str) {
    if !cell.contains(['"', ',', '\r', '\n']) {
        line.push_str(cell);
        return;
    }
    line.push('"');
    for (index, part) in cell.split('"').enumerate() {
        if index > 0 {
            line.push_str("\"\"");
        }
        line.push_str(part);
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("\"\"", "\"\"\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-a", "'-a"),
            ("@x,y", "\"'@x,y\""),
        ] {
            let mut line = String::new();
            text(&mut line, cell);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn json_stays_as_it_is() {
        for (cell, expected) in [
            ("-5", "-5"),
            ("{\"a\":1}", "\"{\"\"a\"\":1}\""),
            ("\"=1+1\"", "\"\"\"=1+1\"\"\""),
            ("[1,2]", "\"[1,2]\""),
        ] {
            let mut line = String::new();
            json(&mut line, cell);
            assert_eq!(line, expected);
        }
    }
}
