//! What a hub begins with that goes on with what an earlier one left.

use super::*;

fn away(scene: &Scene, number: u64, name: &str, since: u64) -> Session {
    let mut scene_of_its_own = Scene::with(scene.hub.limits.clone());
    let token = scene_of_its_own.open(number, name, &[]);
    scene_of_its_own.now.mono = Duration::from_secs(since);
    scene_of_its_own.gone(number, 10);
    scene_of_its_own.hub.session(&token).unwrap().clone()
}

/// All those who were there at a crash are away at once.
#[test]
fn of_more_sessions_than_may_be_away_those_away_longest_are_forgotten() {
    let scene = Scene::new();
    // Two connections a user: four may be away. Five in all.
    let of_one = (1..=6).map(|n| away(&scene, n, "ann", n));
    let of_others =
        [(7, "bob", 1), (8, "eve", 9)].map(|(n, name, since)| away(&scene, n, name, since));
    let history = History::new(limits().history, id(10));
    let mut hub = HubState::restored(limits(), history, of_one.chain(of_others));
    assert!(hub.is_consistent());
    let known: Vec<u64> = (1..=8)
        .filter(|n| hub.session(&token(*n)).is_some())
        .collect();
    assert_eq!(known, [3, 4, 5, 6, 8], "of ann's the oldest, then bob's");
    let forgotten = |(token, session): (Uuid, Option<&Session>)| session.is_none().then_some(token);
    let forgotten: Vec<Uuid> = hub
        .take_changed()
        .into_iter()
        .filter_map(forgotten)
        .collect();
    assert_eq!(
        forgotten,
        [1, 2, 7].map(token),
        "and so they are where they are kept"
    );
}
