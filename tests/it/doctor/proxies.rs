//! The proxies of `examples/`, as they are shipped.

use super::{Examined, a_hub, examine, examine_with};
use crate::balancing::{Kind, Site};
use crate::support::certificates::{Certificates, Issued};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::{ports, token};

#[tokio::test]
async fn behind_each_proxy_of_the_examples_all_is_well() {
    let tests = Kind::installed().map(async |kind| {
        let hubs = [a_hub().start().await];
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let url = format!("http://{}", site.address);
        let examined = examine(&url, Some(&ada), &["--idle", "3"]).await;
        examined.is_well();
        assert_eq!(
            examined.with("skipped"),
            ["cors"],
            "{kind:?} {:#}",
            examined.report
        );
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn a_proxy_without_a_hub_is_none() {
    let tests = Kind::installed().map(async |kind| {
        let site = Site::of(kind, &[]).await;
        let url = format!("http://{}", site.address);
        let examined = examine(&url, Some(&token::admin("ada")), &[]).await;
        assert_eq!(examined.code, Some(2), "{kind:?} {:#}", examined.report);
        assert_eq!(examined.faults(), ["reachable"], "{kind:?}");
    });
    futures::future::join_all(tests).await;
}

/// What is found over TLS, at an nginx that listens so.
async fn over_tls(listens: &str, trusts: bool) -> Examined {
    let directory = tempfile::tempdir().expect("a directory");
    let certificates = Certificates::make(directory.path());
    let Issued { certificate, key } = certificates.issue("server");
    let port = ports::free();
    let listener = format!(
        "server_tokens off; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};",
        certificate.display(),
        key.display()
    );
    let listens = format!("client_max_body_size 2m; listen 127.0.0.1:{port} {listens};");
    let hubs = [a_hub().start().await];
    let more = [
        ("server_tokens off;", &*listener),
        ("client_max_body_size 2m;", &*listens),
    ];
    let _site = Site::with(Kind::Nginx, &hubs, &more).await;
    let authority = certificates.authority();
    let mut doctor = Hub::with();
    if trusts {
        doctor = doctor.env("SSL_CERT_FILE", authority.to_str().expect("UTF-8"));
    }
    let url = format!("https://127.0.0.1:{port}");
    examine_with(doctor, &url, Some(&token::admin("ada")), &[]).await
}

#[tokio::test]
async fn over_tls_it_is_told_what_browsers_are_offered() {
    let examined = over_tls("ssl http2", true).await;
    examined.is_well();
    let told = text(&examined.of("transport")["text"]);
    assert_eq!(told, "HTTP/2 over TLS 1.3");
    let examined = over_tls("ssl", true).await;
    assert_eq!(examined.faults(), ["transport"], "{:#}", examined.report);
    assert_eq!(examined.of("transport")["verdict"], "warning");
    let examined = over_tls("ssl http2", false).await;
    assert_eq!(
        (examined.code, examined.faults()),
        (Some(2), vec!["reachable"])
    );
    let told = text(&examined.of("reachable")["text"]);
    assert!(
        told.starts_with("this machine does not trust the certificate"),
        "{told}"
    );
}
