//! How streams end, and sessions are renewed and forgotten.

use super::*;

#[test]
fn a_refresh_needs_the_same_user_and_lasts_at_least_as_long() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.did();
    let until = |name, expires_at_ms| Identity {
        expires_at_ms,
        ..identity(name)
    };
    for (number, identity, expected) in [
        (7, until("ann", EXPIRES), Err(RefreshError::UnknownSession)),
        (1, until("bob", EXPIRES + 5), Err(RefreshError::OtherUser)),
        (
            1,
            until("ann", EXPIRES - 1),
            Err(RefreshError::ExpiresEarlier),
        ),
        (1, until("ann", EXPIRES), Ok(EXPIRES)),
        (1, until("ann", EXPIRES + 5), Ok(EXPIRES + 5)),
    ] {
        assert_eq!(
            scene
                .hub
                .refresh(token(number), identity.into(), &mut scene.recorder),
            expected
        );
        let told = expected.map_or(vec![], |expires| {
            vec![Did::Send(1, vec![Said::Refreshed(expires)])]
        });
        assert_eq!(scene.did(), told);
        assert!(scene.hub.is_consistent());
    }
    scene.now.wall_ms = EXPIRES + 4;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), []);
    scene.now.wall_ms += 1;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Close(1, Goodbye::TokenExpired)]);
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), [], "told once");
}

/// Attack: filling the hub with sessions that are away.
#[test]
fn a_user_has_twice_as_many_away_sessions_as_connections_and_the_hub_has_a_limit_too() {
    let mut scene = Scene::new();
    for number in 1..=5 {
        scene.open(number, "ann", &[]);
        scene.gone(number, 10);
    }
    assert!(scene.hub.session(&token(1)).is_none(), "away longest");
    assert!((2..=5).all(|number| scene.hub.session(&token(number)).is_some()));
    for number in 6..=7 {
        scene.open(number, "bob", &[]);
        scene.gone(number, 10);
    }
    assert!(
        scene.hub.session(&token(2)).is_none(),
        "five are the most in all"
    );
    assert_eq!(scene.hub.statistics().away, 5);
    assert_eq!(
        scene.ask(8, resume("ann", 1), None),
        Err(Refusal::UnknownToken)
    );
}

#[test]
fn a_session_is_forgotten_after_its_time_away_and_each_resume_renews_it() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.gone(1, 10);
    let pass = |scene: &mut Scene, seconds| {
        scene.now.mono += Duration::from_secs(seconds);
        scene.hub.tick(scene.now, &mut scene.recorder);
        scene.hub.session(&token(1)).is_some()
    };
    assert!(pass(&mut scene, 100));
    scene.ask(2, resume("ann", 1), None).unwrap();
    assert!(pass(&mut scene, 500), "connected");
    scene.gone(2, 10);
    assert!(pass(&mut scene, 100));
    assert!(!pass(&mut scene, 1));
    assert_eq!(
        scene.ask(3, resume("ann", 1), None),
        Err(Refusal::UnknownToken)
    );
}

#[test]
fn an_operator_ends_whom_he_chooses_and_forgets_them() {
    type Chosen = fn(&Session) -> bool;
    let by_user: Chosen = |session| session.user().as_str() == "ann";
    let by_connection: Chosen = |session| session.connection_id == token(1002);
    let by_jti: Chosen = |session| session.identity.token_id.as_deref() == Some("jti-bob");
    let by_issue: Chosen = |session| session.identity.issued_at_ms.is_some();
    for (chosen, closed, ended) in [
        (by_user, &[1][..], 2),
        (by_connection, &[], 1),
        (by_jti, &[3], 1),
        (by_issue, &[], 0),
    ] {
        let mut scene = Scene::new();
        scene.open(1, "ann", &[]);
        scene.open(2, "ann", &[]);
        scene.open(3, "bob", &[]);
        scene.gone(2, 10);
        scene.did();
        let told = scene.hub.disconnect(chosen, &mut scene.recorder);
        assert_eq!(
            (told.len(), scene.hub.statistics().sessions),
            (ended, 3 - ended)
        );
        assert_eq!(
            told.iter().filter(|ended| ended.was_live).count(),
            closed.len()
        );
        let closes: Vec<Did> = closed
            .iter()
            .map(|number| Did::Close(*number, Goodbye::Disconnected))
            .collect();
        assert_eq!(scene.did(), closes);
        scene.gone(1, 10);
    }
}

#[test]
fn a_session_counts_what_all_of_its_connections_sent() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    let sent = |scene: &Scene| scene.hub.session(&token(1)).unwrap().sent();
    scene.sent(1, 10);
    scene.sent(1, 11);
    assert_eq!(sent(&scene), 2);
    scene.gone(1, 11);
    assert_eq!(sent(&scene), 2);
    scene.ask(2, resume("ann", 1), None).unwrap();
    scene.sent(2, 12);
    assert_eq!(sent(&scene), 3);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert_eq!(sent(&scene), 3);
}

#[test]
fn a_drain_spreads_the_clients_over_the_time_given() {
    let mut scene = Scene::new();
    (1..=2).for_each(|number| {
        scene.open(number, &format!("user-{number}"), &[]);
    });
    scene.did();
    scene.hub.drain(
        (Duration::from_secs(1), Duration::from_secs(5)),
        &mut scene.recorder,
    );
    let shutdown = |seconds| Goodbye::Shutdown {
        reconnect_in: Duration::from_secs(seconds),
    };
    assert_eq!(
        scene.did(),
        [Did::Close(1, shutdown(1)), Did::Close(2, shutdown(3))]
    );
}
