//! InfluxDB's line protocol, as Telegraf and clients of InfluxDB send it.
//!
//! Of own making: the crate for it, taken out of InfluxDB, has not been released since 2023.

use std::iter;

/// One point: a line, unless a text in it has line breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// On which it begins, counted from 1.
    pub line: usize,
    pub measurement: String,
    /// In the order of their names, each once.
    pub tags: Vec<(String, String)>,
    /// At least one, in the order of the text.
    pub fields: Vec<(String, Field)>,
    /// Since the Unix epoch, in whatever unit was agreed upon.
    pub timestamp: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Finite.
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(String),
}

/// Why a text is none, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    pub problem: &'static str,
}

/// The points of a text, in its order. After an error there is nothing more.
///
/// # Errors
/// What is neither a point, nor a comment, nor an empty line.
pub fn points(text: &str) -> impl Iterator<Item = Result<Point, Malformed>> {
    let mut cursor = Cursor {
        text,
        at: 0,
        line: 1,
        line_begins: 0,
    };
    let mut has_failed = false;
    iter::from_fn(move || {
        if has_failed || !cursor.finds_point() {
            return None;
        }
        let point = cursor.point();
        has_failed = point.is_err();
        Some(point)
    })
}

struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    line: usize,
    line_begins: usize,
}

type Parsed<T> = Result<T, Malformed>;

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.line += 1;
            self.line_begins = self.at;
        }
        Some(next)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    fn skip(&mut self, fits: fn(char) -> bool) {
        while self.peek().is_some_and(fits) {
            self.next();
        }
    }

    fn fails<T>(&self, problem: &'static str) -> Parsed<T> {
        self.fails_at(self.at, problem)
    }

    /// `at` is on the line that the cursor is on.
    fn fails_at<T>(&self, at: usize, problem: &'static str) -> Parsed<T> {
        Err(Malformed {
            line: self.line,
            column: self.text[self.line_begins..at].chars().count() + 1,
            problem,
        })
    }

    /// Goes over comments and empty lines to the next point.
    fn finds_point(&mut self) -> bool {
        loop {
            self.skip(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            match self.peek() {
                None => return false,
                Some('#') => self.skip(|c| c != '\n'),
                Some(_) => return true,
            }
        }
    }

    fn point(&mut self) -> Parsed<Point> {
        let line = self.line;
        let measurement = self.name(", ", ", ");
        if measurement.is_empty() {
            return self.fails("a measurement is wanted");
        }
        let tags = self.tags()?;
        if !self.takes(' ') {
            return self.fails("a space and fields are wanted");
        }
        self.skip(|c| c == ' ');
        let fields = self.fields()?;
        self.skip(|c| c == ' ');
        let timestamp = self.timestamp()?;
        self.skip(|c| matches!(c, ' ' | '\r'));
        if self.peek().is_some_and(|c| c != '\n') {
            return self.fails("the line goes on behind the timestamp");
        }
        Ok(Point {
            line,
            measurement,
            tags,
            fields,
            timestamp,
        })
    }

    /// Up to one of `stops` or the end of the line. A backslash takes the meaning of what is in `escaped`, and
    /// stands for itself before everything else.
    fn name(&mut self, stops: &str, escaped: &str) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if stops.contains(c) || matches!(c, '\n' | '\r') {
                break;
            }
            self.next();
            let is_escape = c == '\\' && self.peek().is_some_and(|c| escaped.contains(c));
            name.push(match is_escape {
                true => self.next().unwrap_or(c),
                false => c,
            });
        }
        name
    }

    fn tags(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut tags = Vec::new();
        while self.takes(',') {
            let key = self.name("=, ", "=, ");
            if key.is_empty() {
                return self.fails("a tag's name is wanted");
            }
            if !self.takes('=') {
                return self.fails("a tag's name is followed by =");
            }
            let value = self.name("=, ", "=, ");
            if value.is_empty() {
                return self.fails("a tag has a value");
            }
            if self.peek() == Some('=') {
                return self.fails("= in a tag is written \\=");
            }
            tags.push((key, value));
        }
        tags.sort();
        match tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            true => self.fails("a tag is there twice"),
            false => Ok(tags),
        }
    }

    fn fields(&mut self) -> Parsed<Vec<(String, Field)>> {
        let mut fields = Vec::new();
        loop {
            let key = self.name("=, ", "=, ");
            if key.is_empty() {
                return self.fails("a field's name is wanted");
            }
            if !self.takes('=') {
                return self.fails("a field's name is followed by =");
            }
            fields.push((key, self.field()?));
            if !self.takes(',') {
                break;
            }
        }
        match self.peek() {
            None | Some(' ' | '\r' | '\n') => Ok(fields),
            Some(_) => {
                self.fails("a comma, a space or the end of the line is wanted behind a field")
            }
        }
    }

    fn field(&mut self) -> Parsed<Field> {
        if self.takes('"') {
            return self.text().map(Field::Text);
        }
        let begins = self.at;
        self.skip(|c| !matches!(c, ',' | ' ' | '\r' | '\n'));
        let field = field(&self.text[begins..self.at]);
        field.or_else(|problem| self.fails_at(begins, problem))
    }

    /// Up to the quotation mark that ends it. Line breaks are part of it.
    fn text(&mut self) -> Parsed<String> {
        let mut text = String::new();
        loop {
            let is_escaped = |c: Option<char>| matches!(c, Some('"' | '\\'));
            match self.next() {
                None => return self.fails("a text has no end"),
                Some('"') => return Ok(text),
                Some('\\') if is_escaped(self.peek()) => text.extend(self.next()),
                Some(c) => text.push(c),
            }
        }
    }

    fn timestamp(&mut self) -> Parsed<Option<i64>> {
        let begins = self.at;
        self.skip(|c| !matches!(c, ' ' | '\r' | '\n'));
        let digits = &self.text[begins..self.at];
        match digits.parse() {
            _ if digits.is_empty() => Ok(None),
            Ok(timestamp) if !digits.starts_with('+') => Ok(Some(timestamp)),
            _ => self.fails_at(begins, "the timestamp is no whole number of 64 bits"),
        }
    }
}

fn field(text: &str) -> Result<Field, &'static str> {
    let number = |digits: &str| {
        digits
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
    };
    match text {
        "" => return Err("a field has a value"),
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(Field::Boolean(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(Field::Boolean(false)),
        _ => {}
    }
    if let Some(digits) = text.strip_suffix('i') {
        let parsed = digits.parse().map(Field::Integer);
        return parsed.map_err(|_| "this is no whole number of 64 bits");
    }
    if let Some(digits) = text.strip_suffix('u') {
        let parsed = digits.parse().map(Field::Unsigned);
        return parsed.map_err(|_| "this is no whole number from 0 of 64 bits");
    }
    match text.parse::<f64>() {
        Ok(float) if number(text) && float.is_finite() => Ok(Field::Float(float)),
        Ok(_) if number(text) => Err("this number is too large for a double"),
        _ => Err("a field is a number, true or false, or a text in quotation marks"),
    }
}

#[cfg(test)]
#[path = "tests/line_protocol.rs"]
mod tests;
