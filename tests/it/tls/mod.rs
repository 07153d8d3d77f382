//! TLS by the hub itself.

mod commands;
mod expiry;
mod publishers;
mod renewal;
mod serving;
mod starting;

use std::path::Path;

use tempfile::TempDir;

use crate::support::certificates::{Certificates, Issued};
use crate::support::hub::Hub;
use crate::support::tunnel::Tunnel;

/// A hub that speaks TLS, and its authority.
pub struct Safe {
    pub hub: Hub,
    authority: Certificates,
    _folder: TempDir,
}

impl Safe {
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// `more` goes below `[tls]`.
    async fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let authority = Certificates::make(folder.path());
        let issued = authority.issue("hub");
        Self::showing(&issued, authority, folder, more).await
    }

    /// With a certificate of its own.
    async fn showing(
        issued: &Issued,
        authority: Certificates,
        folder: TempDir,
        more: &str,
    ) -> Self {
        let more = more.replace("{folder}", &folder.path().display().to_string());
        let hub = Hub::with().config(&(tls(issued) + &more)).start().await;
        Self {
            hub,
            authority,
            _folder: folder,
        }
    }

    /// For clients that speak no TLS themselves.
    pub async fn tunnel(&self) -> Tunnel {
        Tunnel::dig(self.hub.address, &self.authority, None).await
    }
}

/// Lines of a `config.toml`.
fn tls(issued: &Issued) -> String {
    let line = |key: &str, path: &Path| format!("{key} = \"{}\"\n", path.display());
    format!(
        "[tls]\n{}{}",
        line("certificate_file", &issued.certificate),
        line("key_file", &issued.key)
    )
}
