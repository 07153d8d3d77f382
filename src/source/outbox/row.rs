//! A row as it stands in the table, and what it says.

use crate::domain::message::{Draft, Priority, UserId};
use crate::domain::pattern::MetricName;
use crate::source::OutboxRow;
use crate::wire::json;

/// All as text, whatever the columns are of; `data` only where it is not far too large.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Written {
    pub id: i64,
    pub metric: Option<String>,
    pub data: Option<String>,
    /// Of `data`.
    pub bytes: Option<i64>,
    pub priority: Option<String>,
    pub user_id: Option<String>,
    /// With the id it tells a row from one that later has the same id, as after `RESTART IDENTITY`.
    pub created: Option<String>,
}

impl Written {
    /// # Errors
    /// Why it can never be published as it is, in words for whoever writes such rows. What it says is not in
    /// them, as they stand in logs.
    pub fn read(self, data_bytes_max: usize) -> Result<OutboxRow, String> {
        let missing = |column: &str| format!("{column} is null");
        let metric = self.metric.ok_or_else(|| missing("metric"))?;
        let metric = MetricName::parse(&metric).map_err(|error| format!("metric: {error}"))?;
        let too_large = || format!("data is larger than {data_bytes_max} bytes");
        let data = match (self.data, self.bytes) {
            (Some(data), _) => data,
            (None, Some(_)) => return Err(too_large()),
            (None, None) => return Err(missing("data")),
        };
        let data = json::compact(&data).map_err(|error| format!("data: {error}"))?;
        if data.as_str().len() > data_bytes_max {
            return Err(too_large());
        }
        let priority = self.priority.map(|word| {
            let known = Priority::parse(&word);
            known.ok_or("priority is none of critical, high, normal, low")
        });
        let user = self.user_id.map(|text| {
            let user = UserId::parse(&text);
            user.ok_or("user_id has 1 to 128 bytes without control characters")
        });
        let created = self.created.unwrap_or_default();
        Ok(OutboxRow {
            key: format!("{} {created}", self.id),
            draft: Draft {
                metric,
                data,
                priority: priority.transpose()?,
                user: user.transpose()?,
                retain: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written {
        Written {
            id: 7,
            metric: Some("orders.created".into()),
            data: Some(r#"{"id": 1}"#.into()),
            bytes: Some(9),
            priority: None,
            user_id: None,
            created: Some("1795809100427000".into()),
        }
    }

    #[test]
    fn a_row_says_what_a_message_can() {
        let row = written().read(100).unwrap();
        assert_eq!(row.key, "7 1795809100427000");
        assert_eq!(row.draft.metric.as_str(), "orders.created");
        assert_eq!(row.draft.data.as_str(), r#"{"id":1}"#);
        assert_eq!((row.draft.priority, row.draft.user), (None, None));
        let row = Written {
            priority: Some("high".into()),
            user_id: Some("ada".into()),
            ..written()
        };
        let row = row.read(100).unwrap();
        assert_eq!(row.draft.priority, Some(Priority::High));
        assert_eq!(row.draft.user, UserId::parse("ada"));
    }

    #[test]
    fn what_can_never_be_published_says_why() {
        let check = |row: Written, bytes_max: usize, reason: &str| {
            let refused = row.read(bytes_max).expect_err(reason);
            assert!(refused.starts_with(reason), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        };
        let all = written;
        check(
            Written {
                metric: None,
                ..all()
            },
            9,
            "metric is null",
        );
        let metric = Some("hunter2 orders".into());
        check(Written { metric, ..all() }, 9, "metric: ");
        check(all(), 7, "data is larger than 7 bytes");
        check(
            Written {
                data: None,
                ..all()
            },
            9,
            "data is larger than",
        );
        let (data, bytes) = (None, None);
        check(
            Written {
                data,
                bytes,
                ..all()
            },
            9,
            "data is null",
        );
        let data = Some("1e999".into());
        check(
            Written { data, ..all() },
            9,
            "data: the JSON holds a number",
        );
        let priority = Some("hunter2".into());
        check(Written { priority, ..all() }, 9, "priority is none of");
        let user_id = Some("a\nhunter2".into());
        check(Written { user_id, ..all() }, 9, "user_id has 1 to 128");
    }
}
