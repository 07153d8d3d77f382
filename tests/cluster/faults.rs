//! A wire between a hub and its Redis, with weather.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::ports::{free, loopback};

/// Pieces on their way in one direction; beyond that the sender waits, as with a full buffer.
const UNDERWAY_MAX: usize = 256;

/// How a wire treats what is sent over it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weather {
    Pass,
    /// Nobody listens.
    Refuse,
    /// Everything arrives so much later, in both directions.
    Delay(Duration),
    /// Connections are taken and bytes accepted, but nothing arrives until the weather changes.
    Stall(Ways),
    /// Bytes are accepted and gone. A connection that has lost any is cut when the weather changes.
    Lose(Ways),
}

impl Weather {
    pub const STALL: Self = Self::Stall(Ways::Both);
    pub const LOSE_ANSWERS: Self = Self::Lose(Ways::Back);
    pub const BLACK_HOLE: Self = Self::Lose(Ways::Both);

    fn stalls(self, way: Ways) -> bool {
        matches!(self, Self::Stall(ways) if ways.holds(way))
    }

    fn loses(self, way: Ways) -> bool {
        matches!(self, Self::Lose(ways) if ways.holds(way))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ways {
    /// From the hub.
    Out,
    /// To the hub.
    Back,
    Both,
}

impl Ways {
    fn holds(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// Listens for as long as it is there.
pub struct Wire {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    weather: watch::Sender<Weather>,
    /// Counts the cuts.
    cuts: watch::Sender<u64>,
    listening: JoinHandle<()>,
}

impl Wire {
    pub async fn to(upstream: SocketAddr) -> Self {
        let address = loopback(free());
        let listener = listen(address).expect("a port");
        let upstream = Arc::new(Mutex::new(upstream));
        let (weather, seen) = watch::channel(Weather::Pass);
        let (cuts, cut) = watch::channel(0);
        let listening = accept(address, listener, upstream.clone(), seen, cut);
        let listening = tokio::spawn(listening);
        Self {
            address,
            upstream,
            weather,
            cuts,
            listening,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where connections lead that are made from now on.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().expect("no panic") = upstream;
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Ends every connection with a reset to both sides. What comes after is as the weather is.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

async fn accept(
    address: SocketAddr,
    listener: TcpListener,
    upstream: Arc<Mutex<SocketAddr>>,
    mut weather: watch::Receiver<Weather>,
    cuts: watch::Receiver<u64>,
) {
    let mut listener = Some(listener);
    loop {
        let refuses = *weather.borrow_and_update() == Weather::Refuse;
        match &listener {
            // Who is refused by the system itself gets what a dead server's machine says.
            Some(_) if refuses => listener = None,
            Some(open) => tokio::select! {
                Ok((near, _)) = open.accept() => {
                    let far = *upstream.lock().expect("no panic");
                    tokio::spawn(carry(near, far, weather.clone(), cuts.clone()));
                }
                _ = weather.changed() => {}
            },
            None if !refuses => match listen(address) {
                Ok(open) => listener = Some(open),
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            None if weather.changed().await.is_err() => return,
            None => {}
        }
    }
}

async fn carry(
    near: TcpStream,
    far: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut cuts: watch::Receiver<u64>,
) {
    cuts.mark_unchanged();
    let _ = SockRef::from(&near).set_linger(Some(Duration::ZERO));
    let Ok(far) = TcpStream::connect(far).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let _ = SockRef::from(&far).set_linger(Some(Duration::ZERO));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = pass(near_in, far_out, Ways::Out, weather.clone()) => {}
        _ = pass(far_in, near_out, Ways::Back, weather) => {}
        _ = cuts.changed() => {}
    }
}

/// Passes one direction on, until its end or until what was lost makes it senseless.
async fn pass(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Ways,
    weather: watch::Receiver<Weather>,
) {
    let (send, underway) = mpsc::channel(UNDERWAY_MAX);
    let mut seen = weather.clone();
    // By reference, as dropping a half says goodbye to the other side.
    let writing = write(&mut to, way, weather, underway);
    let reading = async {
        let lost = read(from, way, &mut seen, send).await;
        // A loss shows when the weather has changed, not before.
        while lost && seen.borrow_and_update().loses(way) && seen.changed().await.is_ok() {}
        !lost
    };
    let (_, ended) = tokio::join!(writing, reading);
    if ended {
        // What has arrived must be read before a reset takes it away.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether anything was lost.
async fn read(
    mut from: OwnedReadHalf,
    way: Ways,
    weather: &mut watch::Receiver<Weather>,
    send: mpsc::Sender<(Instant, Vec<u8>)>,
) -> bool {
    let mut lost = false;
    loop {
        let mut piece = Vec::with_capacity(16 * 1024);
        tokio::select! {
            count = from.read_buf(&mut piece) => match count {
                Ok(0) | Err(_) => return lost,
                Ok(_) => {}
            },
            _ = weather.changed(), if lost => return true,
        }
        let now = *weather.borrow();
        if now.loses(way) {
            lost = true;
            continue;
        }
        let delay = match now {
            Weather::Delay(delay) => delay,
            _ => Duration::ZERO,
        };
        if lost || send.send((Instant::now() + delay, piece)).await.is_err() {
            return lost;
        }
    }
}

async fn write(
    to: &mut OwnedWriteHalf,
    way: Ways,
    mut weather: watch::Receiver<Weather>,
    mut underway: mpsc::Receiver<(Instant, Vec<u8>)>,
) {
    while let Some((due, piece)) = underway.recv().await {
        sleep_until(due).await;
        if weather.wait_for(|now| !now.stalls(way)).await.is_err()
            || to.write_all(&piece).await.is_err()
        {
            return;
        }
    }
}
