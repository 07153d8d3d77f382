//! An entry of the log, and how it is written.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::message::{
    Json, Message, MessageId, Priority, Retain, StateName, Topic, Transport, UserId,
};
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;
use crate::trace;
use crate::wire::message::{Publication, encode};

/// What is in the log.
#[derive(Debug)]
pub enum Entry {
    Message(Logged),
    Control(MessageId, Control),
}

/// A message as the log has it.
#[derive(Debug)]
pub struct Logged {
    pub message: Arc<Message>,
    /// When it was published, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// The publisher's key and the fingerprint of what it stands for, in hexadecimal digits.
    pub keyed: Option<(String, String)>,
    /// What it means for the alerts, as whoever published it wrote it.
    pub alert: Option<String>,
    /// Of whoever published it.
    pub trace: trace::Context,
}

/// What hubs tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The log begins anew here.
    Epoch,
    /// Nothing: an id was to be used up.
    Mark,
    /// A session goes on at another node.
    Taken { token: Uuid, by: String },
    /// A question to all.
    Ask(String),
}

impl Entry {
    pub fn id(&self) -> MessageId {
        match self {
            Self::Message(logged) => logged.message.id,
            Self::Control(id, _) => *id,
        }
    }

    /// Whether the log begins anew with it.
    pub fn is_epoch(&self) -> bool {
        matches!(self, Self::Control(_, Control::Epoch))
    }
}

/// The fields of a stream's entry; in the stream each has the first letter of its name here, but for `kind`, which
/// is `c`, and `trace`, which is `s`.
#[derive(Debug, Default)]
pub(super) struct Fields {
    previous: Option<String>,
    kind: Option<String>,
    topic: Option<String>,
    how: Option<String>,
    data: Option<String>,
    key: Option<String>,
    alert: Option<String>,
    trace: Option<String>,
}

impl Fields {
    /// What this program does not know is passed over.
    pub fn set(&mut self, name: &[u8], value: String) {
        let field = match name {
            b"p" => &mut self.previous,
            b"c" => &mut self.kind,
            b"t" => &mut self.topic,
            b"h" => &mut self.how,
            b"d" => &mut self.data,
            b"k" => &mut self.key,
            b"a" => &mut self.alert,
            b"s" => &mut self.trace,
            _ => return,
        };
        *field = Some(value);
    }
}

/// An entry, and the id of the one before it; `None` for what is no link of the chain. A link that says what this
/// program does not know, as a newer one may write it, is a mark.
pub(super) fn read(id: &str, fields: Fields, now: Now) -> Option<(MessageId, Entry)> {
    let id = MessageId::parse(id)?;
    let before = MessageId::parse(fields.previous.as_deref()?)?;
    let entry = match &fields.kind {
        Some(kind) => {
            let data = fields.data.as_deref().unwrap_or_default();
            Entry::Control(id, control(kind, data))
        }
        None => logged(id, fields, now).map_or_else(
            || {
                log::warn!("entry {id} of the log is nothing that this version knows");
                Entry::Control(id, Control::Mark)
            },
            Entry::Message,
        ),
    };
    Some((before, entry))
}

fn logged(id: MessageId, fields: Fields, now: Now) -> Option<Logged> {
    let keyed = fields.key.as_deref().and_then(|key| key.split_once(' '));
    let keyed = keyed.map(|(key, of)| (key.to_owned(), of.to_owned()));
    let (message, wall_ms) = message(id, &fields.topic?, &fields.how?, fields.data?, now)?;
    Some(Logged {
        message,
        wall_ms,
        keyed,
        alert: fields.alert,
        trace: trace::Context::of(fields.trace.as_deref()),
    })
}

/// A newer program may say what this one does not know: nothing follows from it here.
fn control(kind: &str, data: &str) -> Control {
    match kind {
        "epoch" => Control::Epoch,
        "ask" => Control::Ask(data.to_owned()),
        "taken" => {
            let taken = data.split_once(' ').and_then(|(token, by)| {
                let token = Uuid::try_parse(token).ok()?;
                let by = by.to_owned();
                Some(Control::Taken { token, by })
            });
            taken.unwrap_or(Control::Mark)
        }
        _ => Control::Mark,
    }
}

/// The newest value of a topic, as it is kept beside the log.
pub(super) fn latest(topic: &str, kept: &str, now: Now) -> Option<Arc<Message>> {
    let mut words = kept.splitn(5, ' ');
    let id = MessageId::parse(words.next()?)?;
    let how = [words.next()?, words.next()?, words.next()?].join(" ");
    Some(message(id, topic, &how, words.next()?.to_owned(), now)?.0)
}

