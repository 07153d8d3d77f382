//! A server that is no hub, as small as one can be that publishes to event streams, plain WebSockets,
//! socket.io's and Pusher's. It closes the publishers' connections now and then, as servers do, and cuts what
//! it sends in an awkward place.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What it speaks besides HTTP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speech {
    Sse,
    WebSocket,
    SocketIo,
    Pusher,
}

/// Answers after which a publisher's connection is closed without a word.
const ANSWERS: usize = 3;
/// What a subscriber's first bytes of each message are sent apart from the rest: in the middle of
/// the mark that a payload begins with.
const CUT: usize = 23;

type Subscribers = Arc<Mutex<Vec<mpsc::UnboundedSender<Vec<u8>>>>>;

/// Starts one that lives as long as the test's runtime.
pub async fn start(speech: Speech) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let subscribers = Subscribers::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, speech, subscribers.clone()));
        }
    });
    address
}

async fn serve(stream: TcpStream, speech: Speech, subscribers: Subscribers) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    for answered in 1.. {
        let head = head(&mut stream).await?;
        if head.starts_with("GET") {
            return subscribe(stream, speech, &subscribers).await;
        }
        let (_, length) = head.split_once("Content-Length: ")?;
        let mut body = vec![0; length.split_once('\r')?.0.parse().ok()?];
        stream.read_exact(&mut body).await.ok()?;
        for subscriber in subscribers.lock().ok()?.iter() {
            let _ = subscriber.send(body.clone());
        }
        let answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.ok()?;
        if answered % ANSWERS == 0 {
            break;
        }
    }
    None
}

async fn subscribe(
    mut stream: BufReader<TcpStream>,
    speech: Speech,
    subscribers: &Subscribers,
) -> Option<()> {
    let head = match speech {
        Speech::Sse => "200 OK\r\nContent-Type: text/event-stream",
        Speech::WebSocket | Speech::SocketIo | Speech::Pusher => {
            "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
        }
    };
    let head = format!("HTTP/1.1 {head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    if speech == Speech::SocketIo {
        stream.write_all(&frame(b"0{\"sid\":\"x\"}")).await.ok()?;
        assert_eq!(heard(&mut stream).await?, b"40");
        stream.write_all(&frame(b"40{\"sid\":\"y\"}")).await.ok()?;
        stream.write_all(&frame(b"2")).await.ok()?;
        assert_eq!(heard(&mut stream).await?, b"3");
    }
    if speech == Speech::Pusher {
        let established = br#"{"event":"pusher:connection_established","data":"{}"}"#;
        stream.write_all(&frame(established)).await.ok()?;
        let subscribe = heard(&mut stream).await?;
        assert!(String::from_utf8_lossy(&subscribe).contains(r#""channel":"bench""#));
        let succeeded = br#"{"event":"pusher_internal:subscription_succeeded","channel":"bench"}"#;
        stream.write_all(&frame(succeeded)).await.ok()?;
        let ping = br#"{"event":"pusher:ping","data":{}}"#;
        stream.write_all(&frame(ping)).await.ok()?;
        let pong = heard(&mut stream).await?;
        assert!(pong.starts_with(br#"{"event":"pusher:pong""#));
    }
    let (sender, mut messages) = mpsc::unbounded_channel();
    subscribers.lock().ok()?.push(sender);
    while let Some(message) = messages.recv().await {
        let bytes = match speech {
            Speech::Sse => [b"data: ", &message[..], b"\n\n"].concat(),
            Speech::WebSocket => frame(&message),
            Speech::Pusher => frame(&as_pusher(&message)),
            Speech::SocketIo => frame(&[b"42[\"m\",", &message[..], b"]"].concat()),
        };
        let (first, rest) = bytes.split_at(CUT);
        stream.write_all(first).await.ok()?;
        tokio::task::yield_now().await;
        stream.write_all(rest).await.ok()?;
    }
    None
}

/// The payload as a JSON text within JSON.
fn as_pusher(message: &[u8]) -> Vec<u8> {
    let data = String::from_utf8_lossy(message);
    serde_json::json!({"event": "metrics", "channel": "bench", "data": data})
        .to_string()
        .into()
}

async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let head = match length {
        0..126 => vec![0x81, length as u8],
        126.. => [&[0x81, 126], &length.to_be_bytes()[..]].concat(),
    };
    [head, payload.to_vec()].concat()
}

/// A client's short frame, with the mask taken off.
async fn heard(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!((head[0], head[1] & 0x80), (0x81, 0x80), "a masked text");
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).await.ok()?;
    for (byte, mask) in payload.iter_mut().zip(head[2..].iter().cycle()) {
        *byte ^= mask;
    }
    Some(payload)
}
