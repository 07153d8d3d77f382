//! The head of an HTTP/1.1 answer, as much of it as a load generator needs, and whole answers.

use super::chunked::{Chunked, Part};
use super::framing::Malformed;

/// Longest head taken, in bytes; others have 8 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    pub status: u16,
    pub body: Body,
    /// Whether the server ends the connection after this answer.
    pub closes: bool,
    /// Length of the head in bytes, with the empty line behind it.
    pub bytes: usize,
}

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Body {
    Length(usize),
    Chunked,
    ToTheEnd,
}

impl Head {
    /// Reads the head at the start of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// That is no HTTP answer.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return match bytes.len() {
                0..HEAD_BYTES_MAX if b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]) => {
                    Ok(None)
                }
                _ => Err(Malformed("something that is no HTTP/1 answer")),
            };
        };
        let head = &bytes[..end + 2];
        let status = std::str::from_utf8(head.get(9..12).unwrap_or_default());
        let status = status.ok().and_then(|digits| digits.parse().ok());
        let status = status.ok_or(Malformed("an answer without a status"))?;
        let connection = header(head, "connection").unwrap_or_default();
        Ok(Some(Self {
            status,
            body: body(status, head)?,
            closes: connection.eq_ignore_ascii_case("close"),
            bytes: end + 4,
        }))
    }
}

fn body(status: u16, head: &[u8]) -> Result<Body, Malformed> {
    let chunked = |value: &str| value.to_ascii_lowercase().ends_with("chunked");
    if matches!(status, 101 | 204 | 304) {
        return Ok(Body::Length(0));
    }
    if header(head, "transfer-encoding").is_some_and(chunked) {
        return Ok(Body::Chunked);
    }
    match header(head, "content-length") {
        None => Ok(Body::ToTheEnd),
        Some(length) => {
            let length = length.parse();
            length
                .map(Body::Length)
                .map_err(|_| Malformed("a length that is none"))
        }
    }
}

/// The value of a header in `head`; the first where there are several.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let value = |line: &'a [u8]| {
        let (found, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    };
    lines
        .map_while(|line| (line != b"\r").then_some(line))
        .find_map(value)
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the answer in `bytes`; `None` while it is incomplete. `ended` says that no more comes,
    /// which completes a body that goes up to the end.
    ///
    /// # Errors
    /// That is no HTTP answer.
    pub fn read(bytes: &[u8], ended: bool) -> Result<Option<Self>, Malformed> {
        let Some(head) = Head::read(bytes)? else {
            return Ok(None);
        };
        let rest = &bytes[head.bytes..];
        let body = match head.body {
            Body::Length(length) => rest.get(..length).map(<[u8]>::to_vec),
            Body::ToTheEnd => ended.then(|| rest.to_vec()),
            Body::Chunked => unchunked(rest)?,
        };
        // What a refusal says is worth showing, even half of it.
        let body = body.or_else(|| ended.then(|| rest.to_vec()));
        Ok(body.map(|body| Self { head, body }))
    }

    /// What it says of itself, for people: the error of an answer of the hub's, else its beginning.
    pub fn words(&self) -> String {
        let json: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let error = json.as_ref().and_then(|json| json["error"].as_str());
        let text = String::from_utf8_lossy(&self.body);
        let words: String = error.unwrap_or(text.trim()).chars().take(200).collect();
        format!("{} {}", self.head.status, words.escape_debug())
    }
}

fn unchunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let (mut body, mut decoder) = (Vec::new(), Chunked::default());
    while let Some(part) = decoder.next(&mut rest)? {
        match part {
            Part::Data(data) => body.extend_from_slice(data),
            Part::End => return Ok(Some(body)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                     TRANSFER-ENCODING: chunked\r\nX-Reconnect-Token:  abc \r\n\r\n3\r\n";
        let whole = text.len() - 3;
        for length in 0..whole {
            assert_eq!(Head::read(&text[..length]), Ok(None), "{length}");
        }
        let head = Head::read(text).unwrap().unwrap();
        assert_eq!(
            (head.status, head.body, head.bytes),
            (200, Body::Chunked, whole)
        );
        assert!(!head.closes);
        assert_eq!(header(text, "x-reconnect-token"), Some("abc"));
        assert_eq!(header(text, "x-other"), None);
    }

    #[test]
    fn an_answer_is_read_once_its_body_is_whole() {
        let check = |text: &str, body: &str| {
            for length in 0..text.len() {
                let some = Answer::read(&text.as_bytes()[..length], false);
                assert_eq!(some, Ok(None), "{:?}", &text[..length]);
            }
            let answer = Answer::read(text.as_bytes(), false).unwrap().unwrap();
            assert_eq!(answer.body, body.as_bytes(), "{text:?}");
        };
        check("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", "{}");
        check("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "");
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
            "ab",
        );
        let open = b"HTTP/1.1 200 OK\r\n\r\nab";
        assert_eq!(Answer::read(open, false), Ok(None));
        assert_eq!(Answer::read(open, true).unwrap().unwrap().body, b"ab");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "SSH-2.0-x",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200\r\ncontent-length: x\r\n\r\n",
        ] {
            assert!(Answer::read(text.as_bytes(), false).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let answer = |body: &str| {
            let text = format!(
                "HTTP/1.1 429 X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            Answer::read(text.as_bytes(), false)
                .unwrap()
                .unwrap()
                .words()
        };
        assert_eq!(
            answer(r#"{"success":false,"error":"Too many"}"#),
            "429 Too many"
        );
        assert_eq!(answer("<b>no\u{1b}[0m"), "429 <b>no\\u{1b}[0m");
    }
}
