//! A wire between a client and its hub that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes bytes on as long as its test runs.
pub struct Proxy {
    pub address: SocketAddr,
    wires: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Proxy {
    /// To whatever listens on `hub` when a client comes.
    pub async fn start(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let wires: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let made = wires.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wire = tokio::spawn(pass_on(client, hub));
                made.lock().expect("no panic").push(wire);
            }
        });
        Self { address, wires }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection at once and without a goodbye, to both sides. New ones are passed on.
    pub fn cut(&self) {
        let wires = std::mem::take(&mut *self.wires.lock().expect("no panic"));
        wires.iter().for_each(JoinHandle::abort);
    }
}

async fn pass_on(mut client: TcpStream, hub: SocketAddr) {
    let Ok(mut hub) = TcpStream::connect(hub).await else {
        return;
    };
    for socket in [&client, &hub] {
        let _ = socket.set_nodelay(true);
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
    let _ = tokio::io::copy_bidirectional(&mut client, &mut hub).await;
}

#[tokio::test]
async fn what_is_cut_is_over_and_what_comes_after_is_passed_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(echo.local_addr().unwrap()).await;
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    for _ in 0..2 {
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        client.write_all(b"a").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'a');
        proxy.cut();
        assert!(client.read_u8().await.is_err());
    }
}
