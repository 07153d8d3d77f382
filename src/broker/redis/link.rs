//! Keeps the connections: finds the server, joins the log, reads, appends, says that it is there, and begins
//! anew with the first failure.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::keys::Keys;
use super::leases::Leases;
use super::publisher::{Publisher, Wanted, said};
use super::reader::{Position, Reader};
use super::scripts::Scripts;
use super::server::{Address, Servers};
use super::status::Status;
use super::{About, Event};
use crate::config;
use crate::domain::message::MessageId;
use crate::domain::time::Now;

/// How long to wait before the next attempt: the first time, and at most. Hubs come back at different
/// moments.
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// How long the reader waits for an entry before it asks again.
const BLOCK: Duration = Duration::from_millis(1000);
/// Of the low bits of an id, which tell two logs apart.
const TAGS: u32 = 4096;
/// So often within a lease a hub says that it is there.
const PULSES_A_LEASE: u32 = 5;
/// What is held ends before the lease of the hub itself: another one takes it over within that.
const HOLD: f64 = 0.7;

/// The log as it is while the connections last.
pub(super) struct Session {
    pub epoch: String,
    pub commands: MultiplexedConnection,
    failed: Notify,
}

impl Session {
    /// Something is wrong with it: the next one is begun.
    pub fn fail(&self) {
        self.failed.notify_one();
    }
}

pub(super) struct Link {
    pub servers: Servers,
    pub keys: Arc<Keys>,
    pub scripts: Arc<Scripts>,
    pub settings: config::Redis,
    pub key_ttl: Duration,
    pub node: String,
    pub about: About,
    pub clock: Box<dyn Fn() -> Now + Send + Sync>,
    pub events: mpsc::Sender<Event>,
    pub wanted: mpsc::Receiver<Wanted>,
    pub session: watch::Sender<Option<Arc<Session>>>,
    pub status: Arc<Status>,
    pub leases: Arc<Leases>,
    pub position: Position,
    /// The epoch in which the log was last read.
    pub epoch: Option<String>,
    pub acknowledged: Acknowledged,
}

/// The newest message that this hub acknowledged to a publisher, and in which epoch: a log that lacks it has
/// lost something, whoever else has noticed.
pub(super) type Acknowledged = Option<(MessageId, String)>;

/// Where the log stood when the hub joined.
struct Joined {
    epoch: String,
    server: String,
    newest: MessageId,
    /// Entries that there ever were.
    entries: u64,
    /// Whether what was read before is part of the log.
    can_go_on: bool,
}

/// All that a session needs.
struct Connections {
    address: Address,
    joined: Joined,
    commands: MultiplexedConnection,
    reading: MultiplexedConnection,
    appending: MultiplexedConnection,
}

impl Link {
    /// Until whoever wants something appended is gone.
    pub async fn run(mut self) {
        let mut back_off = BACK_OFF_MIN;
        while !self.wanted.is_closed() {
            let reason = match self.connect_refusing().await {
                Ok(connections) => {
                    let began = Instant::now();
                    let ended = self.live(connections).await;
                    // What always fails at once, such as for lack of a right, is not tried all the time.
                    if began.elapsed() > BACK_OFF_MAX {
                        back_off = BACK_OFF_MIN;
                    }
                    ended
                }
                Err(error) => said(&error),
            };
            self.session.send_replace(None);
            self.leases.lost();
            if self.status.disconnected(&reason) {
                log::error!("the shared log is away: {reason}");
            }
            self.refuse_for(jittered(back_off), &reason).await;
            back_off = (2 * back_off).min(BACK_OFF_MAX);
        }
    }

    /// Connects, and tells publishers meanwhile that they cannot be served.
    async fn connect_refusing(&mut self) -> RedisResult<Connections> {
        let health = self.status.health();
        let reason = health.ails().unwrap_or_default();
        let mut connecting = Connecting {
            servers: &self.servers,
            keys: &self.keys,
            scripts: &self.scripts,
            settings: &self.settings,
            seen: self.position.highest(),
            read: self.position.last(),
            acknowledged: &mut self.acknowledged,
        };
        let connect = connecting.connect();
        tokio::pin!(connect);
        loop {
            tokio::select! {
                done = &mut connect => return done,
                Some(wanted) = self.wanted.recv() => wanted.refuse(reason),
            }
        }
    }

