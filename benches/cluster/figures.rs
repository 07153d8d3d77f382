//! What was measured of hubs of one shape, round after round, and the rows that it makes.

use crate::latency::Light;
use crate::publishers::Load;
use crate::site::Shape;
use crate::table::{Table, median, number, percentile};

/// One round of one shape.
#[derive(Debug)]
pub struct Round {
    pub light: Light,
    pub single: Load,
    pub batch: Load,
    /// Batches that are all published at the first hub; `None` where there is no other.
    pub elsewhere: Option<Load>,
}

/// A shape, and the rounds of it.
pub struct Column {
    pub shape: Shape,
    pub rounds: Vec<Round>,
}

/// The rows of a table that has a column for each of these, the one without Redis first.
pub struct Rows<'a> {
    pub table: &'a Table,
    pub columns: &'a [Column],
}

impl Column {
    pub fn name(&self) -> String {
        match self.shape {
            Shape::Alone => "alone".to_owned(),
            Shape::Hubs(1) => "1 hub".to_owned(),
            Shape::Hubs(count) => format!("{count} hubs"),
            Shape::Replicated(count) => format!("{count} hubs, replicated"),
        }
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of))
    }
}

impl Rows<'_> {
    pub fn print(&self) {
        self.load("publishes/s", "a publish", |it| &it.single);
        self.load(
            "messages/s in batches of 100",
            "a message, in batches",
            |it| &it.batch,
        );
        self.cells("a hub's CPU to take over another's message, µs", |column| {
            let others = column.shape.hubs() - 1;
            let each = column.median(|it| {
                let load = it.elsewhere.as_ref();
                load.map_or(f64::NAN, |load| load.spent.others_us / load.messages)
            });
            number(each / others as f64, 1)
        });
        self.latency(
            "same hub",
            |it| percentile(&it.light.same, 0.5),
            |it| percentile(&it.light.same, 0.99),
        );
        self.latency(
            "another hub",
            |it| percentile(&it.light.other, 0.5),
            |it| percentile(&it.light.other, 0.99),
        );
        self.light();
    }

    /// As much as goes through.
    fn load(&self, rate: &str, each: &str, of: impl Fn(&Round) -> &Load) {
        let rates = |column: &Column| column.median(|it| of(it).per_second);
        let alone = rates(&self.columns[0]);
        self.cells(rate, |column| {
            format!("{:.0} ({:.2})", rates(column), rates(column) / alone)
        });
        self.cells("from lowest to highest", |column| {
            let rates = || column.rounds.iter().map(|it| of(it).per_second);
            let (least, most) = (
                rates().fold(f64::INFINITY, f64::min),
                rates().fold(0.0, f64::max),
            );
            format!("{least:.0} to {most:.0}")
        });
        self.cells("until every hub had read all, ms", |column| {
            let behind = column.median(|it| of(it).behind.as_secs_f64() * 1e3);
            match column.rounds.iter().map(|it| of(it).lost).sum() {
                0 => number(behind, 0),
                lost => format!("{behind:.0}, {lost} lost their place"),
            }
        });
        let per_message = |of_spent: fn(&Load) -> f64| {
            let of = &of;
            move |it: &Round| of_spent(of(it)) / of(it).messages
        };
        let hubs = per_message(|it| it.spent.hubs_us());
        self.each(&format!("hubs' CPU {each}, µs"), 1, hubs);
        let bench = per_message(|it| it.spent.bench_us);
        self.each(&format!("publishers' CPU {each}, µs"), 1, bench);
        let redis = per_message(|it| it.spent.redis.processor_us);
        self.each(&format!("Redis' CPU {each}, µs"), 2, redis);
        let scripts = per_message(|it| it.spent.redis.scripts_us);
        self.each(&format!("script {each}, µs"), 2, scripts);
        self.each("messages a call of the script", 1, |it| {
            of(it).messages / of(it).spent.redis.scripts
        });
        self.each("a call of the script, µs", 0, |it| {
            of(it).spent.redis.scripts_us / of(it).spent.redis.scripts
        });
        let into = per_message(|it| it.spent.redis.bytes_in);
        self.each(&format!("bytes into Redis {each}"), 0, into);
        let out = per_message(|it| it.spent.redis.bytes_out);
        self.each(&format!("bytes out of Redis {each}"), 0, out);
    }

    /// One call of Redis a message.
    fn light(&self) {
        let per_message =
            |of: fn(&Light) -> f64| move |it: &Round| of(&it.light) / it.light.messages;
        self.each(
            "hubs' CPU a publish at 200/s, µs",
            0,
            per_message(|it| it.spent.hubs_us()),
        );
        let redis = per_message(|it| it.spent.redis.processor_us);
        self.each("Redis' CPU a publish at 200/s, µs", 0, redis);
        self.each("a call of the script at 200/s, µs", 1, |it| {
            it.light.spent.redis.scripts_us / it.light.spent.redis.scripts
        });
        let reads = per_message(|it| it.spent.redis.reads);
        self.each("reads of the log a publish at 200/s", 2, reads);
        self.each("a read at 200/s, µs", 1, |it| {
            it.light.spent.redis.reads_us / it.light.spent.redis.reads
        });
        let commands = per_message(|it| it.spent.redis.commands);
        self.each(
            "commands a publish at 200/s, with those in scripts",
            1,
            commands,
        );
        let bytes = per_message(|it| it.spent.redis.bytes_in + it.spent.redis.bytes_out);
        self.each("bytes in and out a publish at 200/s", 0, bytes);
    }

    fn latency(&self, whose: &str, half: fn(&Round) -> f64, most: fn(&Round) -> f64) {
        let name = format!("publish to arrival, {whose}, p50 / p99, ms");
        self.cells(&name, |column| match column.median(half) {
            value if value.is_finite() => {
                format!("{value:.2} / {:.2}", column.median(most))
            }
            _ => String::new(),
        });
    }

    fn each(&self, name: &str, digits: usize, of: impl Fn(&Round) -> f64) {
        self.cells(name, |column| {
            let value = column.median(&of);
            // What nothing was spent on was not there.
            number(if value == 0.0 { f64::NAN } else { value }, digits)
        });
    }

    fn cells(&self, name: &str, cell: impl Fn(&Column) -> String) {
        let cells: Vec<_> = self.columns.iter().map(cell).collect();
        self.table.row(name, &cells);
    }
}
