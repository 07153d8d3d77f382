//! Stands before Sentinel and gives the places of servers as one hub is to see them: behind wires of
//! its own, or an old primary for the new one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::redis::resp::Reply;

/// Ports as they are, and as they are shown.
type Shown = BTreeMap<u16, u16>;

pub struct Front {
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
    listening: JoinHandle<()>,
}

impl Front {
    pub async fn before(upstream: SocketAddr, shown: Shown) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shown = Arc::new(Mutex::new(shown));
        let map = shown.clone();
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, upstream, map.clone()));
            }
        });
        Self {
            address,
            shown,
            listening,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn show(&self, shown: Shown) {
        *self.shown.lock().expect("no panic") = shown;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(near: TcpStream, far: SocketAddr, shown: Arc<Mutex<Shown>>) {
    let Ok(far) = TcpStream::connect(far).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let answers = async {
        let mut pending = Vec::new();
        while far_in
            .read_buf(&mut pending)
            .await
            .is_ok_and(|count| count > 0)
        {
            let mut out = Vec::new();
            while let Some((mut reply, used)) = Reply::parse(&pending) {
                pending.drain(..used);
                rewrite(&mut reply, &shown.lock().expect("no panic"));
                reply.encode(&mut out);
            }
            if near_out.write_all(&out).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut near_in, &mut far_out) => {}
        () = answers => {}
    }
}

fn rewrite(reply: &mut Reply, shown: &Shown) {
    match reply {
        Reply::Many(_, Some(list)) => list.iter_mut().for_each(|it| rewrite(it, shown)),
        Reply::Bulk(_, Some(text)) => {
            if let Ok(words) = std::str::from_utf8(text) {
                *text = reworded(words, shown).into_bytes();
            }
        }
        _ => {}
    }
}

/// With every number that is a known port replaced, alone or in a text.
fn reworded(text: &str, shown: &Shown) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric();
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match word.parse().ok().and_then(|port: u16| shown.get(&port)) {
            Some(port) => out += &port.to_string(),
            None => out += word,
        }
        let next = after.find(is_part).unwrap_or(after.len());
        out += &after[..next];
        rest = &after[next..];
    }
    out
}

#[test]
fn known_ports_are_replaced_and_nothing_else() {
    let shown = Shown::from([(7001, 9), (7002, 8)]);
    for (text, expected) in [
        ("", ""),
        ("7001", "9"),
        ("17001", "17001"),
        ("a7001 7002f 7002", "a7001 7002f 8"),
        (
            "laboratory 127.0.0.1 7001 127.0.0.1 7002",
            "laboratory 127.0.0.1 9 127.0.0.1 8",
        ),
        ("127.0.0.1:7002,x\r\n", "127.0.0.1:8,x\r\n"),
    ] {
        assert_eq!(reworded(text, &shown), expected);
    }
}
