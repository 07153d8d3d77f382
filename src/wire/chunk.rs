//! The chunks of a body of unknown length (RFC 9112, section 7.1).

use bytes::Bytes;

/// The end of a body.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// What follows the content of each chunk.
pub const END: &[u8] = b"\r\n";

/// `content` as one chunk; nothing where there is none, because an empty chunk is the last.
pub fn of(content: &[u8]) -> Bytes {
    if content.is_empty() {
        return Bytes::new();
    }
    let size_line = format!("{:x}\r\n", content.len());
    [size_line.as_bytes(), content, END].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_size_is_in_front_in_hexadecimal() {
        assert_eq!(of(b"hello"), "5\r\nhello\r\n");
        assert!(of(&[b'x'; 0x1a2]).starts_with(b"1a2\r\nxx"));
    }

    #[test]
    fn an_empty_one_would_end_the_body() {
        assert_eq!(of(b""), "");
    }
}
