//! TLS by the hub itself: its certificate, which may be exchanged while it runs, and who of the clients has
//! shown one.

use std::path::Path;
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use anyhow::{Context, anyhow, ensure};
use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Tls;

/// Whether the client of a connection has shown a certificate of the publishers' authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsCertified(pub bool);

impl IsCertified {
    /// Whoever shows one that is not good gets no connection at all.
    pub fn of(connection: &TlsStream<TcpStream>) -> Self {
        let (_, session) = connection.get_ref();
        Self(session.peer_certificates().is_some())
    }
}

/// What the hub shows its clients. Connections that are open keep what they have seen.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads the one that is configured; `None`: the hub speaks plain HTTP.
    ///
    /// # Errors
    /// A file cannot be read or has something else in it; the key belongs to another certificate.
    pub fn read(tls: &Tls) -> anyhow::Result<Option<Arc<Self>>> {
        let key = certified_key(tls)?;
        Ok(key.map(|key| Arc::new(Self(ArcSwap::from_pointee(key)))))
    }

    /// From the next connection on it is the one that `renewed` is. Returns whether that is another.
    pub fn exchange(&self, renewed: &Self) -> bool {
        let renewed = renewed.0.load_full();
        let before = self.0.swap(renewed.clone());
        before.cert != renewed.cert
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// How connections are made safe.
///
/// # Errors
/// `tls.publisher_ca_file` cannot be read or has something else in it.
pub fn server_config(tls: &Tls, certificate: Arc<Certificate>) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.publisher_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("tls.publisher_ca_file", file)? {
                let added = roots.add(authority);
                added.with_context(|| unusable("tls.publisher_ca_file", file))?;
            }
            // Dashboards have none and need none.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_cert_resolver(certificate);
    match tls.publisher_ca_file {
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

fn certified_key(tls: &Tls) -> anyhow::Result<Option<CertifiedKey>> {
    let (Some(chain_file), Some(key_file)) = (&tls.certificate_file, &tls.key_file) else {
        return Ok(None);
    };
    let chain = certificates("tls.certificate_file", chain_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file);
    let key = key.map_err(|error| anyhow!("{}: {error}", unusable("tls.key_file", key_file)))?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => anyhow!(
            "the key in tls.key_file {} is not that of the certificate in tls.certificate_file {}",
            key_file.display(),
            chain_file.display()
        ),
        error => anyhow!("{}: {error}", unusable("tls.key_file", key_file)),
    });
    certified.map(Some)
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
