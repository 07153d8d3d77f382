//! The audit trail of several hubs is one chain.

use jiff::Timestamp;

use super::*;
use crate::store::{AuditRecord, AuditTrail, Fault, Summary, Verdict};

/// The record of second `n`.
fn record(n: i64) -> AuditRecord {
    let at_ms = 1_767_225_600_000 + 1000 * n;
    let time = Timestamp::from_millisecond(at_ms).unwrap();
    let text = format!("{{\"time\":\"{time:.3}\",\"action\":\"publish\",\"target\":\"m{n}\"}}");
    AuditRecord { at_ms, text }
}

fn verify(fixture: &Fixture) -> Verdict {
    let trail = AuditTrail::in_database(&fixture.url()).unwrap();
    trail.verify(None, |_, _| {}).unwrap()
}

fn whole(fixture: &Fixture) -> Summary {
    match verify(fixture) {
        Verdict::Whole(summary) => summary,
        verdict => panic!("{verdict:?}"),
    }
}

#[actix_rt::test]
async fn hubs_that_write_at_once_write_one_chain() {
    let fixture = Fixture::new();
    let start = || {
        let database = Database::join(&fixture.settings, &fixture.url()).unwrap();
        database.start(Nobody).unwrap()
    };
    let writers: Vec<Writer> = (0..3).map(|_| start()).collect();
    for n in 0..300 {
        let writer = &writers[n % 3];
        assert_eq!(writer.audit(vec![record(n as i64)]), 1);
        if n % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    for writer in &writers {
        writer.close().await;
        assert_eq!(writer.health().audit.written, 100);
        assert_eq!(writer.health().audit.lost, 0);
    }
    let summary = whole(&fixture);
    assert_eq!((summary.records, summary.removed), (300, 0));

    let trail = AuditTrail::in_database(&fixture.url()).unwrap();
    assert_eq!(trail.newest_id(), Ok(300));
    assert_eq!(trail.after(298, 10).unwrap().len(), 2);
    assert_eq!(trail.before(3, 10).unwrap()[0].id, 2);
    fixture
        .execute(
            "UPDATE statshub.audit SET record = replace(record, 'publish', 'connect') WHERE id = 7",
        )
        .await;
    let Verdict::Broken(at) = verify(&fixture) else {
        panic!("nobody noticed");
    };
    assert_eq!((at.id, at.fault), (7, Fault::Changed));
}

#[actix_rt::test]
async fn what_is_too_old_goes_and_the_rest_stays_a_chain() {
    let fixture = Fixture::new();
    let writer = fixture.open().start(Nobody).unwrap();
    assert_eq!(writer.audit((1..=5000).map(record).collect()), 5000);
    let now = AuditRecord {
        at_ms: Timestamp::now().as_millisecond(),
        ..record(0)
    };
    let time = Timestamp::from_millisecond(now.at_ms).unwrap();
    let text = format!("{{\"time\":\"{time:.3}\"}}");
    writer.audit(vec![AuditRecord { text, ..now }]);
    let left = "SELECT count(*) FROM statshub.audit";
    eventually("all are written", async || {
        fixture.number(left).await == 5001
    })
    .await;
    writer.retain_audit(Duration::from_secs(60));
    eventually("one is left", async || fixture.number(left).await == 1).await;
    writer.audit(vec![record(6000)]);
    writer.close().await;
    let summary = whole(&fixture);
    assert_eq!((summary.records, summary.removed), (2, 5000));
}
