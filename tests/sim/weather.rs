//! What kind of history a seed draws: limits scaled down until they bite, and how often what fails.

use std::time::Duration;

use statshub::domain::history;
use statshub::domain::hub;
use statshub::domain::outbox;

use crate::names::METRICS;
use crate::rng::Rng;

/// How often something happens, per mille of the chances it gets.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    pub publish: u32,
    pub batch: u32,
    pub targeted: u32,
    pub alert: u32,
    pub test: u32,
    pub connect: u32,
    pub drop: u32,
    /// A broken connection is noticed by its worker.
    pub notice: u32,
    pub stall: u32,
    pub recover: u32,
    /// Resume while the predecessor is still live.
    pub replace: u32,
    pub wrong_user: u32,
    pub steal: u32,
    pub honest: u32,
    pub fresh_session: u32,
    pub by_ticket: u32,
    pub resubscribe: u32,
    pub refresh: u32,
    pub short_token: u32,
    pub disconnect: u32,
    pub tick: u32,
    pub clean_up: u32,
    pub cursor: u32,
    pub clock_jump: u32,
    pub restart: u32,
    pub crash: u32,
    /// The writer commits, or fails to.
    pub commit: u32,
    pub failed_write: u32,
    /// Sessions that changed are handed to the writer, and positions.
    pub save: u32,
    pub heartbeat: u32,
    pub drain: u32,
    /// A channel with something in it moves.
    pub flow: u32,
}

#[derive(Debug, Clone)]
pub struct Weather {
    pub limits: hub::Limits,
    pub queue: outbox::Limits,
    pub users: usize,
    pub clients: usize,
    /// Steps that nothing waits longer in a channel.
    pub delay_max: u64,
    pub gauges: [bool; METRICS.len()],
    /// Gauge updates and others of the same metric mixed.
    pub gauges_mixed: bool,
    pub exact_names_only: bool,
    /// Weights of the priorities, lowest first.
    pub priorities: [usize; 4],
    /// Whether a worker throws the queue away before it asks for the position.
    pub abandons_first: bool,
    /// Whether there is a log that outlives the process, and what may be missing from it.
    pub stored: bool,
    pub retention: Retention,
    /// Ids of the log that are read at a start.
    pub ids_at_start: usize,
    pub rates: Rates,
}

/// How a log is kept from growing.
#[derive(Debug, Clone, Copy)]
pub enum Retention {
    Everything,
    /// The oldest go.
    Age,
    /// So many of each topic and priority stay.
    PerRing(usize),
}

impl Weather {
    pub fn draw(rng: &mut Rng) -> Self {
        let mut gauges = [false; METRICS.len()];
        if rng.per_mille(400) {
            gauges
                .iter_mut()
                .for_each(|gauge| *gauge = rng.per_mille(300));
        }
        let users = rng.between(2, 3);
        let limits = limits(rng);
        let ids = limits.history.counted_ids_max;
        let mut weather = Self {
            stored: rng.per_mille(600),
            retention: rng.pick(&[
                Retention::Everything,
                Retention::Everything,
                Retention::Age,
                Retention::PerRing(1),
                Retention::PerRing(12),
            ]),
            ids_at_start: rng.pick(&[ids, ids, ids.min(60), ids.min(10), 0]),
            limits,
            queue: outbox::Limits {
                messages_max: rng.between(2, 6),
                bytes_max: rng.pick(&[1 << 20, 1 << 20, 60]),
            },
            users,
            clients: rng.between(users, 7),
            delay_max: rng.pick(&[1, 4, 12]),
            gauges,
            gauges_mixed: rng.per_mille(200),
            exact_names_only: rng.per_mille(300),
            priorities: [0; 4].map(|_| rng.pick(&[1, 1, 3, 9])),
            abandons_first: rng.per_mille(500),
            rates: rates(rng),
        };
        let history = &mut weather.limits.history;
        history.user_bytes_max = rng.pick(&[1 << 30, 1 << 30, 1 << 30, 3_000, 900]);
        history.user_messages_max = rng.pick(&[1 << 20, 1 << 20, 1 << 20, 12, 3]);
        weather
    }

    /// Whether ids of messages that went are forgotten so early that counts must be carried along.
    pub fn forgets_counts(&self) -> bool {
        self.limits.history.counted_ids_max < 1000
    }

    /// Whether messages may have to go that a backlog of the contract would still hold.
    pub fn is_bounded_in_all(&self) -> bool {
        let history = &self.limits.history;
        history.bytes_max < 1 << 30
            || history.user_bytes_max < 1 << 30
            || history.user_messages_max < 1 << 20
    }
}

fn limits(rng: &mut Rng) -> hub::Limits {
    let per_user = rng.between(2, 3);
    hub::Limits {
        history: history::Limits {
            backlog_messages_max: rng.pick(&[8, 8, 8, 3, 1]),
            bytes_max: rng.pick(&[1 << 30, 1 << 30, 1 << 30, 9_000, 3_000]),
            user_bytes_max: 1 << 30,
            user_messages_max: 1 << 20,
            metrics_max: rng.pick(&[100, 100, 5]),
            counted_ids_max: rng.pick(&[1 << 20, 1 << 20, 1 << 20, 40, 3, 0]),
        },
        connections_per_user_max: per_user,
        connections_max: rng.pick(&[100, 100, 4]),
        away_max: rng.pick(&[100, 100, 3]),
        session_timeout: Duration::from_millis(rng.pick(&[100_000, 3_000, 600])),
        metric_idle_timeout: Duration::from_millis(rng.pick(&[100_000, 100])),
        ttls: Vec::new(),
    }
}

fn rates(rng: &mut Rng) -> Rates {
    Rates {
        publish: rng.pick(&[100, 400, 900]),
        batch: rng.pick(&[0, 100, 400]),
        targeted: rng.pick(&[0, 150, 500]),
        alert: rng.pick(&[0, 50, 200]),
        test: rng.pick(&[0, 50]),
        connect: rng.pick(&[30, 150, 500]),
        drop: rng.pick(&[0, 3, 20]),
        notice: rng.pick(&[20, 150, 1000]),
        stall: rng.pick(&[0, 5, 30]),
        recover: rng.pick(&[10, 50]),
        replace: rng.pick(&[0, 2, 10]),
        wrong_user: rng.pick(&[0, 30]),
        steal: rng.pick(&[0, 0, 20]),
        honest: rng.pick(&[0, 500, 1000]),
        fresh_session: rng.pick(&[0, 100, 400]),
        by_ticket: rng.pick(&[0, 100]),
        resubscribe: rng.pick(&[0, 5, 30]),
        refresh: rng.pick(&[0, 10]),
        short_token: rng.pick(&[0, 0, 300]),
        disconnect: rng.pick(&[0, 0, 3]),
        tick: rng.pick(&[20, 200]),
        clean_up: rng.pick(&[0, 0, 10]),
        cursor: rng.pick(&[0, 20, 200]),
        clock_jump: rng.pick(&[0, 0, 3]),
        restart: rng.pick(&[0, 0, 0, 2]),
        crash: rng.pick(&[1, 2, 6]),
        commit: rng.pick(&[100, 400, 1000]),
        failed_write: rng.pick(&[0, 0, 20]),
        save: rng.pick(&[30, 200, 1000]),
        heartbeat: rng.pick(&[10, 100, 500]),
        drain: rng.pick(&[0, 0, 0, 1]),
        flow: rng.pick(&[200, 600, 1000]),
    }
}