    async fn refuse_for(&mut self, wait: Duration, reason: &str) {
        let wait = sleep(wait);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return,
                wanted = self.wanted.recv() => match wanted {
                    Some(wanted) => wanted.refuse(reason),
                    None => return,
                },
            }
        }
    }

    /// As long as it lasts; returns why it ended.
    async fn live(&mut self, connections: Connections) -> String {
        let Connections {
            address,
            joined,
            commands,
            reading,
            appending,
        } = connections;
        let server = format!("{}:{}", address.0, address.1);
        let session = Arc::new(Session {
            epoch: joined.epoch.clone(),
            commands: commands.clone(),
            failed: Notify::new(),
        });
        let is_other = self
            .epoch
            .as_ref()
            .is_some_and(|epoch| *epoch != joined.epoch);
        if is_other || !joined.can_go_on {
            self.position.begin_anew();
        }
        self.epoch = Some(joined.epoch.clone());
        let mut pulse = Pulse {
            commands,
            keys: &self.keys,
            scripts: &self.scripts,
            settings: &self.settings,
            servers: &self.servers,
            address: &address,
            epoch: &joined.epoch,
            node: &self.node,
            about: &self.about,
            status: &self.status,
            leases: &self.leases,
        };
        if let Err(error) = pulse.beat().await {
            return said(&error);
        }
        self.status.connected(server.clone(), &joined.epoch);
        self.status.joined(joined.newest, joined.entries);
        self.session.send_replace(Some(session.clone()));
        log::info!("the shared log is at {server}");
        let mut reader = Reader {
            connection: reading,
            keys: &self.keys,
            events: &self.events,
            position: &mut self.position,
            status: &self.status,
            clock: &self.clock,
            block: BLOCK,
            passed_over: MessageId::ZERO,
        };
        let mut publisher = Publisher {
            connection: appending,
            keys: &self.keys,
            scripts: &self.scripts,
            settings: &self.settings,
            key_ttl: self.key_ttl,
            epoch: &joined.epoch,
            node: &self.node,
            status: &self.status,
            acknowledged: &mut self.acknowledged,
        };
        let ended = tokio::select! {
            ended = reader.run(joined.newest) => ended,
            ended = publisher.run(&mut self.wanted) => ended,
            ended = pulse.run() => ended,
            () = session.failed.notified() => return "a command failed".to_owned(),
        };
        ended.map_or_else(|error| said(&error), |()| "the hub is stopping".to_owned())
    }
}

/// On the way to a session.
struct Connecting<'a> {
    servers: &'a Servers,
    keys: &'a Keys,
    scripts: &'a Scripts,
    settings: &'a config::Redis,
    seen: MessageId,
    read: Option<MessageId>,
    acknowledged: &'a mut Acknowledged,
}

