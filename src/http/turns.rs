//! How often one user may ask, and the tickets that wait to be used: over all hubs, where there are several.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limit::STREAM_PATIENCE;
use super::reply::Problem;
use super::state::State;
use crate::auth::{Identity, TakenTicket, TicketHash};
use crate::broker::redis::{Away, Redis, Spent};
use crate::config::Limits;
use crate::domain::message::UserId;
use crate::hub::Error;

/// Part of a second's allowance that a hub takes at once, so that not every request asks Redis.
const HANDFULS_PER_SECOND: u32 = 10;
/// For how long a hub may use what it took.
const HANDFUL_KEPT: Duration = Duration::from_secs(1);
/// Users with a handful, at most.
const HANDFULS_MAX: usize = 10_000;

/// What this hub has taken of what all hubs allow a user.
#[derive(Debug, Default)]
pub struct Handfuls(Mutex<HashMap<UserId, Handful>>);

#[derive(Debug)]
struct Handful {
    left: u32,
    until: Instant,
}

impl Handfuls {
    /// One of what is left; false where nothing is.
    fn take(&self, user: &UserId) -> bool {
        let mut held = self.lock();
        let Some(handful) = held.get_mut(user) else {
            return false;
        };
        let is_there = handful.left > 0 && handful.until > Instant::now();
        handful.left = handful.left.saturating_sub(1);
        is_there
    }

    fn put(&self, user: &UserId, left: u32) {
        if left == 0 {
            return;
        }
        let mut held = self.lock();
        let now = Instant::now();
        if held.len() >= HANDFULS_MAX {
            held.retain(|_, handful| handful.until > now);
        }
        if held.len() < HANDFULS_MAX {
            let until = now + HANDFUL_KEPT;
            held.insert(user.clone(), Handful { left, until });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Handful>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a user may ask now.
    ///
    /// # Errors
    /// 429 `rate_limited`, with the time after which the next request will pass.
    pub async fn check_user(&self, user: &UserId) -> Result<(), Problem> {
        self.turn(user).await.map_err(Problem::rate_limited)
    }

    /// As [`State::check_user`], for a stream: waits up to [`STREAM_PATIENCE`] first.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub async fn wait_user(&self, user: &UserId) -> Result<(), Problem> {
        let mut patience = STREAM_PATIENCE;
        while let Err(wait) = self.turn(user).await {
            // Timers count whole milliseconds, and a wait of none would spin.
            let wait = wait.max(Duration::from_millis(1));
            let rest = patience.checked_sub(wait);
            patience = rest.ok_or_else(|| Problem::rate_limited(wait))?;
            actix_rt::time::sleep(wait).await;
        }
        Ok(())
    }

    async fn turn(&self, user: &UserId) -> Result<(), Duration> {
        let limits = &self.settings.load().limits;
        if let Some(redis) = self.hub.shared_log()
            && limits.per_user_per_second > 0
            && let Ok(turn) = self.shared_turn(&redis, limits, user).await
        {
            return turn;
        }
        // Alone, or Redis is away: then each hub counts for itself.
        self.rates.load().turn_of_user(user)
    }

    async fn shared_turn(
        &self,
        redis: &Redis,
        limits: &Limits,
        user: &UserId,
    ) -> Result<Result<(), Duration>, Away> {
        if self.handfuls.take(user) {
            return Ok(Ok(()));
        }
        let (rate, burst) = (limits.per_user_per_second, limits.per_user_burst.max(1));
        let wanted = (rate / HANDFULS_PER_SECOND).max(1);
        Ok(match redis.spend(user, rate, burst, wanted).await? {
            Spent::Taken(taken) => {
                self.handfuls.put(user, taken - 1);
                Ok(())
            }
            Spent::Wait(wait) => Err(wait),
        })
    }

    /// A new ticket, for any hub.
    ///
    /// # Errors
    /// 503 where hubs share tickets and Redis is away.
    pub async fn issue_ticket(&self, identity: Identity) -> Result<String, Problem> {
        let now_ms = self.now_ms();
        let (text, ticket) = self.tickets.make(identity, now_ms);
        match self.hub.shared_log() {
            None => self.tickets.put(ticket, now_ms),
            Some(redis) => share_ticket(&redis, &ticket, now_ms)
                .await
                .map_err(Error::from)?,
        }
        Ok(text)
    }

    /// Uses a ticket up: of any number of callers, at whichever hub, one gets it.
    ///
    /// # Errors
    /// 503 where hubs share tickets and Redis is away.
    pub async fn take_ticket(&self, text: &str) -> Result<Option<TakenTicket>, Problem> {
        let now_ms = self.now_ms();
        let Some(redis) = self.hub.shared_log() else {
            return Ok(self.tickets.take(text, now_ms));
        };
        let hash = TicketHash::of(text).to_string();
        let words = redis.take_ticket(&hash).await.map_err(Error::from)?;
        let ticket = words.and_then(|words| serde_json::from_str::<TakenTicket>(&words).ok());
        Ok(ticket.filter(|ticket| ticket.is_good(now_ms)))
    }

    /// Undoes [`State::take_ticket`], for the rest of the ticket's time.
    pub async fn put_back_ticket(&self, ticket: TakenTicket) {
        let now_ms = self.now_ms();
        match self.hub.shared_log() {
            None => self.tickets.put(ticket, now_ms),
            Some(redis) => {
                if let Err(error) = share_ticket(&redis, &ticket, now_ms).await {
                    log::debug!("a ticket is lost: {error}");
                }
            }
        }
    }
}

async fn share_ticket(redis: &Redis, ticket: &TakenTicket, now_ms: u64) -> Result<(), Away> {
    // Cannot fail: strings, numbers and lists of them.
    let words = serde_json::to_string(ticket).unwrap_or_default();
    let left = ticket.time_left(now_ms);
    redis
        .put_ticket(&ticket.hash.to_string(), &words, left)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handful_is_used_up_one_by_one() {
        let handfuls = Handfuls::default();
        let user = UserId::parse("ann").unwrap();
        assert!(!handfuls.take(&user));
        handfuls.put(&user, 2);
        let taken = [(); 3].map(|()| handfuls.take(&user));
        assert_eq!(taken, [true, true, false]);
        handfuls.put(&user, 0);
        assert!(!handfuls.take(&user));
    }
}
