use super::*;
use crate::domain::pattern::Pattern;

fn scene() -> Scene {
    let ttl = |pattern, ms| (Pattern::parse(pattern).unwrap(), Duration::from_millis(ms));
    Scene::with(Limits {
        ttls: vec![ttl("never", u64::MAX), ttl("a.*", 100), ttl("b", 1000)],
        ..limits()
    })
}

impl Scene {
    fn look(&mut self, at_ms: u64) -> Vec<(String, u64)> {
        self.now.wall_ms = at_ms;
        self.hub.look_for_stale(self.now, &mut self.recorder);
        let did = self.did().into_iter();
        let stale = did.filter_map(|did| match did {
            Did::Stale(name, newest) => Some((name, newest)),
            _ => None,
        });
        stale.collect()
    }

    fn opened(&mut self) -> Established {
        self.recorder.opening.take().unwrap()
    }
}

#[test]
fn a_value_that_is_overdue_is_told_of_once_until_there_is_a_new_one() {
    let mut scene = scene();
    for name in ["a.x", "b", "c", "never"] {
        scene.publish(metric(name), Priority::Normal);
    }
    assert_eq!(scene.look(111), []);
    assert_eq!(scene.look(112), [("a.x".to_owned(), 11)]);
    assert_eq!(scene.look(113), []);
    assert_eq!(scene.look(2000), [("b".to_owned(), 12)]);
    scene.last = 1999;
    scene.publish(metric("a.x"), Priority::Normal);
    assert_eq!(scene.look(2050), []);
    assert_eq!(scene.look(2101), [("a.x".to_owned(), 2000)]);
    // What is one user's own has no time to live.
    scene.publish(own_metric("a.y", "ann"), Priority::Normal);
    assert_eq!(scene.look(9000), []);
}

#[test]
fn whoever_comes_is_told_which_of_its_values_are_overdue() {
    let mut scene = scene();
    for name in ["a.x", "a.y", "b"] {
        scene.publish(metric(name), Priority::Normal);
    }
    scene.look(5000);
    let names = |names: Vec<crate::domain::pattern::MetricName>| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let view = r#"{"metric":"a.y","fields":["/x"]}"#;
    scene.open(1, "ann", &["a.x", view]);
    assert_eq!(
        names(scene.opened().stale),
        [] as [&str; 0],
        "the snapshot says it"
    );
    let overdue = scene
        .hub
        .stale_for(&scene.hub.session(&token(1)).unwrap().reader());
    assert_eq!(names(overdue), ["a.x", "a.y"]);
    scene.gone(1, 13);
    scene.ask(2, resume("ann", 1), None).unwrap();
    assert_eq!(names(scene.opened().stale), ["a.x", "a.y"]);
}
