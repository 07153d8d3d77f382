//! What a server shows to Prometheus.

use super::exposition::samples;
use super::{Wanted, number};
use crate::config::Selector;

/// A selector and a text, apart by 0xff. Whatever they are, a text is read or refused, and what is made of it is
/// JSON of no more series than allowed; a sample that is written again is read as the same.
pub fn exposition(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let mut part = || str::from_utf8(parts.next().unwrap_or_default()).ok();
    let (Some(selector), Some(text)) = (part(), part()) else {
        return;
    };
    for sample in samples(text).filter_map(Result::ok) {
        let label = |name: &str, value: &str| {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#);
            format!(r#"{name}="{}""#, value.replace('\n', r"\n"))
        };
        let labels = sample.labels.iter().map(|(name, value)| label(name, value));
        let labels: Vec<String> = labels.collect();
        let line = format!("{}{{{}}} {}", sample.name, labels.join(","), sample.value);
        let again = samples(&line).next();
        let again = again.and_then(Result::ok).expect("what was just written");
        assert_eq!((again.name, &again.labels), (sample.name, &sample.labels));
        assert_eq!(number(again.value), number(sample.value));
    }
    let Some(selector) = Selector::parse(selector) else {
        return;
    };
    let series_max = 3;
    let wanted = Wanted {
        selector,
        aggregate: None,
        series_max,
    };
    if let Ok(value) = wanted.value(text) {
        let series = value.as_array().map_or(0, Vec::len);
        assert!(series <= series_max && !value.to_string().contains('\n'));
    }
}
