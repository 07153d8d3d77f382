//! What the protocol says, what it promises, and the ways to get it wrong.

/// When a publisher hears 202.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// When the primary has the message. A failover may lose it, so each founds an epoch.
    Primary,
    /// When the replica has it too. A failover loses nothing that is owed to anybody.
    Replicated,
}

/// How much may happen in one history.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    pub publishes: u8,
    /// Connections that clients lose or leave.
    pub leaves: u8,
    /// Promotions of the replica.
    pub failovers: u8,
    /// Promotions while a hub still reaches the old primary.
    pub partitions: u8,
    /// Restarts without data and `FLUSHALL`s under live connections.
    pub losses: u8,
    /// Hubs that die and come back.
    pub crashes: u8,
    pub trims: u8,
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A failover founds no epoch in [`Mode::Primary`].
    LineageIgnored,
    /// 202 before the replica has the message in [`Mode::Replicated`].
    AcknowledgedEarly,
    /// `prev` is not compared with what was read last.
    ChainUnchecked,
    /// An epoch is founded at the server's clock, not above what its founder has seen.
    FoundedByClock,
    /// A publish does not compare the epochs.
    EpochUnchecked,
    /// A join tells a hub the epoch, and leaves it the history of another one.
    StrangerUnnoticed,
    /// Only an id above the log's last is evidence of a loss, not one that is no entry of it.
    LossOnlyAbove,
    /// The evidence of a loss is what a hub read last, not what it acknowledged.
    AcknowledgedForgotten,
    /// A look at the log of the same epoch settles what was acknowledged, a zombie's too.
    LookForgets,
    /// A hub that begins anew forgets what it has seen, with the entries.
    SeenForgotten,
    /// Nobody looks once a second whether the log is still the one that was joined.
    LeaseUnchecked,
    /// All lineages give out ids from one space.
    Untagged,
    /// A client's position is not looked up: what has a greater id is sent.
    PositionUnchecked,
    /// A client's position is looked up in Redis, not in what the hub has read.
    PositionFromRedis,
    /// A position that the hub has not read up to is answered with a snapshot at once.
    PositionNotAwaited,
    /// A position above the log's last gets a snapshot, and the log is not lifted above it.
    PositionNotMarked,
    /// A snapshot is sent without a cursor behind it.
    SnapshotWithoutCursor,
}

#[derive(Clone, Debug)]
pub struct Rules {
    pub mode: Mode,
    pub faults: Vec<Fault>,
}

impl Rules {
    pub fn keep(&self, fault: Fault) -> bool {
        !self.faults.contains(&fault)
    }
}