impl Connecting<'_> {
    /// All connections must lead to the same server, as it is now.
    async fn connect(&mut self) -> RedisResult<Connections> {
        let within = self.settings.timeout;
        let located = timeout(2 * within, self.servers.locate()).await;
        let address = located
            .map_err(|_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))??;
        let mut commands = self.servers.connect(&address, within).await?;
        let mut reading = self.servers.connect(&address, BLOCK + within).await?;
        let mut appending = self.servers.connect(&address, 2 * within).await?;
        let joined = self.join(&mut commands).await?;
        for other in [&mut reading, &mut appending] {
            let theirs = self.join(other).await?;
            if (&theirs.epoch, &theirs.server) != (&joined.epoch, &joined.server) {
                let text = "the connections lead to different servers";
                return Err((redis::ErrorKind::Client, text).into());
            }
        }
        Ok(Connections {
            address,
            joined,
            commands,
            reading,
            appending,
        })
    }

    async fn join(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<Joined> {
        let is_doubtful = self.settings.acknowledge == config::Acknowledge::Primary;
        let acknowledged = self.acknowledged.clone().unzip();
        type Answer = (String, String, String, u64, String, u8);
        let (epoch, server, newest, entries, reason, can_go_on): Answer = self
            .scripts
            .join
            .key(&self.keys.log)
            .key(&self.keys.head)
            .arg(Uuid::new_v4().simple().to_string())
            .arg(rand::random_range(0..TAGS))
            .arg(self.seen.to_string())
            .arg(u8::from(is_doubtful))
            .arg(acknowledged.0.map(|id| id.to_string()).unwrap_or_default())
            .arg(acknowledged.1.as_deref().unwrap_or_default())
            .arg(self.read.map(|id| id.to_string()).unwrap_or_default())
            .invoke_async(connection)
            .await?;
        // What it lacks is told by now; kept for longer, two hubs with losses would go on for ever.
        if acknowledged.1.is_some_and(|of| of != epoch) {
            *self.acknowledged = None;
        }
        if !reason.is_empty() {
            log::warn!("the shared log begins a new epoch: {reason}");
        }
        Ok(Joined {
            epoch,
            server,
            newest: MessageId::parse(&newest).unwrap_or_default(),
            entries,
            can_go_on: can_go_on == 1,
        })
    }
}

/// Says that the hub is there.
struct Pulse<'a> {
    commands: MultiplexedConnection,
    keys: &'a Keys,
    scripts: &'a Scripts,
    settings: &'a config::Redis,
    servers: &'a Servers,
    address: &'a Address,
    epoch: &'a str,
    node: &'a str,
    about: &'a About,
    status: &'a Status,
    leases: &'a Leases,
}

impl Pulse<'_> {
    async fn run(&mut self) -> RedisResult<()> {
        loop {
            sleep(self.settings.lease / PULSES_A_LEASE).await;
            if !self.leases.is_stopped() && self.beat().await? {
                // They may have given away what was its own: it begins as if it had just come.
                let text = "the other hubs may have taken this one for dead";
                return Err((redis::ErrorKind::Client, text).into());
            }
            self.check_place().await?;
        }
    }

    /// Returns whether the lease had run out before.
    async fn beat(&mut self) -> RedisResult<bool> {
        let asked = Instant::now();
        let hold = self.settings.lease.mul_f64(HOLD);
        let mut call = self.scripts.pulse.prepare_invoke();
        for key in [
            &self.keys.nodes,
            &self.keys.about,
            &self.keys.head,
            &self.keys.sources,
            &self.keys.log,
        ] {
            call.key(key);
        }
        let about = (self.about)(self.status.health().read);
        call.arg(self.epoch)
            .arg(self.node)
            .arg(self.settings.lease.as_millis() as u64)
            .arg(about)
            .arg(hold.as_millis() as u64)
            .arg(self.settings.log_messages_max);
        let wanted = self.leases.wanted();
        for source in &wanted {
            call.arg(source);
        }
        let (newest, entries, lapsed, fences): (String, u64, bool, Vec<i64>) =
            call.invoke_async(&mut self.commands).await?;
        self.status.stands(MessageId::parse(&newest), entries);
        // From when it was asked for: Redis counts from later.
        self.leases.renewed(&wanted, &fences, asked + hold);
        Ok(lapsed)
    }

    /// An old primary that is cut off from the others goes on by itself: the sentinels know better.
    async fn check_place(&self) -> RedisResult<()> {
        let is_moved = |now: &Address| now != self.address;
        let within = self
            .settings
            .timeout
            .min(self.settings.lease / PULSES_A_LEASE);
        let located = timeout(within, self.servers.locate()).await;
        match located {
            Ok(Ok(now)) if is_moved(&now) => {
                let text = "another server is the primary now";
                Err((redis::ErrorKind::Client, text).into())
            }
            // Nobody who would know answers: no reason to leave.
            _ => Ok(()),
        }
    }
}

/// Between half of it and all.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
