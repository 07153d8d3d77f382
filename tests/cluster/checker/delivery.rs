//! Nothing is missing but what the client was told of, and nothing reaches who it is not for.

use super::facts::Facts;
use super::lives::{Life, Stretch};
use super::{Found, Rule};
use crate::record::{Millis, Publish};
use crate::support::id::Id;

/// What was underway when a connection broke is lost to a client that does not say what arrived. It
/// cannot have been published much after, nor much before, but for a stream of which it has read nothing.
const UNDERWAY: Millis = 1500;

pub fn check(facts: &Facts, life: &Life, found: &mut Found) {
    check_recipient(facts, life, found);
    for (nth, stretch) in life.stretches.iter().enumerate() {
        let missing = owed(facts, life, stretch)
            .filter(|(id, _)| !life.got.contains_key(id))
            .filter(|(_, publish)| !was_underway(life, nth, publish));
        let missing: Vec<_> = missing.collect();
        let told_later = life.stretches[nth + 1..]
            .iter()
            .any(|it| it.snapshot.is_some());
        let unexcused = missing.iter().filter(|(id, publish)| {
            // What was acknowledged and may be of a history that is lost, it must be told of at some time.
            facts.is_in(*id, stretch.run) || (publish.id() == Some(*id) && !told_later)
        });
        let unexcused: Vec<_> = unexcused.copied().collect();
        check_missing(life, stretch, &unexcused, found);
        check_counted(facts, life, stretch, missing.len() as u64, found);
    }
}

/// What is for it and was in the log between the beginning and the end of the stretch.
fn owed<'a>(
    facts: &'a Facts,
    life: &'a Life,
    stretch: &Stretch,
) -> impl Iterator<Item = (Id, &'a Publish)> {
    let all = facts.messages.iter().map(|(id, publish)| (*id, *publish));
    let (from, upto) = (stretch.from, stretch.upto);
    all.filter(move |(id, publish)| from < *id && *id <= upto && admits(life, publish))
}

fn admits(life: &Life, publish: &Publish) -> bool {
    life.log
        .admits(publish.metric.as_deref(), publish.user.as_deref())
}

fn was_underway(life: &Life, nth: usize, publish: &Publish) -> bool {
    let breaks = life.stretches[..nth].iter().filter(|it| it.is_broken);
    let about =
        |it: &Stretch| publish.asked <= it.until + UNDERWAY && it.until <= publish.done + UNDERWAY;
    let mut unread = life
        .unread
        .iter()
        .filter(|at| **at <= life.stretches[nth].until);
    let before = |at: &Millis| publish.asked <= at + UNDERWAY;
    !life.log.follows.is_honest() && (breaks.into_iter().any(about) || unread.any(before))
}

fn check_missing(life: &Life, stretch: &Stretch, missing: &[(Id, &Publish)], found: &mut Found) {
    let (name, told, count) = (&life.log.name, stretch.told, missing.len() as u64);
    let (from, upto) = (stretch.from, stretch.upto);
    if count > told {
        let list: Vec<_> = missing
            .iter()
            .take(10)
            .map(|(id, it)| (id, it.piece))
            .collect();
        let what = format!("{name} lacks {count} between {from} and {upto} and was told of {told}");
        found.add(Rule::Missing, format!("{what}: {list:?}"));
    }
}

fn check_counted(facts: &Facts, life: &Life, stretch: &Stretch, missing: u64, found: &mut Found) {
    let (name, told) = (&life.log.name, stretch.told);
    let uncertain = facts.uncertain.iter().filter(|it| admits(life, it)).count() as u64;
    let exact = stretch.is_whole && life.log.follows.is_honest();
    if exact && told > missing + uncertain {
        let what = format!(
            "{name} was told of {told} between {} and {}",
            stretch.from, stretch.upto
        );
        found.add(
            Rule::Counted,
            format!("{what} and lacks {missing}, at most {uncertain} more"),
        );
    }
}

fn check_recipient(facts: &Facts, life: &Life, found: &mut Found) {
    let log = life.log;
    for (id, metric, piece) in life.stretches.iter().flat_map(|it| &it.got) {
        let user = facts.publishes.get(piece).and_then(|it| it.user.as_deref());
        if !log.admits(*metric, user) {
            let what = format!("{} of {} got {id} {metric:?}", log.name, log.user);
            found.add(
                Rule::Recipient,
                format!("{what} for {user:?}, follows {:?}", log.patterns),
            );
        }
    }
}
