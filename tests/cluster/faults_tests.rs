//! That the weather does what it says, with an echo at the other end.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::faults::{Ways, Weather, Wire};
use crate::redis::Redis;
use crate::redis::resp::Resp;

/// Longer than anything takes that arrives.
const NEVER: Duration = Duration::from_millis(150);

async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn said(client: &mut TcpStream, byte: u8) -> Option<u8> {
    client.write_all(&[byte]).await.ok()?;
    timeout(NEVER, client.read_u8()).await.ok()?.ok()
}

async fn is_over(client: &mut TcpStream) -> bool {
    timeout(NEVER, client.read_u8())
        .await
        .is_ok_and(|read| read.is_err())
}

#[tokio::test]
async fn what_is_cut_is_over_and_what_comes_after_is_passed_on() {
    let wire = Wire::to(echo().await).await;
    for byte in 0..2 {
        let mut client = TcpStream::connect(wire.address()).await.unwrap();
        assert_eq!(said(&mut client, byte).await, Some(byte));
        wire.cut();
        assert!(is_over(&mut client).await);
    }
}

#[tokio::test]
async fn nobody_listens_and_then_somebody_does() {
    let wire = Wire::to(echo().await).await;
    let mut before = TcpStream::connect(wire.address()).await.unwrap();
    assert_eq!(said(&mut before, 0).await, Some(0));
    wire.set(Weather::Refuse);
    tokio::time::sleep(NEVER).await;
    let refused = TcpStream::connect(wire.address()).await.err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(said(&mut before, 1).await, Some(1), "that is for new ones");
    wire.set(Weather::Pass);
    tokio::time::sleep(NEVER).await;
    let mut after = TcpStream::connect(wire.address()).await.unwrap();
    assert_eq!(said(&mut after, 2).await, Some(2));
}

#[tokio::test]
async fn a_delay_is_one_for_each_direction_whatever_the_number() {
    let wire = Wire::to(echo().await).await;
    let mut client = TcpStream::connect(wire.address()).await.unwrap();
    wire.set(Weather::Delay(Duration::from_millis(100)));
    let began = Instant::now();
    for byte in 0..20 {
        client.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for byte in 0..20 {
        assert_eq!(client.read_u8().await.unwrap(), byte);
    }
    let took = began.elapsed();
    assert!((200..600).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn what_is_stalled_arrives_later() {
    for ways in [Ways::Out, Ways::Back, Ways::Both] {
        let wire = Wire::to(echo().await).await;
        let mut client = TcpStream::connect(wire.address()).await.unwrap();
        wire.set(Weather::Stall(ways));
        assert_eq!(said(&mut client, 1).await, None, "{ways:?}");
        let mut other = TcpStream::connect(wire.address()).await.unwrap();
        assert_eq!(said(&mut other, 2).await, None, "{ways:?}");
        wire.set(Weather::Pass);
        assert_eq!(client.read_u8().await.unwrap(), 1, "{ways:?}");
        assert_eq!(other.read_u8().await.unwrap(), 2, "{ways:?}");
    }
}

#[tokio::test]
async fn who_lost_something_is_cut_when_the_weather_changes() {
    for weather in [Weather::LOSE_ANSWERS, Weather::BLACK_HOLE] {
        let wire = Wire::to(echo().await).await;
        let mut client = TcpStream::connect(wire.address()).await.unwrap();
        let mut lucky = TcpStream::connect(wire.address()).await.unwrap();
        assert_eq!(said(&mut lucky, 1).await, Some(1));
        wire.set(weather);
        assert_eq!(said(&mut client, 2).await, None, "{weather:?}");
        assert!(!is_over(&mut client).await, "{weather:?}");
        wire.set(Weather::Pass);
        assert!(is_over(&mut client).await, "{weather:?}");
        assert_eq!(said(&mut lucky, 3).await, Some(3), "{weather:?}");
    }
}

#[tokio::test]
async fn a_command_whose_answer_is_lost_was_carried_out() {
    let redis = Redis::start().await;
    let wire = Wire::to(redis.address()).await;
    let mut client = Resp::connect(wire.address()).await.unwrap();
    wire.set(Weather::LOSE_ANSWERS);
    assert!(timeout(NEVER, client.ask(&["INCR", "n"])).await.is_err());
    assert_eq!(redis.ask(&["GET", "n"]).await.text(), "1");
}

#[tokio::test]
async fn another_server_is_found_at_the_same_place() {
    let (one, other) = (Redis::start().await, Redis::start().await);
    one.ask(&["SET", "name", "one"]).await;
    other.ask(&["SET", "name", "other"]).await;
    let wire = Wire::to(one.address()).await;
    for (server, name) in [(&one, "one"), (&other, "other")] {
        wire.lead_to(server.address());
        wire.cut();
        let mut client = Resp::connect(wire.address()).await.unwrap();
        assert_eq!(client.ask(&["GET", "name"]).await.unwrap().text(), name);
    }
}
