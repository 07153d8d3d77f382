//! The options of a socket, and what a hold on it is good for.

use super::*;
use actix_web::rt::net::TcpListener;
use actix_web::rt::spawn;
use actix_web::rt::time::sleep;
use actix_web::rt::time::timeout;
use std::io::{Read, Write};

pub fn settings() -> Outgoing {
    Outgoing {
        driver: crate::config::Driver::Auto,
        gzip: true,
        gzip_min_bytes: 128,
        queue_messages_max: 1,
        queue_bytes_max: 1,
        stall_timeout: Duration::from_secs(60),
        notsent_lowat_bytes: 16 * 1024,
        tcp_user_timeout: Duration::from_secs(30),
        tcp_keepalive: Duration::from_secs(25),
        worker_backlog_bytes_max: 1,
    }
}

/// The hub's end of a loopback connection, and the client's, which nothing reads by itself.
pub async fn connect() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, client)
}

/// As [`connect`], of a client that has the loopback address `source`.
pub async fn connect_from(source: IpAddr) -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    client
        .bind(&std::net::SocketAddr::from((source, 0)).into())
        .unwrap();
    client
        .connect(&listener.local_addr().unwrap().into())
        .unwrap();
    (listener.accept().await.unwrap().0, client.into())
}

/// Writes until the socket takes no more; how many bytes it took.
async fn write_until_jammed(stream: &TcpStream) -> usize {
    let mut taken = 0;
    while let Ok(writable) = timeout(Duration::from_millis(200), stream.writable()).await {
        writable.unwrap();
        match stream.try_write(&[b'x'; 1024]) {
            Ok(count) => taken += count,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    taken
}

/// Waits, briefly, until `condition` holds.
async fn eventually(condition: impl Fn() -> bool) -> bool {
    for _ in 0..200 {
        if condition() {
            return true;
        }
        sleep(Duration::from_millis(5)).await;
    }
    false
}

/// Attack: a client that stops reading.
#[cfg(target_os = "linux")]
#[actix::test]
async fn every_option_is_set() {
    let (stream, _client) = connect().await;
    Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    let socket = SockRef::from(&stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        settings().tcp_keepalive
    );
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(settings().tcp_user_timeout)
    );
    assert_eq!(
        socket.tcp_notsent_lowat().unwrap(),
        settings().notsent_lowat_bytes
    );
}

/// Attack: a client that stops reading.
#[cfg(target_os = "linux")]
#[actix::test]
async fn a_client_that_reads_nothing_is_noticed_after_tens_of_kilobytes() {
    let (stream, _client) = connect().await;
    Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    let taken = write_until_jammed(&stream).await;
    assert!(taken < 200 * 1024, "the kernel took {taken} bytes");
}

#[actix::test]
async fn hanging_up_wakes_a_writer_that_is_jammed() {
    let (stream, _client) = connect().await;
    let handle = Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    write_until_jammed(&stream).await;
    let writer = spawn(async move {
        loop {
            stream.writable().await?;
            match stream.try_write(b"x") {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    });
    sleep(Duration::from_millis(20)).await;
    assert!(!writer.is_finished(), "it is jammed");
    handle.clone().hang_up();
    let result = timeout(Duration::from_secs(1), writer).await;
    assert!(result.expect("it woke").unwrap().is_err());
    handle.hang_up();
}

#[actix::test]
async fn a_peer_is_there_until_it_ends_or_breaks() {
    let (stream, mut client) = connect().await;
    let handle = Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    assert!(!handle.peer_is_gone(), "quiet is not gone");
    client.write_all(b"hello").unwrap();
    stream.readable().await.unwrap();
    assert!(!handle.peer_is_gone(), "neither is talking");
    assert_eq!(stream.try_read(&mut [0; 9]).unwrap(), 5, "peeked, not read");
    drop(client);
    assert!(eventually(|| handle.peer_is_gone()).await);

    let (stream, client) = connect().await;
    let handle = Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert!(eventually(|| handle.peer_is_gone()).await, "reset");
}

#[actix::test]
async fn finishing_the_writing_delivers_what_was_written() {
    let (stream, mut client) = connect().await;
    let handle = Handle::adopt(&stream, &settings(), &Arc::default()).unwrap();
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(b"goodbye").unwrap(), 7);
    handle.finish_writing();
    let mut read = String::new();
    client.read_to_string(&mut read).unwrap();
    assert_eq!(read, "goodbye");
    assert!(!handle.peer_is_gone(), "the other direction is open");
}
