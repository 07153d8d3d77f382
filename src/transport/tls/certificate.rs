//! What the hub shows its clients, and until when they take it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::{certificates, provider, unusable};
use crate::config;

/// As long before its end a certificate should have been renewed: whoever renews by a machine does so a month
/// before, and whoever does so by hand has two weeks.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The hub's certificate, which may be exchanged.
#[derive(Debug)]
pub struct Certificate {
    file: PathBuf,
    in_force: ArcSwap<InForce>,
}

#[derive(Debug)]
struct InForce {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

impl Certificate {
    /// Reads the one that is configured; `None`: the hub speaks plain HTTP.
    ///
    /// # Errors
    /// A file cannot be read or has something else in it; the key belongs to another certificate.
    pub(super) fn read(tls: &config::Tls) -> anyhow::Result<Option<Self>> {
        let (Some(chain_file), Some(key_file)) = (&tls.certificate_file, &tls.key_file) else {
            return Ok(None);
        };
        Ok(Some(Self {
            file: chain_file.clone(),
            in_force: ArcSwap::from_pointee(InForce::read(chain_file, key_file)?),
        }))
    }

    /// Returns whether `renewed` is another.
    pub(super) fn exchange(&self, renewed: Self) -> bool {
        let renewed = renewed.in_force.into_inner();
        let before = self.in_force.swap(renewed.clone());
        before.key.cert != renewed.key.cert
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.in_force.load().key.clone()
    }

    /// The last moment at which it is good.
    pub fn not_after(&self) -> Timestamp {
        self.in_force.load().not_after
    }

    /// What is wrong with it at `now`, if anything.
    pub fn ails(&self, now: Timestamp) -> Option<String> {
        let not_after = self.not_after();
        (not_after < now).then(|| {
            let file = self.file.display();
            format!("the certificate in tls.certificate_file {file} has expired on {not_after}")
        })
    }

    /// A line for the log where it has expired, or soon will have.
    pub fn warn(&self, now: Timestamp) {
        let what_to_do = "put a new one in its place and reload the settings";
        let left = self.not_after().duration_since(now);
        if let Some(why) = self.ails(now) {
            log::warn!("{why}, and clients refuse it: {what_to_do}");
        } else if left < RENEWED_BEFORE {
            let (file, not_after) = (self.file.display(), self.not_after());
            let days = left.as_hours() / 24 + 1;
            log::warn!(
                "the certificate in tls.certificate_file {file} expires in less than {days} days, on {not_after}: {what_to_do}"
            );
        }
    }
}

impl InForce {
    fn read(chain_file: &Path, key_file: &Path) -> anyhow::Result<Self> {
        let chain = certificates("tls.certificate_file", chain_file)?;
        let wrong = || unusable("tls.certificate_file", chain_file);
        let not_after = check(&chain[0]).with_context(wrong)?;
        let key = PrivateKeyDer::from_pem_file(key_file);
        let key =
            key.map_err(|error| anyhow!("{}: {error}", unusable("tls.key_file", key_file)))?;
        let certified = CertifiedKey::from_der(chain, key, &provider());
        let key = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => anyhow!(
                "the key in tls.key_file {} is not that of the certificate in tls.certificate_file {}",
                key_file.display(),
                chain_file.display()
            ),
            rustls::Error::InvalidCertificate(error) => anyhow!("{}: {error:?}", wrong()),
            error => anyhow!("{}: {error}", unusable("tls.key_file", key_file)),
        })?;
        Ok(Self {
            key: Arc::new(key),
            not_after,
        })
    }
}

/// Until when a certificate is good that clients could take.
fn check(der: &[u8]) -> anyhow::Result<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| anyhow!("{error}"))?;
    ensure!(
        parsed.version() == X509Version::V3,
        "it is of version {}, which clients refuse: make it with extensions, as with `openssl x509 -req -extfile`",
        parsed.version().0 + 1
    );
    let not_after = parsed.validity().not_after.timestamp();
    // Beyond what a calendar has is as good as for ever.
    Ok(Timestamp::from_second(not_after).unwrap_or(Timestamp::MAX))
}
