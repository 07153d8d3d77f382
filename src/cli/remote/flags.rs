//! The flags of the commands that speak to a hub, and what of them concerns TLS.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::{Certificate, ClientBuilder, Identity, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cli::arguments::ConfigFile;

/// How a running hub is reached, and as whom.
#[derive(Debug, Default, Args)]
pub struct Remote {
    /// Where the hub is; the configured address where none is named
    #[arg(long)]
    pub url: Option<Url>,
    /// JWT to show; made with the configured HS256 secret where none is given
    #[arg(long, env = "STATSHUB_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    #[command(flatten)]
    pub tls: Tls,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Whom to trust, and what to show, where the hub speaks TLS.
#[derive(Debug, Default, Args)]
pub struct Tls {
    /// Authorities in PEM that the hub's certificate may be of, besides those that this machine trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificate to show, in PEM, where the hub wants one of its publishers
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(id = "key_file", long = "key", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

impl Tls {
    /// # Errors
    /// A file cannot be read or has something else in it.
    pub fn apply(&self, mut builder: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        if let Some(file) = &self.ca {
            let bundle = Certificate::from_pem_bundle(&read("--ca", file)?);
            builder = builder.tls_certs_merge(bundle.with_context(|| unusable("--ca", file))?);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            let mut pem = read("--cert", cert)?;
            pem.push(b'\n');
            pem.extend(read("--key", key)?);
            let identity = Identity::from_pem(&pem);
            let wrong = || {
                format!(
                    "--cert {} and --key {} cannot be used",
                    cert.display(),
                    key.display()
                )
            };
            builder = builder.identity(identity.with_context(wrong)?);
        }
        Ok(builder)
    }

    /// Those of `--ca`.
    ///
    /// # Errors
    /// The file cannot be read or has something else in it.
    pub fn authorities(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let Some(file) = &self.ca else {
            return Ok(Vec::new());
        };
        let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        all.map_err(|error| anyhow!("{}: {error}", unusable("--ca", file)))
    }
}

fn read(flag: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{flag} {} cannot be read", file.display()))
}

fn unusable(flag: &str, file: &Path) -> String {
    format!("{flag} {} cannot be used", file.display())
}
