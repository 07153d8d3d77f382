//! Where requests go: a URL, resolved once.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use url::Url;

/// A resource on a server.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// As the header `Host` has it.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl Endpoint {
    /// Looks the host of `url` up; of several addresses the first counts.
    ///
    /// # Errors
    /// No plain HTTP, or a host that nobody knows.
    pub fn of(url: &Url) -> anyhow::Result<Self> {
        if !matches!(url.scheme(), "http" | "ws") {
            bail!(
                "{url} is not http://; the load generator speaks no TLS: point it at the server itself, behind its proxy"
            );
        }
        let mut addresses = url
            .socket_addrs(|| None)
            .with_context(|| format!("cannot find the host of {url}"))?;
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let address = addresses.first().copied();
        let query = url.query().map(|query| format!("?{query}"));
        Ok(Self {
            address: address.with_context(|| format!("the host of {url} has no address"))?,
            host: url.authority().to_owned(),
            path: format!("{}{}", url.path(), query.unwrap_or_default()),
        })
    }

    /// The path with one more parameter in its query; `value` as it is, so nothing that needs
    /// escaping.
    pub fn path_with(&self, name: &str, value: &str) -> String {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{separator}{name}={value}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
        Endpoint::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_url_is_taken_apart() {
        let there = endpoint("http://127.0.0.1:3001/a/b?c=d").unwrap();
        assert_eq!(there.address, "127.0.0.1:3001".parse().unwrap());
        assert_eq!(
            (there.host.as_str(), there.path.as_str()),
            ("127.0.0.1:3001", "/a/b?c=d")
        );
        assert_eq!(there.path_with("e", "f"), "/a/b?c=d&e=f");
        let root = endpoint("ws://[::1]").unwrap();
        assert_eq!(root.address, "[::1]:80".parse().unwrap());
        assert_eq!(root.path_with("e", "f"), "/?e=f");
    }

    #[test]
    fn tls_is_refused_with_what_to_do() {
        let error = endpoint("https://127.0.0.1/").unwrap_err().to_string();
        assert!(error.contains("behind its proxy"), "{error}");
    }
}
