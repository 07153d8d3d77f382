//! Sockets as the generator needs them: many, non-blocking, from several addresses of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections from one address. Linux has 28,232 ports for one by default, each blocked for a
/// minute after its connection was closed; and a hub limits what one address may do in a second.
const CONNECTIONS_PER_ADDRESS: usize = 4000;
/// Descriptors besides those of the connections: publishers, the poll, standard streams.
const DESCRIPTORS_BESIDES: u64 = 200;

/// Which of this machine's addresses a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// Each run begins at another, and so finds no port blocked by the run before.
    first: u32,
}

impl Sources {
    pub fn new(run: u32) -> Self {
        Self { first: run }
    }

    /// `None`: the kernel may choose. Only Linux has all of 127.0.0.0/8, and to another machine
    /// there is one way.
    fn of(&self, target: SocketAddr, index: usize) -> Option<Ipv4Addr> {
        let nth = self
            .first
            .wrapping_add((index / CONNECTIONS_PER_ADDRESS) as u32);
        let to_itself = target.is_ipv4() && target.ip().is_loopback();
        // Without 0 and 255, which would be the network and its broadcast address.
        let part = |n: u32| (1 + n % 254) as u8;
        let address = Ipv4Addr::new(127, part(nth / 254 / 254), part(nth / 254), part(nth));
        (cfg!(target_os = "linux") && to_itself).then_some(address)
    }

    /// Begins to connect the connection with this number.
    pub fn connect(&self, target: SocketAddr, index: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(
            Domain::for_address(target),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = self.of(target, index) {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&target.into()) {
            Err(error) if !is_under_way(&error) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    /// Far enough from the connections' numbers to have an address of its own.
    pub fn connect_apart(&self, target: SocketAddr, nth: usize) -> io::Result<TcpStream> {
        self.connect(target, usize::MAX / 2 + nth * CONNECTIONS_PER_ADDRESS)
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(in_progress())
}

/// `EINPROGRESS`, for which the standard library has a name only in unstable Rust.
fn in_progress() -> i32 {
    rustix::io::Errno::INPROGRESS.raw_os_error()
}

/// Makes room for so many connections.
///
/// # Errors
/// The limit cannot be raised that far.
pub fn raise_descriptor_limit(connections: usize) -> anyhow::Result<()> {
    let wanted = connections as u64 + DESCRIPTORS_BESIDES;
    let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE)
        .context("the limit of open descriptors is not known")?;
    // Whoever may raise the hard limit too does.
    if soft < wanted
        && rlimit::setrlimit(rlimit::Resource::NOFILE, wanted, hard.max(wanted)).is_err()
    {
        bail!(
            "{connections} connections take {wanted} open descriptors, and the limit is {hard}: raise it (ulimit -Hn {wanted}, as root) or open fewer"
        );
    }
    Ok(())
}

/// Why a connection could not even be tried, with what to do.
pub fn explain(error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no ports left towards that server: raise net.ipv4.ip_local_port_range, open fewer connections or use several machines"
        }
        io::ErrorKind::ConnectionRefused => "nothing listens there: is this the address? see --url",
        _ => "cannot connect",
    };
    anyhow::Error::new(error).context(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_this_machine_come_from_several_addresses() {
        let target = "127.0.0.1:1".parse().unwrap();
        let sources = Sources::new(u32::MAX);
        let mut all: Vec<_> = (0..50_000).filter_map(|n| sources.of(target, n)).collect();
        all.dedup();
        let expected = if cfg!(target_os = "linux") { 13 } else { 0 };
        assert_eq!(all.len(), expected);
        assert!(all.iter().all(Ipv4Addr::is_loopback));
        assert_eq!(sources.of("192.0.2.1:1".parse().unwrap(), 0), None);
        assert_eq!(sources.of("[::1]:1".parse().unwrap(), 0), None);
    }
}
