use std::time::Duration;

/// Why a read gave no value. The texts are for operators and carry no credentials.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the read panicked")]
    Panicked,
    #[error("the read before this one still runs")]
    Busy,
    #[error("the hub takes no more updates: {0} are waiting")]
    SinkFull(usize),
    #[error("the hub has stopped taking updates")]
    SinkClosed,
    /// The host's own counters could not be read.
    #[error("reading the host: {0}")]
    Host(String),
    /// What the function behind a `hub` source said.
    #[error("{0:#}")]
    Hub(anyhow::Error),
    #[error("{0}")]
    Database(String),
    #[error("more than {rows_max} rows: narrow the query or raise rows_max")]
    Rows { rows_max: usize },
    #[error("a source's query is one statement with one result")]
    SeveralStatements,
    #[error("two columns are called {0:?}: give one another name with AS")]
    ColumnTwice(String),
    #[error(
        "column {column:?} of type {kind} {problem}; cast it, for example CAST(... AS {as_text})"
    )]
    Column {
        column: String,
        /// The database's name for the type.
        kind: String,
        problem: String,
        /// How this database spells its text type in a cast.
        as_text: &'static str,
    },
    #[error("column {column:?} is declared to hold JSON but does not: {problem}")]
    ColumnJson { column: String, problem: String },
    /// Connecting, sending or receiving failed; the URL is without user, password and query.
    #[error("{url}: {problem}")]
    Request { url: String, problem: String },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{url} answered more than {body_bytes_max} bytes")]
    Body { url: String, body_bytes_max: usize },
    #[error("{url} answered no JSON: {problem}")]
    NoJson { url: String, problem: String },
    #[error("{url} answered nothing that Prometheus could read: {problem}")]
    NoSamples { url: String, problem: String },
    #[error(
        "more than {series_max} series fit: narrow the selector, make one number of them with aggregate, or raise series_max"
    )]
    Series { series_max: usize },
    #[error("{0}")]
    Redis(String),
    #[error("the key {key:?} is of type {kind}, which has no JSON form here")]
    RedisType { key: String, kind: String },
    #[error(
        "the hash {key:?} has {fields} fields: read another key or raise fields_max, which is {fields_max}"
    )]
    RedisFields {
        key: String,
        fields: usize,
        fields_max: usize,
    },
    #[error(
        "the values have more than {body_bytes_max} bytes together: read fewer keys or raise body_bytes_max"
    )]
    RedisBytes { body_bytes_max: usize },
    #[error("a value is no UTF-8 text")]
    RedisText,
    #[error("the connection broke")]
    Broken,
    /// The rows stay where they are.
    #[error("the rows cannot be published now: {0}")]
    NotPublished(String),
}
