//! Hubs and their log, as they are measured.

use std::net::SocketAddr;
use std::ops::Sub;
use std::time::Duration;

use crate::hub::{Hub, Start, processor_time};
use crate::redis::{Books, Redis};

/// How many hubs, and where their log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One hub without Redis.
    Alone,
    /// Hubs over one Redis.
    Hubs(usize),
    /// Hubs over a primary and a replica, which has a message before it is acknowledged.
    Replicated(usize),
}

impl Shape {
    pub fn hubs(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Hubs(count) | Self::Replicated(count) => count,
        }
    }
}

pub struct Site {
    pub hubs: Vec<Hub>,
    _replica: Option<Redis>,
    redis: Option<Redis>,
}

impl Site {
    pub async fn start(shape: Shape) -> Self {
        Self::with(shape, None).await
    }

    /// With heartbeats at another pace than usual.
    pub async fn with(shape: Shape, heartbeat: Option<Duration>) -> Self {
        let redis = match shape {
            Shape::Alone => None,
            Shape::Hubs(_) | Shape::Replicated(_) => Some(Redis::start().await),
        };
        let replica = match (&redis, shape) {
            (Some(primary), Shape::Replicated(_)) => Some(Redis::replica_of(primary).await),
            _ => None,
        };
        let start = Start {
            redis: redis.as_ref().map(Redis::url),
            replicas: replica.iter().count(),
            heartbeat,
        };
        let mut hubs = Vec::new();
        for _ in 0..shape.hubs() {
            hubs.push(Hub::start(&start).await);
        }
        Self {
            hubs,
            _replica: replica,
            redis,
        }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.hubs.iter().map(|hub| hub.address).collect()
    }

    /// Of a site that has one.
    pub fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a Redis")
    }

    pub async fn spent(&mut self) -> Spent {
        let redis = match &mut self.redis {
            Some(redis) => redis.books().await,
            None => Books::default(),
        };
        let mut hubs_us = self.hubs.iter().map(|hub| micros(hub.process()));
        Spent {
            first_us: hubs_us.next().unwrap_or_default(),
            others_us: hubs_us.sum(),
            bench_us: micros(std::process::id()),
            redis,
        }
    }
}

fn micros(process: u32) -> f64 {
    processor_time(process).as_secs_f64() * 1e6
}

/// What a site has used since it began; or, of two of them, between them. Times are the processor's, in
/// microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub first_us: f64,
    /// Of all hubs but the first.
    pub others_us: f64,
    /// This program: publishers and subscribers.
    pub bench_us: f64,
    /// Of the primary.
    pub redis: Books,
}

impl Spent {
    pub fn hubs_us(&self) -> f64 {
        self.first_us + self.others_us
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            first_us: self.first_us - before.first_us,
            others_us: self.others_us - before.others_us,
            bench_us: self.bench_us - before.bench_us,
            redis: self.redis - before.redis,
        }
    }
}
