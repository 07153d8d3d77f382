//! The one table that is printed.

use std::time::Duration;

pub struct Table {
    columns: usize,
}

impl Table {
    /// Prints the head.
    pub fn begin(columns: &[String]) -> Self {
        println!("\n|  | {} |", columns.join(" | "));
        println!("| --- |{}", " ---: |".repeat(columns.len()));
        Self {
            columns: columns.len(),
        }
    }

    pub fn row(&self, name: &str, cells: &[String]) {
        println!("| {name} | {} |", cells.join(" | "));
    }

    /// A row with a cell in one column only.
    pub fn one(&self, name: &str, column: usize, cell: String) {
        let mut cells = vec![String::new(); self.columns];
        cells[column] = cell;
        self.row(name, &cells);
    }
}

/// Nothing where there was nothing to measure.
pub fn number(value: f64, digits: usize) -> String {
    match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => String::new(),
    }
}

/// In the middle; where there is nothing, no number.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// In milliseconds.
pub fn percentile(latencies: &[Duration], share: f64) -> f64 {
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    let index = (latencies.len() as f64 * share) as usize;
    let at = latencies.get(index.min(latencies.len().saturating_sub(1)));
    at.map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
}
