//! What a service manager is told, and what it gives: `sd_notify(3)` and sockets that it has opened.
//!
//! Without one all of this does nothing.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::sleep;

use crate::hub::HubHandle;

/// Signs of life within the time that the service manager allows: one may come late, or get lost.
const SIGNS_WITHIN_LIMIT: u32 = 3;

/// Takes over the sockets that the service manager has opened; none where there are none.
///
/// # Errors
/// One of them does not listen on TCP.
pub fn listeners() -> anyhow::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for nth in 0..given.len() {
        let listener = given.take_tcp_listener(nth);
        let listener = listener.context(
            "a socket was passed that does not listen on TCP; see ListenStream= of the unit",
        )?;
        if let Some(listener) = listener {
            listener
                .set_nonblocking(true)
                .context("a socket that was passed")?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// In development mode the secret is known to all: nobody else may reach it.
///
/// # Errors
/// One of `listeners` can be reached from elsewhere.
pub fn stay_on_loopback(listeners: &[TcpListener]) -> anyhow::Result<()> {
    for listener in listeners {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            bail!("development mode stays on loopback, and was passed a socket on {address}");
        }
    }
    Ok(())
}

/// It takes requests.
pub fn ready(address: SocketAddr) {
    let status = format!("listening on {address}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Settings are being read again, until [`ready`] is told once more.
pub fn reloading() {
    // systemd tells by the time which of several reloads this is about.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("no monotonic time: {error}"),
    }
}

/// It drains.
pub fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("draining: streams are told to come back"),
    ]);
}

/// Gives signs of life, where they are wanted, for as long as the Hub answers.
///
/// A timer alone would tell that this thread lives, and nothing of the one on which all depends.
pub fn watch(hub: HubHandle) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        log::debug!("signs of life are wanted within {limit:?}");
        let alive = || tell(&[NotifyState::Watchdog]);
        actix_rt::spawn(signs_of_life(hub, limit / SIGNS_WITHIN_LIMIT, alive));
    }
}

/// However long the Hub takes: that it is slow is no reason to kill it before the limit.
async fn signs_of_life(hub: HubHandle, every: Duration, alive: impl Fn()) {
    while hub.pulse().await {
        alive();
        sleep(every).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("the service manager cannot be told: {error}");
    }
}
