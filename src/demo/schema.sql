CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    pack_credits INTEGER NOT NULL, -- credits that a school on this plan buys at a time
    pack_cents INTEGER NOT NULL    -- what such a pack costs
) STRICT;

CREATE TABLE schools (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    plan_id TEXT NOT NULL REFERENCES plans (id),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    school_id INTEGER NOT NULL REFERENCES schools (id),
    role TEXT NOT NULL CHECK (role IN ('student', 'teacher', 'school_admin')),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX users_by_time ON users (created_at);
CREATE INDEX users_by_school ON users (school_id);

CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    author_id INTEGER NOT NULL REFERENCES users (id),
    type TEXT NOT NULL CHECK (type IN ('lesson', 'quiz', 'worksheet')),
    subject TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX content_by_time ON content (created_at);

CREATE TABLE chat_sessions (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    content_id INTEGER REFERENCES content (id), -- NULL: a free chat
    messages INTEGER NOT NULL DEFAULT 0,        -- counted when it ends
    started_at INTEGER NOT NULL,
    ended_at INTEGER                            -- NULL: going on now
) STRICT;
CREATE INDEX chat_sessions_by_time ON chat_sessions (started_at);
CREATE INDEX chat_sessions_open ON chat_sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE credit_transactions (
    id INTEGER PRIMARY KEY,
    school_id INTEGER NOT NULL REFERENCES schools (id),
    type TEXT NOT NULL CHECK (type IN ('purchase', 'chat', 'content')),
    amount INTEGER NOT NULL, -- credits: bought above zero, spent below
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX credit_transactions_by_time ON credit_transactions (created_at, type, school_id, amount);

INSERT INTO plans VALUES ('starter', 100, 1900), ('team', 250, 3900), ('district', 600, 7900);
