//! What operators see.

use super::*;

#[test]
fn statistics_count_streams_by_transport_and_backlogs_by_priority() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene
        .ask_over(Transport::Websocket, 2, new("ann", &[]), None)
        .unwrap();
    scene
        .ask_over(Transport::Websocket, 3, new("bob", &[]), None)
        .unwrap();
    scene.hub.lagging(key(3), id(10));
    scene.sent(2, 10);
    scene.gone(2, 10);
    (0..4).for_each(|_| {
        scene.publish(metric("a"), Priority::High);
    });
    let statistics = scene.hub.statistics();
    assert_eq!((statistics.sessions, statistics.away), (3, 1));
    assert_eq!((statistics.sse.total, statistics.sse.active), (1, 1));
    assert_eq!(
        (statistics.websocket.total, statistics.websocket.active),
        (1, 0),
        "one lags"
    );
    assert_eq!(
        statistics.connections_by_user,
        [(user("ann"), 1), (user("bob"), 1)].into()
    );
    assert_eq!(
        (
            statistics.buffered,
            statistics.buffered_by_priority[Priority::High]
        ),
        (6, 6)
    );
    assert_eq!((statistics.utilization_max, statistics.metrics), (1.0, 1));
    assert!((statistics.utilization_mean - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(statistics.tally.published[Priority::High], 4);

    let views = |filter: SessionFilter| {
        let (views, total) = scene.hub.sessions(&filter, 0, 10);
        (
            views
                .iter()
                .map(|view| view.session.token)
                .collect::<Vec<_>>(),
            total,
        )
    };
    let all = SessionFilter::default;
    for (filter, expected) in [
        (all(), vec![1, 2, 3]),
        (
            SessionFilter {
                user: Some(user("ann")),
                ..all()
            },
            vec![1, 2],
        ),
        (
            SessionFilter {
                transport: Some(Transport::Websocket),
                ..all()
            },
            vec![2, 3],
        ),
        (
            SessionFilter {
                delivery: Some(Delivery::Away),
                ..all()
            },
            vec![2],
        ),
        (
            SessionFilter {
                delivery: Some(Delivery::Lagging),
                ..all()
            },
            vec![3],
        ),
    ] {
        let tokens: Vec<Uuid> = expected.iter().map(|number| token(*number)).collect();
        assert_eq!(views(filter), (tokens, expected.len()));
    }
    let (page, total) = scene.hub.sessions(&all(), 1, 1);
    assert_eq!((page.len(), total, page[0].session.token), (1, 3, token(2)));
    assert_eq!((page[0].backlog.total(), page[0].dropped.total()), (3, 1));
}
