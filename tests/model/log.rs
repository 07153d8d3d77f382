//! One Redis server, as far as the hubs see it: the log, its head, and what the scripts do to them.

/// A place in the order of all messages. Redis counts milliseconds and a sequence; here both are
/// one number, which moves on by one, or leaps where a server's clock is ahead.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id {
    pub number: u8,
    /// The low bits: drawn anew whenever an epoch is founded or a lineage noted, so that two
    /// servers that went on from the same entry never give out the same id.
    pub tag: u8,
}

impl Id {
    /// Before everything: the position of who has seen nothing.
    pub const NONE: Self = Self { number: 0, tag: 0 };
}

pub type Epoch = u8;
/// The replication id of a server: a promotion and a restart draw a new one.
pub type Lineage = u8;
/// A published message, by its place in the order of publishing.
pub type Message = u8;
/// A set of messages, one bit each.
pub type Messages = u8;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Epoch(Epoch),
    Message(Message),
    /// Says nothing, but lifts the log above the position of a client that saw a longer one.
    Mark,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub id: Id,
    /// The id of the entry before it, which makes the log a chain.
    pub prev: Id,
    pub kind: Kind,
}

impl Entry {
    pub fn message(&self) -> Option<Message> {
        match self.kind {
            Kind::Message(message) => Some(message),
            Kind::Epoch(_) | Kind::Mark => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Head {
    pub epoch: Epoch,
    /// The server that last answered for the log.
    pub lineage: Lineage,
    pub tag: u8,
    pub last: Id,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Server {
    pub lineage: Lineage,
    pub head: Option<Head>,
    /// Trimmed entries too: what `latest` keeps of them is their value.
    pub log: Vec<Entry>,
    pub trimmed: usize,
    /// The least number this server's clock allows.
    pub clock: u8,
}

impl Server {
    pub fn empty(lineage: Lineage) -> Self {
        Self {
            lineage,
            head: None,
            log: Vec::new(),
            trimmed: 0,
            clock: 0,
        }
    }

    /// What a replica holds that has carried out the commands of the first `kept` entries. The
    /// lineage in its head is another server's whichever it is, so it need not be rolled back.
    pub fn prefix(&self, kept: usize, lineage: Lineage) -> Self {
        let log = self.log[..kept].to_vec();
        let newest = log.last().map_or(Id::NONE, |entry| entry.id);
        let head = self.head.map(|head| Head {
            epoch: newest_epoch(&log).unwrap_or(head.epoch),
            tag: newest.tag,
            last: newest,
            ..head
        });
        Self {
            lineage,
            head,
            trimmed: self.trimmed.min(kept),
            log,
            clock: self.clock,
        }
    }

    /// Appends an entry above the log's last and above `floor`.
    pub fn append(&mut self, kind: Kind, floor: Id) -> Id {
        let clock = self.clock;
        let head = self.head.as_mut().expect("a log that was founded");
        let number = (head.last.max(floor).number + 1).max(clock);
        let id = Id {
            number,
            tag: head.tag,
        };
        self.log.push(Entry {
            id,
            prev: head.last,
            kind,
        });
        head.last = id;
        id
    }

    /// Founds an epoch: everything after its entry has an id above `floor`.
    pub fn found(&mut self, epoch: Epoch, tag: u8, floor: Id) {
        self.head = Some(Head {
            epoch,
            lineage: self.lineage,
            tag,
            last: self.last(),
        });
        self.append(Kind::Epoch(epoch), floor);
    }

    pub fn last(&self) -> Id {
        self.head.map_or(Id::NONE, |head| head.last)
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.head.map(|head| head.epoch)
    }

    /// What `XRANGE - +` answers.
    pub fn stream(&self) -> &[Entry] {
        &self.log[self.trimmed..]
    }

    /// Whether `id` is known to be a place in this log: an entry, or what the first one follows.
    pub fn holds(&self, id: Id) -> bool {
        let mut stream = self.stream().iter();
        stream.any(|entry| entry.id == id || (entry.prev == id && id != Id::NONE))
    }

    /// The newest values of all metrics as of `id`, as the messages that made them.
    pub fn values(&self, id: Id) -> Messages {
        messages(self.log.iter().filter(|entry| entry.id <= id))
    }
}

pub fn newest_epoch(log: &[Entry]) -> Option<Epoch> {
    log.iter().rev().find_map(|entry| match entry.kind {
        Kind::Epoch(epoch) => Some(epoch),
        Kind::Message(_) | Kind::Mark => None,
    })
}

pub fn messages<'a>(entries: impl Iterator<Item = &'a Entry>) -> Messages {
    entries
        .filter_map(Entry::message)
        .fold(0, |set, message| set | 1 << message)
}
