-- Ids of messages are packed as in the program: milliseconds times 2^20 plus the sequence. Its numbers and
-- names are those of the file's tables.

-- Where the log begins and how far it is written. Who writes has the number `fence`, and raised it before.
CREATE TABLE statshub.head (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    fence INT8 NOT NULL DEFAULT 0,
    origin INT8,
    last INT8 NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO statshub.head DEFAULT VALUES;

-- The messages of one topic and priority, of which some up to `cut` are gone and `messages` are here.
-- Kinds: 0 a metric, 1 a metric of the user `owner`, 2 the alerts, 3 tests of one user's connections
-- (`metric` is the transport). Priorities from 0, low, to 3, critical.
CREATE TABLE statshub.ring (
    id INT8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind INT8 NOT NULL,
    metric TEXT NOT NULL,
    owner TEXT NOT NULL,
    priority INT8 NOT NULL,
    cut INT8 NOT NULL DEFAULT 0,
    messages INT8 NOT NULL DEFAULT 0,
    UNIQUE (metric, kind, owner, priority)
) WITH (fillfactor = 50);

CREATE TABLE statshub.message (
    id INT8 PRIMARY KEY,
    ring INT8 NOT NULL,
    retain BOOLEAN NOT NULL,
    wall_ms INT8 NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX message_ring ON statshub.message (ring, id);

-- Ids after the first and before the second may have been given and are not in the log.
CREATE TABLE statshub.hole (
    after INT8 PRIMARY KEY,
    before INT8 NOT NULL
);

CREATE TABLE statshub.session (
    token UUID PRIMARY KEY,
    position INT8 NOT NULL,
    away_since_ms INT8,
    record TEXT NOT NULL
) WITH (fillfactor = 50);

-- Which message a publisher's key stands for; `hash` is of what was published with it.
CREATE TABLE statshub.publish_key (
    message INT8 PRIMARY KEY,
    key BYTEA NOT NULL UNIQUE,
    hash BYTEA NOT NULL
);

-- Each is the message of the same id, and stays when that goes. `data` is what was published, the two steps
-- are JSON: {"by": user, "at_ms": number, "note": text or null}.
CREATE TABLE statshub.alert (
    id INT8 PRIMARY KEY,
    severity TEXT NOT NULL,
    data TEXT NOT NULL,
    state TEXT NOT NULL,
    acknowledged TEXT,
    resolved TEXT,
    resolved_ms INT8
);
CREATE INDEX alert_state ON statshub.alert (state, id);
CREATE INDEX alert_severity ON statshub.alert (severity, id);
CREATE INDEX alert_state_severity ON statshub.alert (state, severity, id);
CREATE INDEX alert_resolved ON statshub.alert (resolved_ms) WHERE resolved_ms IS NOT NULL;

-- Each hash is of the record and the hash before.
CREATE TABLE statshub.audit (
    id INT8 PRIMARY KEY,
    at_ms INT8 NOT NULL,
    record TEXT NOT NULL,
    hash BYTEA NOT NULL
);

-- The newest record that retention took away, to which the oldest one left is chained.
CREATE TABLE statshub.audit_cut (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    id INT8 NOT NULL,
    hash BYTEA NOT NULL
);