fn message(
    id: MessageId,
    topic: &str,
    how: &str,
    data: String,
    now: Now,
) -> Option<(Arc<Message>, u64)> {
    let mut how = how.split(' ');
    let (priority, retain, wall_ms) = (how.next()?, how.next()?, how.next()?.parse().ok()?);
    let publication = Publication {
        topic: read_topic(topic)?,
        priority: Priority::ALL
            .into_iter()
            .find(|it| it.as_str() == priority)?,
        retain: match retain {
            "latest" => Retain::Latest,
            _ => Retain::All,
        },
        data: Json::kept(data)?,
    };
    let published = Now { wall_ms, ..now };
    Some((Arc::new(encode(id, publication, published)), wall_ms))
}

/// What stands beside the data of a message.
pub(super) fn how(publication: &Publication) -> String {
    let retain = match publication.retain {
        Retain::All => "all",
        Retain::Latest => "latest",
    };
    format!("{} {retain}", publication.priority.as_str())
}

/// A topic in one line: its kind, then what names it; a user, who may be any text, comes last.
pub(super) fn write_topic(topic: &Topic) -> String {
    match topic {
        Topic::Metric(name) => format!("m {name}"),
        Topic::UserMetric(name, user) => format!("u {name} {user}"),
        Topic::Alerts => "a".to_owned(),
        Topic::Test(user, transport) => format!("t {} {user}", transport.as_str()),
        Topic::State(name) => format!("s {name}"),
    }
}

fn read_topic(text: &str) -> Option<Topic> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let with_user = || {
        let (first, user) = rest.split_once(' ')?;
        Some((first, UserId::parse(user)?))
    };
    Some(match kind {
        "m" => Topic::Metric(MetricName::parse(rest).ok()?),
        "u" => {
            let (name, user) = with_user()?;
            Topic::UserMetric(MetricName::parse(name).ok()?, user)
        }
        "a" if rest.is_empty() => Topic::Alerts,
        "t" => {
            let (transport, user) = with_user()?;
            Topic::Test(user, Transport::parse(transport)?)
        }
        "s" => Topic::State(StateName::parse(rest)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Now = Now {
        wall_ms: 0,
        mono: Duration::ZERO,
    };

    #[test]
    fn a_topic_reads_back_what_it_writes() {
        let name = MetricName::parse("a.b").unwrap();
        let user = UserId::parse("zoë of 2  homes").unwrap();
        for topic in [
            Topic::Metric(name.clone()),
            Topic::UserMetric(name, user.clone()),
            Topic::Alerts,
            Topic::State(StateName::parse("silence/42").unwrap()),
            Topic::Test(user.clone(), Transport::Sse),
            Topic::Test(user, Transport::Websocket),
        ] {
            assert_eq!(read_topic(&write_topic(&topic)), Some(topic));
        }
        for text in ["", "m", "m a b", "u a.b", "a b", "t smtp me", "x y"] {
            assert_eq!(read_topic(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_kept_value_is_the_message_again() {
        let kept = "5-1 high latest 1700000000000 {\"text\":\"a b  c\"}";
        let message = latest("m a.b", kept, NOW).unwrap();
        assert_eq!(message.id, MessageId::new(5, 1).unwrap());
        assert_eq!(message.value(), "{\"text\":\"a b  c\"}");
        assert_eq!(
            (message.priority, message.retain),
            (Priority::High, Retain::Latest)
        );
        assert!(String::from_utf8_lossy(&message.sse).contains("2023-11-14T22:13:20.000Z"));
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_no_link_of_the_chain_left_out() {
        let fields = |pairs: &[(&str, &str)]| {
            let mut fields = Fields::default();
            for (name, value) in pairs {
                fields.set(name.as_bytes(), (*value).to_owned());
            }
            fields
        };
        let good = [("p", "1-0"), ("t", "m a"), ("h", "low all 5"), ("d", "1")];
        let whole = read("2-0", fields(&good), NOW).unwrap().1;
        assert!(matches!(whole, Entry::Message(_)));
        assert!(read("2-0", fields(&good[1..]), NOW).is_none());
        for lacking in 1..good.len() {
            let mut rest = good.to_vec();
            rest.remove(lacking);
            let passed = read("2-0", fields(&rest), NOW).unwrap().1;
            assert!(
                matches!(passed, Entry::Control(_, Control::Mark)),
                "{rest:?}"
            );
        }
        let mut broken = good;
        broken[3].1 = "1\n\ndata: 2";
        let passed = read("2-0", fields(&broken), NOW).unwrap().1;
        assert!(matches!(passed, Entry::Control(_, Control::Mark)));
        let (before, entry) = read("3-0", fields(&[("p", "2-0"), ("c", "new")]), NOW).unwrap();
        assert_eq!(before, MessageId::new(2, 0).unwrap());
        assert!(matches!(entry, Entry::Control(_, Control::Mark)));
    }
}
