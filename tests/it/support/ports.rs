//! Ports that stay free while their owner is down.
//!
//! What the system gives for port 0 it also gives to the near end of any connection. A server that is
//! to come back on such a port may find it taken, and a client that knocks there meanwhile may even be
//! connected to itself. So these lie below that range, and are given once.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Linux gives 32768 and above by itself. A node of a Redis Cluster also listens 10,000 above its port.
const FIRST: u16 = 10_000;
const COUNT: u16 = 12_000;
const BUS_OFFSET: u16 = 10_000;

/// How many have been looked at by this process.
static LOOKED_AT: AtomicU16 = AtomicU16::new(0);

pub fn free() -> u16 {
    // Test programs that run side by side begin at different places.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let nth = begin.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed).into());
        let port = FIRST + u16::try_from(nth % u32::from(COUNT)).expect("below the count");
        let is_free = |port| TcpListener::bind(loopback(port)).is_ok();
        if is_free(port) && is_free(port + BUS_OFFSET) {
            return port;
        }
    }
    panic!("no port is free");
}

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn a_port_is_given_once_and_never_by_the_system() {
    let (one, other) = (free(), free());
    assert_ne!(one, other);
    assert!([one, other].iter().all(|port| *port < 32_768));
    TcpListener::bind(loopback(one)).unwrap();
}
