//! The authorities of one of which publishers must show a certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{certificates, provider, unusable};
use crate::telemetry::throttle::Throttle;

/// Refused certificates that are written to the log within a minute.
const LOGGED_PER_MINUTE: u64 = 10;
/// Longest subject that is told, in characters: whoever connects may bring any.
const SUBJECT_CHARS_MAX: usize = 256;

/// Judges the certificates of clients, by authorities that may be exchanged.
#[derive(Debug)]
pub(super) struct Publishers {
    in_force: ArcSwap<Authorities>,
    /// Their names. Clients that have several certificates choose by them.
    names: ArcSwap<&'static [DistinguishedName]>,
    throttle: Throttle,
}

#[derive(Debug)]
struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Publishers {
    /// # Errors
    /// `file` cannot be read or has something else in it.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let certificates = certificates("tls.publisher_ca_file", file)?;
        let mut roots = RootCertStore::empty();
        for authority in &certificates {
            let added = roots.add(authority.clone());
            added.with_context(|| unusable("tls.publisher_ca_file", file))?;
        }
        // Dashboards have none and need none.
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .allow_unauthenticated()
            .build()?;
        Ok(Self {
            in_force: ArcSwap::from_pointee(Authorities {
                certificates,
                verifier,
            }),
            names: ArcSwap::from_pointee(&[]),
            throttle: Throttle::new(LOGGED_PER_MINUTE),
        })
    }

    /// To be asked for by clients from now on.
    pub fn name_authorities(&self) {
        let in_force = self.in_force.load();
        let names = in_force.verifier.root_hint_subjects().to_vec();
        // rustls borrows them for as long as there are connections. Each exchange, which is some every few years,
        // leaves a few hundred bytes behind.
        self.names.store(Arc::new(names.leak()));
    }

    /// Returns whether the authorities of `renewed` are others.
    pub fn exchange(&self, renewed: &Self) -> bool {
        let renewed = renewed.in_force.load_full();
        if self.in_force.load().certificates == renewed.certificates {
            return false;
        }
        self.in_force.store(renewed);
        self.name_authorities();
        true
    }
}

impl ClientCertVerifier for Publishers {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        *self.names.load_full()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verifier = self.in_force.load().verifier.clone();
        let verified = verifier.verify_client_cert(certificate, intermediates, now);
        verified.inspect_err(|error| {
            let line = || {
                let subject = subject(certificate);
                format!("a client's certificate was refused: {error}, subject={subject:?}")
            };
            let kind = "refused client certificates";
            self.throttle.log(kind, Instant::now(), line);
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = &self.in_force.load().verifier;
        verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = &self.in_force.load().verifier;
        verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.in_force.load().verifier.supported_verify_schemes()
    }
}

/// The certificate that the client of a connection has shown. Whoever shows one that is not good gets no
/// connection at all.
#[derive(Debug)]
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
    subject: Arc<str>,
    publishers: Arc<Publishers>,
    /// Those by which it was found good last.
    good_by: ArcSwapOption<Authorities>,
}

impl Shown {
    pub(super) fn new(chain: &[CertificateDer<'_>], publishers: Arc<Publishers>) -> Self {
        Self {
            subject: subject(&chain[0]).into(),
            chain: chain.iter().map(|it| it.clone().into_owned()).collect(),
            publishers,
            good_by: ArcSwapOption::empty(),
        }
    }

    /// Whose it is, as in `CN=shop`.
    pub fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// Whether it is one of the authorities in force, which may be others than when the connection began.
    pub fn is_good(&self) -> bool {
        let in_force = self.publishers.in_force.load_full();
        let before = self.good_by.load();
        if before.as_ref().is_some_and(|it| Arc::ptr_eq(it, &in_force)) {
            return true;
        }
        let [own, intermediates @ ..] = &self.chain[..] else {
            return false;
        };
        let verifier = &in_force.verifier;
        let verified = verifier.verify_client_cert(own, intermediates, UnixTime::now());
        let is_good = verified.is_ok();
        if is_good {
            self.good_by.store(Some(in_force));
        }
        is_good
    }
}

fn subject(certificate: &[u8]) -> String {
    let parsed = X509Certificate::from_der(certificate);
    let subject = parsed.map_or_else(|_| "?".into(), |(_, it)| it.subject().to_string());
    subject.chars().take(SUBJECT_CHARS_MAX).collect()
}
