//! TLS by the hub itself: its certificate and the publishers' authorities, both of which may be exchanged while
//! it runs, and how handshakes end.

mod certificate;
mod handshakes;
mod publishers;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use anyhow::{anyhow, ensure};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::CryptoProvider};

use crate::config;
pub use certificate::Certificate;
use handshakes::Handshakes;
use publishers::Publishers;
pub use publishers::Shown;

/// The hub's side of every connection over TLS. Connections that are open keep what they have seen.
#[derive(Debug)]
pub struct Endpoint {
    pub certificate: Certificate,
    publishers: Option<Arc<Publishers>>,
    handshakes: Handshakes,
}

/// What may be exchanged, read from its files.
pub struct Renewed(Endpoint);

impl Endpoint {
    /// Reads what is configured; `None`: the hub speaks plain HTTP. A handshake takes `handshake_max` at most.
    ///
    /// # Errors
    /// A file cannot be read or has something else in it; the key belongs to another certificate.
    pub fn read(tls: &config::Tls, handshake_max: Duration) -> anyhow::Result<Option<Self>> {
        let Some(certificate) = Certificate::read(tls)? else {
            return Ok(None);
        };
        let publishers = tls.publisher_ca_file.as_deref().map(Publishers::read);
        Ok(Some(Self {
            certificate,
            publishers: publishers.transpose()?.map(Arc::new),
            handshakes: Handshakes::within(handshake_max),
        }))
    }

    /// The same files again.
    ///
    /// # Errors
    /// As at first.
    pub fn reread(tls: &config::Tls) -> anyhow::Result<Option<Renewed>> {
        Ok(Self::read(tls, Duration::ZERO)?.map(Renewed))
    }

    /// From the next connection on all is as in `renewed`. Returns the settings that name a file in which something
    /// else stands now.
    pub fn exchange(&self, renewed: Renewed) -> Vec<&'static str> {
        let mut changed = Vec::new();
        if self.certificate.exchange(renewed.0.certificate) {
            changed.push("tls.certificate_file");
        }
        if let (Some(publishers), Some(renewed)) = (&self.publishers, &renewed.0.publishers)
            && publishers.exchange(renewed)
        {
            changed.push("tls.publisher_ca_file");
        }
        changed
    }

    /// How connections are made safe.
    ///
    /// # Errors
    /// None, with the versions of TLS that there are.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        self.publishers.iter().for_each(|it| it.name_authorities());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match &self.publishers {
            None => builder.with_no_client_auth(),
            Some(publishers) => builder.with_client_cert_verifier(publishers.clone()),
        };
        let mut config = builder.with_cert_resolver(self.clone());
        match self.publishers {
            // After a restart all come back at once; one that has been here before costs no signature.
            None => config.ticketer = aws_lc_rs::Ticketer::new()?,
            // A session that is resumed has the client's certificate without looking at it again, however old.
            Some(_) => {
                config.send_tls13_tickets = 0;
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
        }
        Ok(config)
    }

    /// A handshake has come to its good end. Returns the certificate that the client has shown, if any.
    pub fn welcome(&self, connection: &TlsStream<TcpStream>) -> Option<Shown> {
        self.handshakes.ended_well();
        let (_, session) = connection.get_ref();
        let chain = session.peer_certificates()?;
        Some(Shown::new(chain, self.publishers.clone()?))
    }

    /// How many handshakes began and came to no good end, so far.
    pub fn failed_handshakes(&self) -> u64 {
        self.handshakes.failed(Instant::now())
    }
}

impl ResolvesServerCert for Endpoint {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.handshakes.begun(Instant::now());
        Some(self.certificate.key())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(key: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| anyhow!("{}: {error}", unusable(key, file)))?;
    ensure!(
        !found.is_empty(),
        "{}: it holds no certificate in PEM",
        unusable(key, file)
    );
    Ok(found)
}

fn unusable(key: &str, file: &Path) -> String {
    format!("{key} {} cannot be used", file.display())
}
