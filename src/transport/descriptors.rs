//! How many sockets the process can have, by the descriptors that it may open.

use crate::config::Settings;

/// What the process has open itself: standard streams, log files, the store and its readers, connections to
/// Redis, to databases and to an issuer.
const OWN: usize = 64;
/// What one worker thread has open before there is a connection.
const WORKER: usize = 8;
/// Connections that the second listener takes in.
pub const HEALTH_CONNECTIONS: usize = 64;
/// What actix drives has its descriptor and ours.
const DRIVEN: usize = 2;
/// One in so many is left for those that are accepted and not looked at yet.
const SPARE_SHARE: usize = 10;

/// What the operating system allows, and what of it is for sockets of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// All that the process may open.
    pub max: usize,
    /// Of these, those of sockets of clients.
    pub for_sockets: usize,
}

impl Descriptors {
    /// Under the limit that is in force. `None`: the system does not tell.
    pub fn of(settings: &Settings) -> Option<Self> {
        let max = rlimit::Resource::NOFILE.get_soft().ok()?;
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Some(Self::under(max, settings))
    }

    fn under(max: usize, settings: &Settings) -> Self {
        let health = settings
            .http
            .health_listen
            .map_or(0, |_| HEALTH_CONNECTIONS);
        let own = OWN + WORKER * settings.http.workers() + settings.sources.len() + health;
        // However little it is, some of it is for clients.
        let rest = max.saturating_sub(own).max(max / 4);
        let for_sockets = rest - rest / SPARE_SHARE;
        Self { max, for_sockets }
    }

    /// How many sockets there may be that carry no stream, or one that actix drives.
    pub fn driven_max(&self) -> usize {
        (self.for_sockets / DRIVEN).max(1)
    }

    /// Whether there are enough for as many streams as the settings allow.
    pub fn suffice_for_streams(&self, settings: &Settings) -> bool {
        taken_by_streams(settings) <= self.for_sockets
    }

    /// Whether there are enough for these and all other sockets that the settings allow.
    pub fn suffice(&self, settings: &Settings) -> bool {
        let others = settings.http.sockets_max - streams(settings);
        taken_by_streams(settings) + others * DRIVEN <= self.for_sockets
    }
}

fn streams(settings: &Settings) -> usize {
    settings
        .sessions
        .connections_max
        .min(settings.http.sockets_max)
}

fn taken_by_streams(settings: &Settings) -> usize {
    let each = if settings.detaches() { 1 } else { DRIVEN };
    streams(settings) * each
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthKeys, Driver};

    fn settings() -> Settings {
        let mut settings = Settings::with_keys(AuthKeys::Secret(String::new()));
        settings.http.workers = 4;
        settings
    }

    /// Attack: using up the descriptors (EMFILE).
    #[test]
    fn what_the_process_has_itself_is_not_for_sockets() {
        let check = |max, for_sockets, driven_max| {
            let descriptors = Descriptors::under(max, &settings());
            assert_eq!(descriptors, Descriptors { max, for_sockets });
            assert_eq!(descriptors.driven_max(), driven_max, "of {max}");
        };
        check(65_536, 58_896, 29_448);
        check(1024, 836, 418);
        check(256, 144, 72);
        check(8, 2, 1);
        check(1, 0, 1);
        assert!(Descriptors::under(usize::MAX, &settings()).for_sockets > usize::MAX / 2);
    }

    #[test]
    fn what_is_shipped_fits_what_the_documents_ask_for() {
        let mut settings = settings();
        let suffice =
            |max, settings: &Settings| Descriptors::under(max, settings).suffice(settings);
        assert!(suffice(65_536, &settings) && !suffice(30_000, &settings));
        let descriptors = Descriptors::under(30_000, &settings);
        assert!(descriptors.suffice_for_streams(&settings));
        settings.outgoing.driver = Driver::Body;
        assert!(suffice(65_536, &settings) && !suffice(50_000, &settings));
        settings.http.sockets_max = 10;
        assert!(suffice(256, &settings));
    }
}
