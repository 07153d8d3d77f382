//! The OpenMetrics text format, read as strictly as its specification has it.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape.
#[derive(Debug)]
pub struct Exposition {
    /// By name, without the endings that samples have.
    pub families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Exposition {
    /// # Panics
    /// Anything that is not as the format says.
    pub fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("the end is marked");
        assert!(body.is_empty() || body.ends_with('\n'), "a torn last line");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in body.lines() {
            assert!(!line.is_empty(), "an empty line");
            if let Some(described) = line.strip_prefix("# ") {
                let (what, rest) = described.split_once(' ').expect("a description");
                let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
                if name != current {
                    assert!(!families.contains_key(name), "{name} comes twice");
                    current = name.to_owned();
                }
                describe(families.entry(current.clone()).or_default(), what, said);
            } else {
                let family = families.get_mut(&current).expect("a family first");
                family.samples.push(sample(line));
            }
        }
        families
            .iter()
            .for_each(|(name, family)| family.check(name));
        Self { families }
    }

    /// The one sample of this name with at least these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.families))
    }

    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut samples = self.families.values().flat_map(|family| &family.samples);
        let wanted = samples.find(|sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|it| it == value)
            };
            sample.name == name && labels.iter().all(has)
        });
        wanted.map(|sample| sample.value)
    }
}

fn describe(family: &mut Family, what: &str, said: &str) {
    assert!(family.samples.is_empty(), "described after its samples");
    match what {
        "HELP" => family.help = said.to_owned(),
        "TYPE" => family.kind = said.to_owned(),
        "UNIT" => family.unit = Some(said.to_owned()),
        other => panic!("what is {other:?}?"),
    }
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a name and a value");
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let value = value.strip_prefix(' ').expect("a space before the value");
    Sample {
        name: name.to_owned(),
        labels,
        value: value
            .parse()
            .unwrap_or_else(|_| panic!("no number in {line:?}")),
    }
}

/// The labels after a brace, and what comes after the closing one.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name), "no label: {name:?}");
        let (value, after) = unquoted(quoted);
        let new = labels.insert(name.to_owned(), value).is_none();
        assert!(new, "the label {name} comes twice");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (labels, &rest[1..])
}

/// The text up to the closing quote, and what comes after it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.push(match chars.next().expect("something escaped").1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                other => panic!("what is \\{other}?"),
            }),
            c => value.push(c),
        }
    }
    panic!("no closing quote in {quoted:?}");
}

fn is_name(text: &str) -> bool {
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(in_name) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
}

impl Family {
    fn check(&self, name: &str) {
        assert!(is_name(name), "{name:?}");
        assert!(!self.help.is_empty(), "{name} is not explained");
        if let Some(unit) = &self.unit {
            assert!(name.ends_with(&format!("_{unit}")), "{name} in {unit}");
        }
        let endings: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{name} is a {other:?}"),
        };
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            let ending = sample.name.strip_prefix(name).expect("of its family");
            assert!(
                endings.contains(&ending),
                "{} in a {}",
                sample.name,
                self.kind
            );
            assert!(seen.insert((ending, &sample.labels)), "{sample:?} twice");
            let counts = self.kind != "gauge";
            assert!(sample.value.is_finite(), "{sample:?}");
            assert!(!counts || sample.value >= 0.0, "{sample:?}");
        }
        if self.kind == "histogram" {
            self.check_buckets(name);
        }
    }

    /// Each set of labels has buckets of its own.
    fn check_buckets(&self, name: &str) {
        for whole in self.samples.iter().filter(|it| it.name.ends_with("_count")) {
            let (mut below, mut bound) = (0.0, f64::NEG_INFINITY);
            let is_of = |it: &&Sample| {
                let mut labels = it.labels.clone();
                labels.remove("le").is_some() && labels == whole.labels
            };
            for sample in self.samples.iter().filter(is_of) {
                let le: f64 = sample.labels["le"].parse().expect("a bound");
                assert!(le > bound && sample.value >= below, "{sample:?}");
                (below, bound) = (sample.value, le);
            }
            assert_eq!((bound, below), (f64::INFINITY, whole.value), "{name}");
        }
        let with_bound = self
            .samples
            .iter()
            .filter(|it| it.labels.contains_key("le"));
        let of_some = with_bound.clone().filter(|it| self.has_count(it)).count();
        assert_eq!(
            of_some,
            with_bound.count(),
            "{name}: buckets without a count"
        );
    }

    fn has_count(&self, bucket: &Sample) -> bool {
        let mut labels = bucket.labels.clone();
        labels.remove("le");
        let mut counts = self.samples.iter().filter(|it| it.name.ends_with("_count"));
        counts.any(|it| it.labels == labels)
    }
}

#[test]
fn the_format_is_read_and_held_to() {
    let good = "# HELP a_b A.\n# TYPE a_b counter\na_b_total{x=\"1\\\"\",y=\"\\n\"} 2\n\
                # HELP h H.\n# TYPE h histogram\nh_sum 0.5\nh_count 2\n\
                h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\n";
    let read = Exposition::parse(&format!("{good}# EOF\n"));
    assert_eq!(read.value("a_b_total", &[("y", "\n")]), 2.0);
    assert_eq!(read.find("a_b_total", &[("y", "2")]), None);
    assert_eq!(read.families["h"].kind, "histogram");
    let each = "# HELP h H.\n# TYPE h histogram\n\
                h_count{r=\"a\"} 2\nh_bucket{le=\"1.0\",r=\"a\"} 2\nh_bucket{le=\"+Inf\",r=\"a\"} 2\n\
                h_count{r=\"b\"} 1\nh_bucket{le=\"1.0\",r=\"b\"} 0\nh_bucket{le=\"+Inf\",r=\"b\"} 1\n# EOF\n";
    let read = Exposition::parse(each);
    assert_eq!(read.value("h_count", &[("r", "b")]), 1.0);
    for (what, instead) in [
        ("# EOF", "# EOF\n# EOF"),
        ("# EOF\n", ""),
        ("# TYPE a_b counter\n", ""),
        ("# HELP a_b A.\n", ""),
        ("counter", "gauge"),
        ("_total", ""),
        ("} 2\n# HELP h", "} two\n# HELP h"),
        ("} 2\n# HELP h", "} 2\n\n# HELP h"),
        ("x=", "1x="),
        (",y=", ",x="),
        ("\\n", "\\t"),
        ("le=\"1.0\"} 1", "le=\"1.0\"} 3"),
        ("+Inf", "2.0"),
        ("h_count 2", "h_count 3"),
        ("h_count 2\n", ""),
        ("le=\"1.0\"", "le=\"1.0\",r=\"a\""),
        ("h_sum 0.5", "h_sum NaN"),
        ("# HELP h H.", "# HELP a_b H."),
    ] {
        let bad = format!("{good}# EOF\n").replacen(what, instead, 1);
        let held = std::panic::catch_unwind(|| Exposition::parse(&bad));
        assert!(held.is_err(), "{what:?} as {instead:?} was taken");
    }
}
