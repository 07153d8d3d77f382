//! A body in gzip, unpacked as it comes.

use std::io::Write;

use flate2::write::GzDecoder;

use super::framing::Malformed;

/// Takes some 80 KB, unlike everything else that there is one of for each connection.
#[derive(Debug)]
pub struct Unpacked(GzDecoder<Vec<u8>>);

impl Default for Unpacked {
    fn default() -> Self {
        Self(GzDecoder::new(Vec::new()))
    }
}

impl Unpacked {
    /// What `bytes` say, as far as that can be said before more comes.
    ///
    /// # Errors
    /// Not gzip.
    pub fn take(&mut self, bytes: &[u8]) -> Result<&[u8], Malformed> {
        let Self(decoder) = self;
        decoder.get_mut().clear();
        let unpacked = decoder.write_all(bytes).and_then(|()| decoder.flush());
        unpacked.map_err(|_| Malformed("something that is no gzip"))?;
        Ok(decoder.get_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    #[test]
    fn what_has_come_is_there_wherever_it_is_cut() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"hello hello hello").unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        for cut in 0..flushed.len() {
            let mut unpacked = Unpacked::default();
            let mut text = unpacked.take(&flushed[..cut]).unwrap().to_vec();
            text.extend_from_slice(unpacked.take(&flushed[cut..]).unwrap());
            assert_eq!(text, b"hello hello hello", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        assert!(Unpacked::default().take(b"data: hello\n\n").is_err());
    }
}
