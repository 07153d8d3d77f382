//! One-time tickets: a stand-in for a JWT where it would have to go into a URL.
//!
//! A ticket is random text that opens one session within a short time. Only its hash is kept, so that
//! nothing the hub stores or prints can be used; the hub remembers the hash with the session that the
//! ticket opened, and by it admits the native EventSource that comes back with the same URL.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::token::Identity;
use crate::wire::hex::Hex;

/// Tickets that wait to be used, over all users. Beyond it the one that would expire first goes.
pub const TICKETS_MAX: usize = 10_000;

/// SHA-256 of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketHash(pub [u8; 32]);

impl fmt::Display for TicketHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl TicketHash {
    pub fn of(ticket: &str) -> Self {
        Self(Sha256::digest(ticket).into())
    }
}

impl From<TicketHash> for [u8; 32] {
    fn from(hash: TicketHash) -> Self {
        hash.0
    }
}

/// A ticket that has been used, and can be put back when what it opened was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenTicket {
    pub hash: TicketHash,
    pub identity: Identity,
    expires_at_ms: u64,
}

impl TakenTicket {
    /// Whether its time is not over.
    pub fn is_good(&self, now_ms: u64) -> bool {
        now_ms < self.expires_at_ms
    }

    /// The rest of its time.
    pub fn time_left(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.expires_at_ms.saturating_sub(now_ms))
    }
}

/// The tickets that wait to be used. Clones share them.
#[derive(Clone)]
pub struct Tickets {
    ttl_ms: Arc<AtomicU64>,
    waiting: Arc<Mutex<HashMap<TicketHash, Waiting>>>,
}

struct Waiting {
    identity: Identity,
    expires_at_ms: u64,
}

impl Tickets {
    /// Each ticket can be used within `ttl`.
    pub fn new(ttl: Duration) -> Self {
        let tickets = Self {
            ttl_ms: Arc::default(),
            waiting: Arc::default(),
        };
        tickets.set_ttl(ttl);
        tickets
    }

