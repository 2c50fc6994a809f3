-- The step from schema version 1 to 2, within the transaction that opens the store. Never changed again: what is here is
-- version 2 to the letter, whatever store.sql has become since.
--
-- Made anew and not altered: a table is then what version 2 makes, its text included, and views that somebody has over it
-- are left alone.

CREATE TEMP TABLE position_before AS SELECT * FROM ow_position;
DROP TABLE ow_position;
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
INSERT INTO ow_position SELECT *, 0, 0, 0 FROM position_before;
DROP TABLE position_before;

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

-- A cache whose words mean something else from here on.
DELETE FROM ow_filter;
DELETE FROM ow_meta WHERE key GLOB 'seal.ow_filter.*';

UPDATE ow_meta SET value = 2 WHERE key = 'schema_version';
PRAGMA user_version = 2;
