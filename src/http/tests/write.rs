use proptest::prelude::*;

use super::*;
use crate::http::decode::from_query;

fn read(query: &str, body: &str) -> Result<Vec<(String, Value)>, Problem> {
    let (lines, messages) = messages(body, &from_query(query)?)?;
    assert_eq!(lines.len(), messages.len());
    let read = |message: Written| {
        (
            message.metric,
            serde_json::from_str(message.data.get()).unwrap(),
        )
    };
    Ok(messages.into_iter().map(read).collect())
}

fn one(query: &str, body: &str) -> (String, Value) {
    read(query, body).unwrap().remove(0)
}

fn refused(query: &str, body: &str) -> String {
    let refused = read(query, body).expect_err(body).to_string();
    let text = refused.strip_prefix("invalid_request: ");
    text.expect("400").to_owned()
}

#[test]
fn a_series_is_a_metric_and_a_point_is_a_row() {
    let body = "cpu,host=web1.example.org,cpu=cpu0 usage_idle=98.5,n=1i,up=true,os=\"Linux\" 1769860800000000000";
    let data = json!({
        "time": "2026-01-31T12:00:00Z", "cpu": "cpu0", "host": "web1.example.org",
        "usage_idle": 98.5, "n": 1, "up": true, "os": "Linux",
    });
    for (query, metric) in [
        ("", "cpu.cpu0.web1_example_org"),
        ("db=telegraf&rp=", "cpu.cpu0.web1_example_org"),
        ("tags=host", "cpu.web1_example_org"),
        ("tags=host,cpu", "cpu.web1_example_org.cpu0"),
        ("tags=host,rack", "cpu.web1_example_org._"),
        ("tags=", "cpu"),
    ] {
        assert_eq!(
            one(query, body),
            (metric.to_owned(), data.clone()),
            "{query}"
        );
    }
    let dotted = one("", "app.requests.total,path=/a\\ b,zone=eu-1 count=3i");
    let data = json!({"path": "/a b", "zone": "eu-1", "count": 3});
    assert_eq!(dotted, ("app.requests.total._a_b.eu-1".to_owned(), data));
    let same = one("", "m,a=tag a=1,time=2 5");
    assert_eq!(same.1, json!({"time": 2.0, "a": 1.0}));
}

#[test]
fn timestamps_count_what_is_said() {
    for (query, timestamp, time) in [
        ("", "1769860800123456789", "2026-01-31T12:00:00.123456789Z"),
        ("precision=n", "-1", "1969-12-31T23:59:59.999999999Z"),
        (
            "precision=us",
            "1769860800123456",
            "2026-01-31T12:00:00.123456Z",
        ),
        ("precision=u", "1", "1970-01-01T00:00:00.000001Z"),
        ("precision=ms", "1769860800123", "2026-01-31T12:00:00.123Z"),
        ("precision=s", "1769860800", "2026-01-31T12:00:00Z"),
        ("precision=m", "1", "1970-01-01T00:01:00Z"),
        ("precision=h", "1", "1970-01-01T01:00:00Z"),
    ] {
        let (_, data) = one(query, &format!("m v=1 {timestamp}"));
        assert_eq!(data["time"], time, "{query}");
    }
    let wrong = refused("precision=fortnight", "m v=1 1");
    assert!(wrong.contains("Query string"), "{wrong}");
    let far = refused("precision=h", "m v=1 9223372036854775807");
    assert_eq!(
        far,
        "Invalid body at line 1: the timestamp is out of range; check ?precision="
    );
}

#[test]
fn what_cannot_be_taken_says_where() {
    let check = |body: &str, expected: &str| {
        let refused = refused("", body);
        assert!(refused.starts_with(expected), "{refused}");
    };
    check(
        "m v=1\nm v=x",
        "Malformed line protocol at line 2, column 5: ",
    );
    check("", "Invalid body: 1 to 1000 points are allowed");
    check(
        "# nothing\n\n",
        "Invalid body: 1 to 1000 points are allowed",
    );
    check(
        &"m v=1\n".repeat(1001),
        "Invalid body: 1 to 1000 points are allowed",
    );
    let long = format!("m v=1\nm,a={} v=1", "x".repeat(127));
    check(
        &long,
        "Invalid body at line 2: measurement and tags make no name: a metric name has 1 to 128",
    );
    let many: String = (0..16).map(|n| format!(",t{n}=a")).collect();
    check(
        &format!("m{many} v=1"),
        "Invalid body at line 1: measurement and tags make no name",
    );
    assert!(read("tags=t1,t2", &format!("m{many} v=1")).is_ok());
    assert_eq!(read("", &"m v=1\n".repeat(1000)).unwrap().len(), 1000);
}

proptest! {
    /// Whatever is in a point, its name is one or it is refused as too long, and tells series apart by their order.
    #[test]
    fn every_series_gets_a_name(measurement in "[^\\\\\n\r,= #][^\\\\\n\r,= ]{0,9}", tags in prop::collection::btree_map("[a-z]{1,3}", "[^\\\\\n\r,= ]{1,9}", 0..8)) {
        let written: String = tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
        let body = format!("{measurement}{written} v=1");
        let Ok(read) = read("", &body) else {
            let segments = measurement.split('.').count() + tags.len();
            let longest = measurement.len() + tags.values().map(|it| it.len() + 1).sum::<usize>();
            // Or it begins as a blank line does.
            let is_blank = measurement.starts_with(['\t', ' ']);
            prop_assert!(segments > 16 || longest > 128 || is_blank, "{}", body);
            return Ok(());
        };
        let (metric, data) = &read[0];
        prop_assert!(MetricName::parse(metric).is_ok());
        prop_assert_eq!(metric.split('.').count(), measurement.split('.').count() + tags.len());
        for (key, value) in tags.iter().filter(|(key, _)| *key != "v") {
            prop_assert_eq!(&data[key], value);
        }
    }
}
