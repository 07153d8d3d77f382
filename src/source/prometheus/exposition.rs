//! The text that servers show to Prometheus, in its format 0.0.4 or as OpenMetrics.
//!
//! Of own making: the crate that may be had under our licences has not been released since 2023.

use std::borrow::Cow;

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    pub name: &'a str,
    /// In the order of the text.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    pub value: f64,
}

/// Why a text is none, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    pub problem: &'static str,
}

/// The samples of a text, in its order. Timestamps, exemplars and what is said about types are passed over.
///
/// # Errors
/// A line that is neither a sample nor a comment.
pub fn samples(text: &str) -> impl Iterator<Item = Result<Sample<'_>, Malformed>> {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        Some(sample(line).map_err(|problem| Malformed {
            line: index + 1,
            problem,
        }))
    })
}

fn sample(line: &str) -> Result<Sample<'_>, &'static str> {
    let (name, rest) = name(line, |b| is_label(b) || b == b':').ok_or("a name is wanted")?;
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        None => return Err("labels or a value are wanted behind the name"),
    };
    // What else may be there is a timestamp, and in OpenMetrics an exemplar behind a #.
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("the value is missing")?;
    let value = value.parse().map_err(|_| "the value is no number")?;
    match (words.next(), words.next()) {
        (None, _) | (Some("#"), _) => {}
        (Some(time), None | Some("#")) if time.parse::<f64>().is_ok() => {}
        _ => return Err("only a timestamp may follow the value"),
    }
    Ok(Sample {
        name,
        labels,
        value,
    })
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn name(text: &str, fits: fn(u8) -> bool) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !fits(byte));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let good = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    good.then_some((name, rest))
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// What stands behind the brace, and the rest behind the other one.
fn labels(mut rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (label, value) = name(rest, is_label).ok_or("a label is wanted")?;
        let value = value.trim_start().strip_prefix('=');
        let value = value
            .map(str::trim_start)
            .and_then(|it| it.strip_prefix('"'));
        let (value, behind) = quoted(value.ok_or("a label is followed by =\"")?)?;
        labels.push((label, value));
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return Err("a comma or a brace is wanted behind a label"),
        }
    }
}

/// Up to the quotation mark that ends it, with `\\`, `\"` and `\n` for what they stand for.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    const UNENDED: &str = "a label's value has no end";
    let end = text.find(['"', '\\']).ok_or(UNENDED)?;
    if text[end..].starts_with('"') {
        return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_owned();
    let mut rest = text[end..].chars();
    loop {
        match rest.next().ok_or(UNENDED)? {
            '"' => return Ok((Cow::Owned(value), rest.as_str())),
            '\\' => match rest.next().ok_or(UNENDED)? {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                // As Prometheus has it.
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Sample<'_>>, Malformed> {
        samples(text).collect()
    }

    #[test]
    fn both_formats_are_read() {
        let text = "# HELP http_requests_total The \"total\".\n# TYPE http_requests_total counter\n\
            http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
            http_requests_total{ method = \"post\" , code=\"400\", }\t3\n\n\
            msdos{path=\"C:\\\\DIR\\\\F.TXT\",error=\"Cannot\\nfind \\\"F\\\" }\"} 1.458255915e9\r\n\
            plain 12.47\nweird{problem=\"by zero\"} +Inf -3982045\n up{} NaN\n\
            a:b_bucket{le=\"+Inf\"} 17 # {trace_id=\"K}\"} 0.67 1520879607.7\n\
            c_total 2 1520879607.789 # {} 1\n# EOF\n";
        let read = read(text).unwrap();
        let labels = |index: usize| {
            let labels: &Vec<(&str, Cow<'_, str>)> = &read[index].labels;
            labels.iter().map(|(name, value)| format!("{name}={value}"))
        };
        let names: Vec<_> = read.iter().map(|sample| sample.name).collect();
        assert_eq!(
            names,
            [
                "http_requests_total",
                "http_requests_total",
                "msdos",
                "plain",
                "weird",
                "up",
                "a:b_bucket",
                "c_total"
            ]
        );
        assert_eq!(labels(0).collect::<Vec<_>>(), ["method=post", "code=200"]);
        assert_eq!(labels(1).collect::<Vec<_>>(), ["method=post", "code=400"]);
        let escaped = ["path=C:\\DIR\\F.TXT", "error=Cannot\nfind \"F\" }"];
        assert_eq!(labels(2).collect::<Vec<_>>(), escaped);
        let values: Vec<_> = read.iter().map(|sample| sample.value).collect();
        assert_eq!(values[..4], [1027.0, 3.0, 1_458_255_915.0, 12.47]);
        assert!(values[4].is_infinite() && values[5].is_nan());
        assert_eq!(values[6..], [17.0, 2.0]);
    }

    #[test]
    fn a_line_that_is_no_sample_is_named() {
        for (line, problem) in [
            ("<html>", "a name is wanted"),
            ("1a 1", "a name is wanted"),
            ("a", "labels or a value are wanted behind the name"),
            ("a-b 1", "labels or a value are wanted behind the name"),
            ("a{} ", "the value is missing"),
            ("a one", "the value is no number"),
            ("a 1 2 3", "only a timestamp may follow the value"),
            ("a 1 soon", "only a timestamp may follow the value"),
            ("a{b} 1", "a label is followed by =\""),
            ("a{b=c} 1", "a label is followed by =\""),
            ("a{b=\"c} 1", "a label's value has no end"),
            ("a{b=\"\\", "a label's value has no end"),
            (
                "a{b=\"c\" d=\"e\"} 1",
                "a comma or a brace is wanted behind a label",
            ),
            ("a{\"b\"=\"c\"} 1", "a label is wanted"),
        ] {
            let text = format!("# all is well\nb 1\n{line}\n");
            assert_eq!(read(&text), Err(Malformed { line: 3, problem }), "{line}");
        }
    }
}
