//! A way over TLS for clients that speak none: they connect to the near end in plain text.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::certificates::{Certificates, Issued};

/// Passes bytes on as long as its test runs. A connection that the far end refuses is closed.
pub struct Tunnel {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What the hub has shown to a connection.
#[derive(Clone)]
pub struct Seen {
    pub certificate: CertificateDer<'static>,
    /// It went on with a session of before.
    pub is_resumed: bool,
}

impl Tunnel {
    /// To `hub`, which must show a certificate of the authority's; with a client's own one if there is any.
    pub async fn dig(hub: SocketAddr, trusts: &Certificates, own: Option<&Issued>) -> Self {
        let connector = connector(trusts, own);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let sees = seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, hub, connector.clone(), sees.clone()));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Each connection so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn connector(trusts: &Certificates, own: Option<&Issued>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(trusts.authority());
    roots
        .add(authority.expect("a certificate"))
        .expect("an authority");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions();
    let config = config.expect("TLS 1.3").with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(Issued { certificate, key }) => {
            let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            let config = config.with_client_auth_cert(vec![certificate], key);
            config.expect("a key of this certificate")
        }
    };
    TlsConnector::from(Arc::new(config))
}

async fn pass_on(
    mut client: TcpStream,
    hub: SocketAddr,
    connector: TlsConnector,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    if let Ok(mut hub) = connected(hub, &connector).await {
        let (_, session) = hub.get_ref();
        let shown = session.peer_certificates().expect("a certificate");
        seen.lock().expect("no panic").push(Seen {
            certificate: shown[0].clone().into_owned(),
            is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        });
        let _ = client.set_nodelay(true);
        let _ = tokio::io::copy_bidirectional(&mut client, &mut hub).await;
    }
}

async fn connected(
    hub: SocketAddr,
    connector: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(hub).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::from(hub.ip());
    connector.connect(name, socket).await
}
