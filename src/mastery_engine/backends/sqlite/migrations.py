"""The schema of the SQLite file, step by step; a step that has landed is never changed."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from mastery_engine.errors import StartRefused


def _tell_calendars_apart(connection: sqlite3.Connection) -> None:
    """The cohorts' calendars and whom an admin took out, which only the bodies told so far.

    A body is MessagePack of [name, put, out, calendar] here, however today's engine reads one.
    """
    connection.execute(
        "CREATE TABLE cohort_calendars (tenant TEXT NOT NULL, cohort_id TEXT NOT NULL, body BLOB NOT NULL, "
        "PRIMARY KEY (tenant, cohort_id)) STRICT"
    )
    connection.execute(
        "CREATE TABLE cohort_out (tenant TEXT NOT NULL, student_id TEXT NOT NULL, cohort_id TEXT NOT NULL, "
        "PRIMARY KEY (tenant, student_id, cohort_id)) STRICT, WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX cohort_out_by_cohort ON cohort_out (tenant, cohort_id)")
    for tenant, cohort_id, body in connection.execute("SELECT tenant, cohort_id, body FROM cohorts").fetchall():
        _, _, out, calendar = msgspec.msgpack.decode(body)
        rows = [(tenant, student_id, cohort_id) for student_id in out]
        connection.executemany("INSERT INTO cohort_out VALUES (?, ?, ?)", rows)
        if calendar:
            row = (tenant, cohort_id, msgspec.msgpack.encode(calendar))
            connection.execute("INSERT INTO cohort_calendars VALUES (?, ?, ?)", row)


Migration: TypeAlias = str | Callable[[sqlite3.Connection], None]  # statements, or what is done in a transaction

MIGRATIONS: tuple[Migration, ...] = (
    """
    CREATE TABLE documents (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (tenant, student_id)
    ) STRICT;
    CREATE TABLE cold_ids (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (tenant, student_id)
    ) STRICT;
    CREATE TABLE marks (
        log_id TEXT NOT NULL, part INTEGER NOT NULL, next_offset INTEGER NOT NULL,
        PRIMARY KEY (log_id, part)
    ) STRICT;
    CREATE TABLE floods (log_id TEXT NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (log_id, part)) STRICT;
    CREATE TABLE refusals (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, event_id TEXT NOT NULL, code TEXT NOT NULL,
        message TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, student_id, event_id)
    ) STRICT;
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT NOT NULL, subject TEXT NOT NULL,
        role TEXT NOT NULL, call TEXT NOT NULL, student_id TEXT, allowed INTEGER NOT NULL, address TEXT NOT NULL,
        request_id TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_tenant ON audit (tenant, seq);
    CREATE TABLE batches (
        tenant TEXT NOT NULL, batch_id TEXT NOT NULL, subject TEXT NOT NULL, priority TEXT NOT NULL,
        created INTEGER NOT NULL, caller BLOB NOT NULL, request BLOB NOT NULL, answer BLOB,
        PRIMARY KEY (tenant, batch_id)
    ) STRICT;

    CREATE TABLE log (log_id TEXT NOT NULL, committed INTEGER NOT NULL) STRICT;
    INSERT INTO log VALUES (lower(hex(randomblob(16))), 0);
    CREATE TABLE requests (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, received INTEGER NOT NULL, tenant TEXT NOT NULL, event_id TEXT NOT NULL,
        key BLOB, value BLOB
    ) STRICT;
    CREATE TABLE results (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, topic TEXT NOT NULL, event_id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dead_letters (
        letter_id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, part INTEGER NOT NULL,
        position INTEGER NOT NULL, tenant TEXT NOT NULL, key BLOB, value BLOB, headers BLOB NOT NULL,
        received INTEGER NOT NULL, student_id TEXT, event_id TEXT, code TEXT NOT NULL, message TEXT NOT NULL,
        attempts INTEGER NOT NULL, at INTEGER NOT NULL,
        redriven INTEGER, UNIQUE (topic, part, position)
    ) STRICT;
    """,
    """
    CREATE TABLE cohorts (
        tenant TEXT NOT NULL, cohort_id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (tenant, cohort_id)
    ) STRICT;
    CREATE TABLE cohort_joined (
        tenant TEXT NOT NULL, cohort_id TEXT NOT NULL, student_id TEXT NOT NULL, day INTEGER NOT NULL,
        PRIMARY KEY (tenant, cohort_id, student_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cohort_put (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, cohort_id TEXT NOT NULL,
        PRIMARY KEY (tenant, student_id, cohort_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cohort_put_by_cohort ON cohort_put (tenant, cohort_id);
    """,
    """
    CREATE TABLE consents (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    """,
    "CREATE INDEX dead_letters_redriven ON dead_letters (tenant, event_id) WHERE redriven IS NOT NULL;",
    _tell_calendars_apart,
    """
    CREATE TABLE idempotency_keys (
        name TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);
    """,
    """
    CREATE TABLE calibrations (
        tenant TEXT NOT NULL, course_id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, course_id)
    ) STRICT;
    """,
    # What there was before courses is of the course that is meant where none is named.
    """
    CREATE TABLE course_documents (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, course_id TEXT NOT NULL, version INTEGER NOT NULL,
        body BLOB NOT NULL, PRIMARY KEY (tenant, student_id, course_id)
    ) STRICT;
    INSERT INTO course_documents SELECT tenant, student_id, 'default', version, body FROM documents;
    DROP TABLE documents;
    ALTER TABLE course_documents RENAME TO documents;
    CREATE TABLE course_cold_ids (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, course_id TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (tenant, student_id, course_id)
    ) STRICT;
    INSERT INTO course_cold_ids SELECT tenant, student_id, 'default', body FROM cold_ids;
    DROP TABLE cold_ids;
    ALTER TABLE course_cold_ids RENAME TO cold_ids;
    """,
    """
    CREATE TABLE courses (
        tenant TEXT NOT NULL, course_id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB,
        PRIMARY KEY (tenant, course_id)
    ) STRICT;
    """,
    """
    CREATE TABLE cohort_teachers (
        tenant TEXT NOT NULL, name TEXT NOT NULL, cohort_id TEXT NOT NULL, PRIMARY KEY (tenant, name, cohort_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cohort_teachers_by_cohort ON cohort_teachers (tenant, cohort_id);
    """,
    """
    CREATE TABLE people (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
        searched TEXT NOT NULL, PRIMARY KEY (tenant, student_id)
    ) STRICT;
    CREATE TABLE identities (
        tenant TEXT NOT NULL, system TEXT NOT NULL, id TEXT NOT NULL, student_id TEXT NOT NULL,
        PRIMARY KEY (tenant, system, id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE cohort_first (
        tenant TEXT NOT NULL, cohort_id TEXT NOT NULL, received INTEGER NOT NULL, course_id TEXT NOT NULL,
        PRIMARY KEY (tenant, cohort_id)
    ) STRICT;
    INSERT INTO cohort_first SELECT DISTINCT tenant, cohort_id, -1, 'default' FROM cohort_joined;
    ALTER TABLE cohort_calendars ADD COLUMN course_id TEXT;
    """,
    "CREATE TABLE credentials (key TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    """
    CREATE TABLE course_refusals (
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, event_id TEXT NOT NULL, code TEXT NOT NULL,
        message TEXT NOT NULL, at INTEGER NOT NULL, course_id TEXT NOT NULL,
        PRIMARY KEY (tenant, student_id, event_id, course_id)
    ) STRICT;
    INSERT INTO course_refusals SELECT tenant, student_id, event_id, code, message, at, 'default' FROM refusals;
    DROP TABLE refusals;
    ALTER TABLE course_refusals RENAME TO refusals;
    """,
    # A facet is of one tenant; the moment of storing is a statement's own among those of all tenants.
    """
    CREATE TABLE statements (
        stored INTEGER PRIMARY KEY, tenant TEXT NOT NULL, statement_id BLOB NOT NULL, digest BLOB NOT NULL,
        stamp INTEGER NOT NULL, facets BLOB NOT NULL, target BLOB, voids INTEGER NOT NULL, voided INTEGER NOT NULL,
        contents TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (tenant, statement_id)
    ) STRICT;
    CREATE INDEX statements_by_tenant ON statements (tenant);
    CREATE TABLE statement_facets (
        facet BLOB NOT NULL, stored INTEGER NOT NULL, via INTEGER NOT NULL, PRIMARY KEY (facet, stored, via)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE statement_targets (
        tenant TEXT NOT NULL, target BLOB NOT NULL, stored INTEGER NOT NULL, PRIMARY KEY (tenant, target, stored)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE statement_contents (
        tenant TEXT NOT NULL, sha2 TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (tenant, sha2)
    ) STRICT;
    CREATE TABLE statement_content_uses (
        tenant TEXT NOT NULL, sha2 TEXT NOT NULL, stored INTEGER NOT NULL, PRIMARY KEY (tenant, sha2, stored)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE record_documents (
        tenant TEXT NOT NULL, scope BLOB NOT NULL, name TEXT NOT NULL, registration TEXT NOT NULL,
        content BLOB NOT NULL, content_type TEXT NOT NULL, etag TEXT NOT NULL, updated INTEGER NOT NULL,
        about BLOB NOT NULL, person BLOB NOT NULL, PRIMARY KEY (tenant, scope, name, registration)
    ) STRICT;
    CREATE INDEX record_documents_by_person ON record_documents (tenant, person);
    """,
    # A record's version and a delivery's turn are the number of its row: no two writes ever have the same.
    """
    CREATE TABLE registry (
        version INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        tenant TEXT, student_id TEXT, expires INTEGER, UNIQUE (kind, key)
    ) STRICT;
    CREATE INDEX registry_by_owner ON registry (tenant, student_id) WHERE tenant IS NOT NULL;
    CREATE INDEX registry_by_expiry ON registry (expires) WHERE expires IS NOT NULL;
    CREATE TABLE deliveries (
        turn INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, delivery_id TEXT NOT NULL, lane TEXT NOT NULL,
        tenant TEXT NOT NULL, student_id TEXT NOT NULL, queued INTEGER NOT NULL, state TEXT NOT NULL, ended INTEGER,
        body BLOB NOT NULL, UNIQUE (sink, delivery_id)
    ) STRICT;
    CREATE INDEX deliveries_waiting ON deliveries (sink, lane, turn) WHERE state = 'waiting';
    CREATE INDEX deliveries_by_state ON deliveries (sink, state, queued, delivery_id);
    CREATE INDEX deliveries_by_student ON deliveries (tenant, student_id);
    CREATE INDEX deliveries_ended ON deliveries (ended) WHERE ended IS NOT NULL;
    CREATE TABLE delivery_lanes (
        sink TEXT NOT NULL, lane TEXT NOT NULL, turn INTEGER NOT NULL, free_from INTEGER NOT NULL,
        PRIMARY KEY (sink, lane)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX delivery_lanes_by_time ON delivery_lanes (sink, free_from, lane);
    """,
    # What others are found by through a statement, and what voids one.
    """
    CREATE INDEX statement_facets_through ON statement_facets (via) WHERE via <> stored;
    CREATE INDEX statements_that_void ON statements (tenant, target) WHERE voids = 1;
    """,
    "CREATE INDEX dead_letters_waiting ON dead_letters (tenant, code, at) WHERE redriven IS NULL;",
)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, all steps or none; of processes that open a file at once, one does it.

    It need not be durable on its own, since a crash has it done again: the next write makes all durable.
    """
    if _version(connection, path) == len(MIGRATIONS):
        return
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for step in MIGRATIONS[_version(connection, path) :]:  # read again: another may have been first
            _run(connection, step)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("PRAGMA synchronous = FULL")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StartRefused(
            f"{path} has schema version {version}, and this engine knows {len(MIGRATIONS)}: run the one that wrote it."
        )
    return version


def _run(connection: sqlite3.Connection, migration: Migration) -> None:
    """A step, in the transaction that is open, which ``executescript`` would commit."""
    if not isinstance(migration, str):
        migration(connection)
        return
    statement = ""
    for part in migration.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
