//! `[tls]`: whether the hub speaks TLS itself.

use std::path::PathBuf;

use toml::Value;

use super::error::ConfigError;
use super::kinds::{Maybe, Visitor};
use super::texts::file;

/// `[tls]`. Without a certificate the hub speaks plain HTTP.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tls {
    /// The hub's certificate and those that lead to its authority, in PEM.
    pub certificate_file: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    pub key_file: Option<PathBuf>,
    /// Authorities in PEM, of one of which publishers must show a certificate.
    pub publisher_ca_file: Option<PathBuf>,
}

impl Tls {
    pub fn is_on(&self) -> bool {
        self.certificate_file.is_some()
    }

    /// As in the hub's own address.
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// A certificate is of no use without its key, nor the other way round.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let missing = |key, of| {
            let allowed = format!("a file, as {of} is set");
            Err(ConfigError::value(key, &Value::from(""), allowed))
        };
        match (
            &self.certificate_file,
            &self.key_file,
            &self.publisher_ca_file,
        ) {
            (Some(_), None, _) => missing("tls.key_file", "tls.certificate_file"),
            (None, Some(_), _) => missing("tls.certificate_file", "tls.key_file"),
            (None, None, Some(_)) => missing("tls.certificate_file", "tls.publisher_ca_file"),
            _ => Ok(()),
        }
    }
}

/// Every setting of the section, as for the others.
pub(super) fn visit<V: Visitor>(tls: &mut Tls, v: &mut V) -> Result<(), V::Error> {
    v.visit(
        "tls.certificate_file",
        Maybe(file()),
        &mut tls.certificate_file,
    )?;
    v.visit("tls.key_file", Maybe(file()), &mut tls.key_file)?;
    v.visit(
        "tls.publisher_ca_file",
        Maybe(file()),
        &mut tls.publisher_ca_file,
    )
}
