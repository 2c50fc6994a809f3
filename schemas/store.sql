-- The store's fixed tables, schema version 2. Run once, in the transaction that creates a store; the tables of the
-- machines (entities, records) are made by lib/store/store_machine.c. Names are a contract (DESIGN 6): outside readers
-- and the oracle build on them. A change here needs a migration step (store_to_<version>.sql), a new user_version and a
-- fixture of the old one.
--
-- All tables are STRICT: without it 1, '1' and x'31' would be three different keys.

PRAGMA application_id = 0x4f4e4345; -- "ONCE"
PRAGMA user_version = 2;

CREATE TABLE ow_meta (
    key TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ow_machine (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE2b-256 of text
    text TEXT NOT NULL,                               -- the machine file as canonical JSON
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- Claims. Keys are random, so one growing tree would cost a page write each; a bucket's part of the tree stays in memory.
CREATE TABLE ow_bucket (
    bucket INTEGER NOT NULL PRIMARY KEY,
    class INTEGER NOT NULL, -- retention in milliseconds
    opened_at_ms INTEGER NOT NULL,
    sealed_at_ms INTEGER,   -- NULL: the open one of its class
    claims INTEGER NOT NULL CHECK (claims >= 0)
) STRICT;
CREATE UNIQUE INDEX ow_bucket_open ON ow_bucket (class) WHERE sealed_at_ms IS NULL;

CREATE TABLE ow_claims (
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 9),
    ref INTEGER NOT NULL CHECK (ref > 0),
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

-- A cache of filters over sealed buckets: rebuilt where missing or wrong.
CREATE TABLE ow_filter (
    id INTEGER NOT NULL,
    first_bucket INTEGER NOT NULL,
    last_bucket INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (id, chunk)
) STRICT;

CREATE TABLE ow_position (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    high_offset INTEGER NOT NULL,
    seen_committed INTEGER, -- NULL: none
    anchor BLOB CHECK (length(anchor) = 16),
    applied INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    filtered INTEGER NOT NULL,
    reread INTEGER NOT NULL,
    began_epoch INTEGER NOT NULL,    -- of the store, when the incarnation was adopted; 0: the first one
    began_ref INTEGER NOT NULL,      -- the next number then: rows with lower ones are of the incarnations before
    began_sighting INTEGER NOT NULL, -- the rowid of the last sighting then
    PRIMARY KEY (topic, partition, incarnation)
) STRICT, WITHOUT ROWID;

CREATE TABLE ow_ledger (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL CHECK (last_offset >= first_offset),
    outcome TEXT NOT NULL,
    records INTEGER NOT NULL CHECK (records >= 0),
    PRIMARY KEY (topic, partition, incarnation, first_offset)
) STRICT, WITHOUT ROWID;

-- Closed sets of strings that history rows number: machines, event types, states, topics, ways in.
CREATE TABLE ow_text (
    id INTEGER NOT NULL PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- No index but seq: an entity points to its last row and each row to the one before.
CREATE TABLE ow_history_row (
    seq INTEGER NOT NULL PRIMARY KEY,
    first_ref INTEGER,
    machine INTEGER NOT NULL,
    machine_version INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    prev_seq INTEGER,
    event_type INTEGER NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    from_state INTEGER NOT NULL,
    to_state INTEGER NOT NULL,
    event_time_ms INTEGER NOT NULL,
    applied_at_ms INTEGER NOT NULL,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    via INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE VIEW ow_history (
    seq, first_ref, machine, machine_version, entity_id, version, prev_seq, event_type, source, message_id, from_state,
    to_state, event_time_ms, applied_at_ms, topic, partition, offset, via, data
) AS
SELECT h.seq, h.first_ref, (SELECT t.text FROM ow_text t WHERE t.id = h.machine), h.machine_version, h.entity_id, h.version,
       h.prev_seq, (SELECT t.text FROM ow_text t WHERE t.id = h.event_type), h.source, h.message_id,
       (SELECT t.text FROM ow_text t WHERE t.id = h.from_state), (SELECT t.text FROM ow_text t WHERE t.id = h.to_state),
       h.event_time_ms, h.applied_at_ms, (SELECT t.text FROM ow_text t WHERE t.id = h.topic), h.partition, h.offset,
       (SELECT t.text FROM ow_text t WHERE t.id = h.via), h.data
FROM ow_history_row h;

CREATE TABLE ow_sighting (
    ref INTEGER NOT NULL,
    cause TEXT NOT NULL, -- same_id, other_channel, stale
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
) STRICT;
-- Refs grow, and redeliveries mostly follow soon: the touched pages are the newest.
CREATE INDEX ow_sighting_ref ON ow_sighting (ref);

CREATE TABLE ow_parked (
    id INTEGER NOT NULL PRIMARY KEY, -- the ref of its claim
    machine TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    parked_at_ms INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, -- Kafka's; -1: none
    key BLOB,     -- NULL: a null key
    headers TEXT, -- JSON: [[name, value], …]; NULL: none
    value BLOB    -- NULL: a null value
) STRICT;
CREATE INDEX ow_parked_entity ON ow_parked (machine, entity_id, id);
CREATE INDEX ow_parked_deadline ON ow_parked (deadline_ms);

CREATE TABLE ow_quarantine (
    id INTEGER NOT NULL PRIMARY KEY, -- the ref of its claim where it owns one, else a number of its own
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    machine TEXT,
    entity_id TEXT,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, -- Kafka's; -1: none
    key BLOB,
    headers TEXT,
    value BLOB,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    seen INTEGER NOT NULL CHECK (seen > 0),
    attempts INTEGER NOT NULL,
    status TEXT NOT NULL, -- open, requeued, applied, duplicate, discarded
    note TEXT,
    conflict_ref INTEGER, -- of the claim that a conflict met
    conflict_fingerprint BLOB
) STRICT;
CREATE INDEX ow_quarantine_place ON ow_quarantine (topic, partition, offset);
CREATE UNIQUE INDEX ow_quarantine_conflict ON ow_quarantine (conflict_ref, conflict_fingerprint)
    WHERE conflict_ref IS NOT NULL;

-- What people have decided, in the transaction that does it.
CREATE TABLE ow_audit (
    id INTEGER NOT NULL PRIMARY KEY, -- counts from 1
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    command TEXT NOT NULL, -- positions set, …
    subject TEXT NOT NULL, -- what it was done to: topic[partition], …
    detail TEXT NOT NULL,  -- JSON: what was changed
    why TEXT NOT NULL
) STRICT;
