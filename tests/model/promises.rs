//! What clients are owed, as predicates over a state.

use super::hub::{CLIENTS, Client, HUBS, Sight};
use super::rules::{Fault, Rules};
use super::world::World;

/// An id stands for one message in an epoch, clients agree which of two came first, and none gets
/// messages of two epochs without a snapshot between them.
pub fn one_order(world: &World) -> bool {
    let [one, other] = &world.clients;
    pairs(&one.sights).all(|(first, second)| !contradicts(&other.sights, first, second))
        && one.sights.iter().all(|sight| agrees(&other.sights, sight))
        && world.clients.iter().all(|client| !client.mixed)
}

fn pairs(sights: &[Sight]) -> impl Iterator<Item = (&Sight, &Sight)> {
    let after = |at: usize| &sights[at + 1..];
    let each = sights.iter().enumerate();
    each.flat_map(move |(at, first)| after(at).iter().map(move |second| (first, second)))
}

fn contradicts(sights: &[Sight], first: &Sight, second: &Sight) -> bool {
    first.epoch == second.epoch
        && pairs(sights).any(|(earlier, later)| {
            (earlier.message, later.message) == (second.message, first.message)
                && earlier.epoch == later.epoch
        })
}

fn agrees(sights: &[Sight], sight: &Sight) -> bool {
    let mut same = sights
        .iter()
        .filter(|other| (other.epoch, other.id) == (sight.epoch, sight.id));
    same.all(|other| other.message == sight.message)
}

pub fn ids_increase(world: &World) -> bool {
    let increase = |client: &Client| client.sights.windows(2).all(|two| two[0].id < two[1].id);
    world.clients.iter().all(increase)
}

pub fn no_message_twice(world: &World) -> bool {
    world.clients.iter().all(|client| {
        pairs(&client.sights).all(|(one, other)| one.id != other.id && one.message != other.message)
    })
}

/// Where all is quiet, whoever is subscribed has each acknowledged message, or was told that it is
/// lost after it was.
pub fn reached_or_told(rules: &Rules, world: &World) -> bool {
    !is_quiet(rules, world) || world.clients.iter().all(|client| is_served(world, client))
}

fn is_served(world: &World, client: &Client) -> bool {
    world.acknowledged & !client.covered == 0
}

/// Everything up, everything read, everybody connected.
pub fn is_quiet(rules: &Rules, world: &World) -> bool {
    world.zombie.is_none()
        && (0..HUBS).all(|hub| is_quiet_hub(rules, world, hub))
        && (0..CLIENTS).all(|client| world.clients[client].hub.is_some())
}

fn is_quiet_hub(rules: &Rules, world: &World, hub: usize) -> bool {
    let joins = world.must_join(rules, hub) && rules.keep(Fault::LeaseUnchecked);
    world.hubs[hub].serves() && !joins && world.unread(hub).is_none()
}

/// An acknowledged message is lost, and both clients know that something is.
pub fn lost_and_told(rules: &Rules, world: &World) -> bool {
    world.lost() != 0
        && is_quiet(rules, world)
        && world.clients.iter().all(|client| client.told)
        && reached_or_told(rules, world)
}

/// A client saw messages of both primaries, without a snapshot between them.
pub fn went_on(world: &World) -> bool {
    world.clients.iter().any(saw_no_failover)
}

/// ... and is at a hub that it was not at before.
pub fn resumed_elsewhere(world: &World) -> bool {
    let mut clients = world.clients.iter().enumerate();
    clients.any(|(home, client)| saw_no_failover(client) && client.hub == Some(1 - home))
}

fn saw_no_failover(client: &Client) -> bool {
    let tags = |two: &[Sight]| two[0].id.tag != two[1].id.tag;
    !client.told && client.sights.windows(2).any(tags)
}
