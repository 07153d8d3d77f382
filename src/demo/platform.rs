//! What happens on the simulated platform: people sign up, chat, make content and spend credits,
//! and schools buy more when they run low. Times are seconds since the Unix epoch.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

const SCHOOLS: [&str; 24] = [
    "Alder Grove",
    "Bayview",
    "Birchwood",
    "Brookside",
    "Cedar Hill",
    "Clearwater",
    "Cypress Point",
    "Eastgate",
    "Fairmont",
    "Foxglove",
    "Glenwood",
    "Harbour",
    "Hawthorn",
    "Juniper",
    "Kingsway",
    "Lakeside",
    "Maple Leaf",
    "Northfield",
    "Oak Ridge",
    "Pinecrest",
    "Riverbend",
    "Stonebridge",
    "Willow Creek",
    "Zephyr Hills",
];
/// Plan, credits in a pack; the schema has their prices.
const PLANS: [(&str, i64); 3] = [("starter", 100), ("team", 250), ("district", 600)];
const TYPES: [&str; 3] = ["lesson", "quiz", "worksheet"];
const SUBJECTS: [&str; 6] = ["maths", "english", "science", "history", "geography", "art"];

const FOUNDING_USERS: usize = 600;
/// What happens in an hour at noon, once the platform has grown up.
const SIGN_UPS_PER_HOUR: f64 = 240.0;
const SESSIONS_PER_HOUR: f64 = 7200.0;
const CONTENT_PER_HOUR: f64 = 240.0;
/// How long it takes to grow up from almost nothing.
const GROWTH_SECONDS: f64 = 3.0 * 24.0 * 3600.0;
const SESSION_SECONDS: std::ops::Range<i64> = 20..320;
const SECONDS_PER_MESSAGE: i64 = 15;
const MESSAGES_PER_CREDIT: i64 = 3;
const CREDITS_PER_CONTENT: i64 = 5;
/// A school with fewer buys a pack.
const CREDITS_LOW: i64 = 30;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct School {
    pub id: i64,
    pub name: String,
    pub plan: &'static str,
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    pub id: i64,
    pub school: i64,
    pub role: &'static str,
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Content {
    pub id: i64,
    pub author: i64,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub subject: &'static str,
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    pub id: i64,
    pub user: i64,
    pub content: Option<i64>,
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ending {
    pub session: i64,
    pub messages: i64,
    pub at: i64,
}

/// Credits bought (above zero) or spent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Credits {
    pub school: i64,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub amount: i64,
    pub at: i64,
}

/// All that happened in one step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Happened {
    pub schools: Vec<School>,
    pub users: Vec<User>,
    pub content: Vec<Content>,
    pub sessions: Vec<Session>,
    pub endings: Vec<Ending>,
    pub credits: Vec<Credits>,
}

struct OpenSession {
    id: i64,
    school: usize,
    ends_at: i64,
    messages: i64,
}

/// The platform's state, advanced step by step. Days in steps of an hour and a minute in steps of a second go
/// the same way.
pub struct Platform {
    rng: StdRng,
    founded_at: i64,
    time: i64,
    /// Per school: the credits it has left, and those in a pack.
    balances: Vec<(i64, i64)>,
    /// Per user: the school.
    users: Vec<usize>,
    content_total: i64,
    sessions_total: i64,
    open: Vec<OpenSession>,
    happened: Happened,
}

impl Platform {
    pub fn founded(seed: u64, at: i64) -> Self {
        let mut platform = Self {
            rng: StdRng::seed_from_u64(seed),
            founded_at: at,
            time: at,
            balances: Vec::new(),
            users: Vec::new(),
            content_total: 0,
            sessions_total: 0,
            open: Vec::new(),
            happened: Happened::default(),
        };
        for name in SCHOOLS {
            platform.join(name);
        }
        for _ in 0..FOUNDING_USERS {
            platform.sign_up(at);
        }
        platform
    }

    /// Seconds since the Unix epoch up to which everything has happened.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Lets happen what happens until `now`, and gives it. A clock that went back changes nothing.
    pub fn advance(&mut self, now: i64) -> Happened {
        let hours = (now - self.time).max(0) as f64 / 3600.0 * self.pace(now);
        for at in self.moments(SIGN_UPS_PER_HOUR * hours, now) {
            self.sign_up(at);
        }
        for at in self.moments(CONTENT_PER_HOUR * hours, now) {
            self.make_content(at);
        }
        for at in self.moments(SESSIONS_PER_HOUR * hours, now) {
            self.start_session(at);
        }
        self.end_sessions(now);
        self.time = self.time.max(now);
        std::mem::take(&mut self.happened)
    }

    /// How busy the platform is, 0 to 1: it has grown with the cube of its age, and is half as
    /// busy at midnight as at noon.
    fn pace(&self, now: i64) -> f64 {
        let age = ((now - self.founded_at) as f64 / GROWTH_SECONDS).min(1.0);
        let day = (now.rem_euclid(86_400)) as f64 / 86_400.0;
        let noon = 0.75 - 0.25 * (day * std::f64::consts::TAU).cos();
        age.powi(3) * noon
    }

