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

/// Gives signs of life, where they are wanted, for as long as messages come through the Hub and its workers.
///
/// A timer alone would tell that this thread lives, and nothing of those on which all depends.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix::Actor;
    use actix_rt::Arbiter;
    use tokio::sync::{mpsc, oneshot};
    use tokio::time::timeout;

    use super::*;
    use crate::config::{AuthKeys, Settings};
    use crate::hub::{Clock, Hub};

    /// Time for many signs of life, where there are any.
    const A_WHILE: Duration = Duration::from_millis(300);

    #[actix_rt::test]
    async fn a_hub_that_hangs_gives_no_sign_of_life_and_one_that_goes_on_does() {
        let settings = Arc::new(Settings::with_keys(AuthKeys::Secret(String::new())));
        let (arbiter, given, clock) = (Arbiter::new(), settings.clone(), Clock::system());
        let hub = Hub::start_in_arbiter(&arbiter.handle(), move |_| Hub::new(given, clock));
        let hub = HubHandle::new(hub, &settings, clock, None, None);
        let (sign, mut signs) = mpsc::unbounded_channel();
        let watched = signs_of_life(hub, Duration::from_millis(1), move || {
            let _ = sign.send(());
        });
        actix_rt::spawn(watched);
        for _ in 0..3 {
            signs.recv().await.unwrap();
        }
        // Only the Hub's own thread is held; this one, and its timers, go on.
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let (holds, is_held) = oneshot::channel();
        arbiter.spawn_fn(move || {
            let _ = holds.send(());
            let _ = held.recv();
        });
        is_held.await.unwrap();
        // What was answered before may still be on its way.
        while timeout(A_WHILE, signs.recv()).await.is_ok() {}
        assert!(timeout(A_WHILE, signs.recv()).await.is_err());
        let_go.send(()).unwrap();
        assert!(signs.recv().await.is_some());
        arbiter.stop();
    }
}