    /// How long a new ticket can be used.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms.load(Ordering::Relaxed))
    }

    /// Changes how long new tickets can be used; those already given out keep their time.
    pub fn set_ttl(&self, ttl: Duration) {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.ttl_ms.store(ttl_ms, Ordering::Relaxed);
    }

    /// A new ticket for `identity`, which nobody can use before it is [`Tickets::put`]. `now_ms` is
    /// milliseconds since the Unix epoch, here and below.
    pub fn make(&self, identity: Identity, now_ms: u64) -> (String, TakenTicket) {
        // Two random UUIDs are 244 bits from the operating system in text fit for a URL.
        let text = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let ttl_ms = self.ttl_ms.load(Ordering::Relaxed);
        let expires_at_ms = now_ms.saturating_add(ttl_ms).min(identity.expires_at_ms);
        let ticket = TakenTicket {
            hash: TicketHash::of(&text),
            identity,
            expires_at_ms,
        };
        (text, ticket)
    }

    /// Uses a ticket up. Of any number of callers with the same one exactly one gets it; `None` also
    /// where it is unknown or its time is over.
    pub fn take(&self, ticket: &str, now_ms: u64) -> Option<TakenTicket> {
        let hash = TicketHash::of(ticket);
        let Waiting {
            identity,
            expires_at_ms,
        } = self.lock().remove(&hash)?;
        (now_ms < expires_at_ms).then_some(TakenTicket {
            hash,
            identity,
            expires_at_ms,
        })
    }

    /// From now on a ticket can be used, for the rest of its time: one that was made, or one that was taken
    /// for nothing.
    pub fn put(&self, ticket: TakenTicket, now_ms: u64) {
        let TakenTicket {
            hash,
            identity,
            expires_at_ms,
        } = ticket;
        let mut waiting = self.lock();
        if waiting.len() >= TICKETS_MAX {
            make_room(&mut waiting, now_ms);
        }
        waiting.insert(
            hash,
            Waiting {
                identity,
                expires_at_ms,
            },
        );
    }

    /// Forgets the tickets whose time is over, for a timer to call.
    pub fn forget_expired(&self, now_ms: u64) {
        self.lock().retain(|_, it| now_ms < it.expires_at_ms);
    }

    /// Every change is a single call on the map, so one that panicked has left it whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<TicketHash, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(waiting: &mut HashMap<TicketHash, Waiting>, now_ms: u64) {
    waiting.retain(|_, it| now_ms < it.expires_at_ms);
    if waiting.len() < TICKETS_MAX {
        return;
    }
    let first = waiting.iter().min_by_key(|(_, it)| it.expires_at_ms);
    if let Some(hash) = first.map(|(hash, _)| *hash) {
        waiting.remove(&hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::UserId;
    use std::sync::Barrier;

    fn issue(tickets: &Tickets, user: &str, now_ms: u64) -> String {
        let (text, ticket) = tickets.make(identity(user), now_ms);
        tickets.put(ticket, now_ms);
        text
    }

    const TTL: Duration = Duration::from_secs(30);

    fn identity(user: &str) -> Identity {
        Identity {
            user: UserId::parse(user).unwrap(),
            roles: vec!["platform_admin".into()],
            expires_at_ms: 1_000_000,
            issued_at_ms: None,
            token_id: None,
        }
    }

    #[test]
    fn a_ticket_works_once_for_its_user() {
        let tickets = Tickets::new(TTL);
        let (a, b) = (issue(&tickets, "a", 0), issue(&tickets, "b", 0));
        assert_eq!(tickets.take(&a, 1).unwrap().identity, identity("a"));
        assert_eq!(tickets.take(&a, 1), None);
        assert_eq!(tickets.take("guess", 1), None);
        assert_eq!(tickets.take(&b, 1).unwrap().hash, TicketHash::of(&b));
    }

    #[test]
    fn a_ticket_waits_for_its_time_and_no_longer_than_its_token() {
        let tickets = Tickets::new(TTL);
        for (issued, taken, works) in [
            (0, 29_999, true),
            (0, 30_000, false),
            (990_000, 999_999, true),
            (990_000, 1_000_000, false),
        ] {
            let ticket = issue(&tickets, "a", issued);
            assert_eq!(
                tickets.take(&ticket, taken).is_some(),
                works,
                "{issued} {taken}"
            );
        }
    }

    #[test]
    fn a_ticket_put_back_works_for_the_rest_of_its_time() {
        let tickets = Tickets::new(TTL);
        let ticket = issue(&tickets, "a", 0);
        tickets.put(tickets.take(&ticket, 10_000).unwrap(), 10_000);
        let again = tickets.take(&ticket, 29_999).unwrap();
        tickets.put(again, 29_999);
        assert_eq!(tickets.take(&ticket, 30_000), None);
    }

    /// Attack: a ticket used more than once, late, or for something else.
    #[test]
    fn of_a_hundred_parallel_uses_exactly_one_wins() {
        let tickets = Tickets::new(TTL);
        let ticket = issue(&tickets, "a", 0);
        let start = Barrier::new(100);
        let one = || {
            start.wait();
            tickets.take(&ticket, 1).is_some()
        };
        let wins = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100).map(|_| scope.spawn(one)).collect();
            threads
                .into_iter()
                .filter_map(|it| it.join().ok())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(wins, 1);
    }

    /// Attack: a ticket used more than once, late, or for something else.
    #[test]
    fn the_number_of_tickets_is_bounded_and_the_first_to_expire_goes() {
        let tickets = Tickets::new(TTL);
        let first = issue(&tickets, "a", 0);
        let second = issue(&tickets, "a", 1);
        for _ in 2..=TICKETS_MAX {
            issue(&tickets, "b", 2);
        }
        assert_eq!(tickets.lock().len(), TICKETS_MAX);
        assert_eq!(tickets.take(&first, 3), None);
        assert!(tickets.take(&second, 3).is_some());
        tickets.forget_expired(30_002);
        assert_eq!(tickets.lock().len(), 0);
    }

    /// Attack: a ticket used more than once, late, or for something else.
    #[test]
    fn a_ticket_is_long_random_text_fit_for_a_url_and_is_not_kept() {
        let tickets = Tickets::new(TTL);
        let ticket = issue(&tickets, "a", 0);
        assert!(ticket.len() == 64 && ticket.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(ticket, issue(&tickets, "a", 0));
        let known: [u8; 32] = TicketHash::of("abc").into();
        assert_eq!(known[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
