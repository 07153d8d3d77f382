//! How often one address or one user may ask.
//!
//! Two limits: per address before anything is known of the caller ([`per_ip`]), and per user after
//! authentication ([`Rates::turn_of_user`]).
//!
//! Callers are hashed into [`BUCKETS`] buckets, with a key of this process's own, instead of being
//! kept one by one. So memory is bounded whatever comes and nothing needs cleaning up; in exchange
//! two callers share a bucket at a chance of 1 in 65,536, which nobody can aim at.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::ACCEPT;
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::client;
use super::reply::Problem;
use super::state::State;
use crate::config;
use crate::domain::message::UserId;
use crate::telemetry::counters::Counter;
use crate::transport::sockets::network;

/// Callers told apart, at most; some 40 bytes each.
pub const BUCKETS: usize = 1 << 16;
/// How long a stream's request waits for its turn. A native EventSource that is refused once never
/// comes back, so a stream is made to wait where anything else gets 429.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(2);

type Bucket = u16;

/// The limits per address and per user. One for all workers.
pub struct Rates<C: Clock = DefaultClock> {
    hash: RandomState,
    clock: C,
    per_ip: Option<Limiter<C>>,
    per_user: Option<Limiter<C>>,
}

type Limiter<C> =
    RateLimiter<Bucket, DashMapStateStore<Bucket>, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl Rates {
    pub fn new(limits: &config::Limits) -> Self {
        Self::with_clock(limits, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    /// A rate of 0 means no limit.
    pub fn with_clock(limits: &config::Limits, clock: C) -> Self {
        let limiter = |per_second, burst| {
            let quota = Quota::per_second(NonZeroU32::new(per_second)?);
            let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
            Some(RateLimiter::new(
                quota,
                DashMapStateStore::default(),
                clock.clone(),
            ))
        };
        Self {
            hash: RandomState::new(),
            per_ip: limiter(limits.per_ip_per_second, limits.per_ip_burst),
            per_user: limiter(limits.per_user_per_second, limits.per_user_burst),
            clock,
        }
    }

    /// # Errors
    /// 429 `rate_limited`, with the time after which the next request will pass.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), Problem> {
        self.check(self.per_ip.as_ref(), network(ip))
            .map_err(Problem::rate_limited)
    }

    /// Of this hub alone; `Err` with the time after which the next request will pass.
    ///
    /// # Errors
    /// The user has asked too often.
    pub fn turn_of_user(&self, user: &UserId) -> Result<(), Duration> {
        self.check(self.per_user.as_ref(), user)
    }

    /// As [`Rates::check_ip`], for a stream: waits up to [`STREAM_PATIENCE`] first.
    pub async fn wait_ip(&self, ip: IpAddr) -> Result<(), Problem> {
        patiently(STREAM_PATIENCE, || {
            self.check(self.per_ip.as_ref(), network(ip))
        })
        .await
    }

    /// `Err` with the time to wait.
    fn check(&self, limiter: Option<&Limiter<C>>, caller: impl Hash) -> Result<(), Duration> {
        let Some(limiter) = limiter else {
            return Ok(());
        };
        let bucket = self.hash.hash_one(caller) as Bucket;
        let refused = limiter.check_key(&bucket).err();
        refused.map_or(Ok(()), |until| Err(until.wait_time_from(self.clock.now())))
    }
}

/// Asks again each time it was told to wait, for as long as the patience lasts. Others who wait may
/// be quicker, so one wait may not be enough.
async fn patiently(
    mut patience: Duration,
    check: impl Fn() -> Result<(), Duration>,
) -> Result<(), Problem> {
    while let Err(wait) = check() {
        // Timers count whole milliseconds, and a wait of none would spin.
        let wait = wait.max(Duration::from_millis(1));
        let rest = patience.checked_sub(wait);
        patience = rest.ok_or_else(|| Problem::rate_limited(wait))?;
        actix_rt::time::sleep(wait).await;
    }
    Ok(())
}

/// Middleware: the limit per address.
///
/// Health and `/metrics` are exempt. They cost no more than the refusal would; and where many
/// clients share a proxy's address, a flood of theirs must not make the supervisor take the hub
/// for dead, nor blind the monitoring just then.
pub async fn per_ip(
    state: web::Data<State>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let ip = client::remote(req.request());
    let rates = state.rates.load_full();
    let verdict = match () {
        () if is_exempt(req.path()) => Ok(()),
        () if wants_stream(&req) => rates.wait_ip(ip).await,
        () => rates.check_ip(ip),
    };
    match verdict {
        Ok(()) => next
            .call(req)
            .await
            .map(ServiceResponse::map_into_boxed_body),
        Err(problem) => {
            state.counters.count(Counter::RateLimitedIp);
            Ok(req.into_response(problem.error_response()))
        }
    }
}

fn is_exempt(path: &str) -> bool {
    let health = path
        .strip_prefix("/api")
        .unwrap_or(path)
        .strip_prefix("/health");
    path == "/metrics" || health.is_some_and(|rest| matches!(rest, "" | "/live" | "/ready"))
}

fn wants_stream(req: &ServiceRequest) -> bool {
    let accept = req
        .headers()
        .get(ACCEPT)
        .map_or(&b""[..], |value| value.as_bytes());
    accept.starts_with(b"text/event-stream")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;
    use actix_web::http::header::RETRY_AFTER;
    use governor::clock::FakeRelativeClock;

    fn limits() -> config::Limits {
        config::Limits {
            per_ip_per_second: 10,
            per_ip_burst: 3,
            per_user_per_second: 1,
            per_user_burst: 2,
            failed_resumes_per_minute: 10,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::with_clock(&limits(), clock.clone());
        let passes = || rates.check_ip(ip("192.0.2.1")).is_ok();
        assert_eq!(
            [passes(), passes(), passes(), passes()],
            [true, true, true, false]
        );
        clock.advance(Duration::from_millis(99));
        assert!(!passes());
        clock.advance(Duration::from_millis(1));
        assert_eq!([passes(), passes()], [true, false]);
        clock.advance(Duration::from_secs(60));
        assert_eq!(
            [passes(), passes(), passes(), passes()],
            [true, true, true, false]
        );
    }

    #[test]
    fn one_caller_does_not_use_up_what_another_may() {
        let rates = Rates::with_clock(&limits(), FakeRelativeClock::default());
        while rates.check_ip(ip("192.0.2.1")).is_ok() {}
        while rates.turn_of_user(&user("greedy")).is_ok() {}
        assert!(rates.check_ip(ip("192.0.2.2")).is_ok());
        assert!(rates.turn_of_user(&user("modest")).is_ok());
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        let rates = Rates::with_clock(&limits(), FakeRelativeClock::default());
        let passes = |text| rates.check_ip(ip(text)).is_ok();
        let same = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::ffff:1:2:3",
            "2001:db8::4",
        ];
        assert_eq!(same.map(passes), [true, true, true, false]);
        assert!(passes("2001:db8:0:1::1"));
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let rates = Rates::with_clock(&limits(), FakeRelativeClock::default());
        let refusal = (0..4)
            .find_map(|_| rates.check_ip(ip("192.0.2.1")).err())
            .unwrap();
        assert_eq!(refusal.code().as_str(), "rate_limited");
        let answer = refusal.error_response();
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "1");
    }

    #[test]
    fn a_rate_of_zero_means_no_limit() {
        let none = config::Limits {
            per_ip_per_second: 0,
            per_user_per_second: 0,
            ..limits()
        };
        let rates = Rates::with_clock(&none, FakeRelativeClock::default());
        assert!((0..1000).all(|_| rates.check_ip(ip("::1")).is_ok()));
        assert!((0..1000).all(|_| rates.turn_of_user(&user("u")).is_ok()));
    }

    /// Attack: a flood of requests by one user or address.
    #[test]
    fn memory_is_bounded_by_the_number_of_buckets() {
        let rates = Rates::with_clock(&limits(), FakeRelativeClock::default());
        for n in 0..3 * BUCKETS as u32 {
            _ = rates.check_ip(IpAddr::V4(n.into()));
        }
        assert!(rates.per_ip.unwrap().len() <= BUCKETS);
    }

    /// Attack: a flood of requests by one user or address.
    #[actix_rt::test]
    async fn a_stream_waits_for_its_turn_and_is_refused_when_that_takes_too_long() {
        const MS: Duration = Duration::from_millis(1);
        let asked = &Cell::new(0);
        let turn_comes_at = |turn| {
            asked.set(0);
            let check = move || match asked.replace(asked.get() + 1) {
                count if count == turn => Ok(()),
                _ => Err(2 * MS),
            };
            patiently(10 * MS, check)
        };
        assert!(turn_comes_at(0).await.is_ok());
        assert!(turn_comes_at(5).await.is_ok());
        assert!(turn_comes_at(6).await.is_err());
        assert_eq!(asked.get(), 6);
        let begun = Instant::now();
        assert!(
            patiently(STREAM_PATIENCE, || Err(2 * STREAM_PATIENCE))
                .await
                .is_err()
        );
        assert!(
            begun.elapsed() < STREAM_PATIENCE,
            "no wait that cannot help"
        );
    }

    #[test]
    fn health_and_metrics_are_exempt_and_nothing_that_looks_like_them() {
        let check = |path, expected| assert_eq!(is_exempt(path), expected, "{path}");
        for path in [
            "/api/health",
            "/health",
            "/health/live",
            "/api/health/ready",
            "/metrics",
        ] {
            check(path, true);
        }
        for path in [
            "/",
            "/healthy",
            "/health/x",
            "/metrics/x",
            "/api/admin/analytics/metrics",
        ] {
            check(path, false);
        }
    }
}