    /// `expected` moments on average between now and the last step, in order.
    fn moments(&mut self, expected: f64, now: i64) -> Vec<i64> {
        let more = self.rng.random_bool(expected.fract());
        let count = expected as usize + usize::from(more);
        let (from, to) = (self.time.min(now), now);
        let mut moments: Vec<_> = (0..count)
            .map(|_| self.rng.random_range(from..=to))
            .collect();
        moments.sort_unstable();
        moments
    }

    fn join(&mut self, name: &str) {
        let (plan, pack) = self.pick(PLANS);
        self.balances.push((0, pack));
        self.happened.schools.push(School {
            id: self.balances.len() as i64,
            name: format!("{name} School"),
            plan,
            at: self.founded_at,
        });
    }

    fn sign_up(&mut self, at: i64) {
        let school = self.rng.random_range(0..self.balances.len());
        let role = match self.rng.random_range(0..100) {
            0..2 => "school_admin",
            2..12 => "teacher",
            _ => "student",
        };
        self.users.push(school);
        self.happened.users.push(User {
            id: self.users.len() as i64,
            school: school as i64 + 1,
            role,
            at,
        });
    }

    fn make_content(&mut self, at: i64) {
        let author = self.rng.random_range(0..self.users.len());
        let (kind, subject) = (self.pick(TYPES), self.pick(SUBJECTS));
        self.content_total += 1;
        self.happened.content.push(Content {
            id: self.content_total,
            author: author as i64 + 1,
            kind,
            subject,
            at,
        });
        self.spend(self.users[author], "content", CREDITS_PER_CONTENT, at);
    }

    fn start_session(&mut self, at: i64) {
        let user = self.rng.random_range(0..self.users.len());
        let lasts = self.rng.random_range(SESSION_SECONDS);
        let about = self.rng.random_range(0..=self.content_total.min(40));
        self.sessions_total += 1;
        self.happened.sessions.push(Session {
            id: self.sessions_total,
            user: user as i64 + 1,
            // The newest content is what classes work on; 0 is a free chat.
            content: (about > 0).then(|| self.content_total - about + 1),
            at,
        });
        self.open.push(OpenSession {
            id: self.sessions_total,
            school: self.users[user],
            ends_at: at + lasts,
            messages: 1 + lasts / SECONDS_PER_MESSAGE,
        });
    }

    fn end_sessions(&mut self, now: i64) {
        let over = self.open.extract_if(.., |session| session.ends_at <= now);
        for session in over.collect::<Vec<_>>() {
            self.happened.endings.push(Ending {
                session: session.id,
                messages: session.messages,
                at: session.ends_at,
            });
            let cost = 1 + session.messages / MESSAGES_PER_CREDIT;
            self.spend(session.school, "chat", cost, session.ends_at);
        }
    }

    fn spend(&mut self, school: usize, kind: &'static str, amount: i64, at: i64) {
        let (balance, pack) = &mut self.balances[school];
        let mut book = |kind, amount| {
            *balance += amount;
            let school = school as i64 + 1;
            let credits = Credits {
                school,
                kind,
                amount,
                at,
            };
            self.happened.credits.push(credits);
            *balance
        };
        if book(kind, -amount) < CREDITS_LOW {
            book("purchase", *pack);
        }
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.rng.random_range(0..N)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000;

    fn days(seed: u64) -> (Platform, Vec<Happened>) {
        let mut platform = Platform::founded(seed, START);
        let steps = (1..=3 * 24).map(|hour| platform.advance(START + hour * 3600));
        let steps = steps.collect();
        (platform, steps)
    }

    #[test]
    fn the_same_seed_gives_the_same_days_and_another_others() {
        assert_eq!(days(1).1, days(1).1);
        assert_ne!(days(1).1, days(2).1);
    }

    #[test]
    fn the_past_is_worth_looking_at() {
        let (platform, steps) = days(1);
        let sessions: usize = steps.iter().map(|step| step.sessions.len()).sum();
        assert!((50_000..150_000).contains(&sessions), "{sessions}");
        assert!(
            (50..500).contains(&platform.open.len()),
            "{}",
            platform.open.len()
        );
    }

    #[test]
    fn every_session_ends_once_and_nothing_happens_in_the_future() {
        let (mut platform, mut steps) = days(1);
        let end = platform.time();
        for step in &steps {
            assert!(step.endings.iter().all(|ending| ending.at <= end));
            assert!(step.credits.iter().all(|credits| credits.at <= end));
        }
        steps.push(platform.advance(end + SESSION_SECONDS.end));
        let mut ended: Vec<_> = steps.iter().flat_map(|step| &step.endings).collect();
        ended.sort_by_key(|ending| ending.session);
        ended.dedup_by_key(|ending| ending.session);
        let ended_in_all: usize = steps.iter().map(|step| step.endings.len()).sum();
        assert_eq!(ended.len(), ended_in_all);
    }

    #[test]
    fn no_school_runs_out_of_credits_for_long() {
        let (platform, _) = days(3);
        assert!(platform.balances.iter().all(|(balance, _)| *balance >= 0));
    }

    #[test]
    fn a_minute_of_seconds_moves_and_a_clock_that_goes_back_does_not() {
        let (mut platform, _) = days(1);
        let end = platform.time();
        let busy = (1..=60).filter(|s| platform.advance(end + s) != Happened::default());
        assert!(busy.count() > 20);
        let before = platform.advance(end);
        assert_eq!(before, Happened::default());
        assert_eq!(platform.time(), end + 60);
    }
}
