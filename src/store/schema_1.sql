-- Ids of messages are packed as in the program: milliseconds times 2^20 plus the sequence.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- The messages of one topic and priority, of which some up to `cut` are gone and `messages` are here.
-- Kinds: 0 a metric, 1 a metric of one user, 2 the alerts, 3 tests of one user's connections (`metric`
-- is the transport). Priorities from 0, low, to 3, critical.
CREATE TABLE ring (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    metric TEXT NOT NULL,
    user TEXT NOT NULL,
    priority INTEGER NOT NULL,
    cut INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    UNIQUE (metric, kind, user, priority)
) STRICT;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    ring INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE INDEX message_ring ON message (ring, id);

-- Ids after the first and before the second may have been given and are not in the log.
CREATE TABLE hole (
    after INTEGER PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    token BLOB PRIMARY KEY,
    position INTEGER NOT NULL,
    away_since_ms INTEGER,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which message a publisher's key stands for; `hash` is of what was published with it.
CREATE TABLE publish_key (
    message INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    hash BLOB NOT NULL
) STRICT;

-- Each is the message of the same id, and stays when that goes. `data` is what was published. Severity
-- low, medium, high or critical; state open, acknowledged or resolved.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY,
    severity TEXT NOT NULL,
    data TEXT NOT NULL,
    state TEXT NOT NULL,
    acknowledged_by TEXT,
    acknowledged_ms INTEGER,
    acknowledged_note TEXT,
    resolved_by TEXT,
    resolved_ms INTEGER,
    resolved_note TEXT
) STRICT;

CREATE INDEX alert_state ON alert (state, id);
CREATE INDEX alert_severity ON alert (severity, id);
CREATE INDEX alert_state_severity ON alert (state, severity, id);
CREATE INDEX alert_resolved ON alert (resolved_ms) WHERE resolved_ms IS NOT NULL;

-- Each hash is of the record and the hash before.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    record TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
