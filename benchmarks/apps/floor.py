"""The floor: a bare WSGI function that parses JSON and sends the service's own logged batch. Nothing is checked."""

import json
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from cassandra.query import BatchStatement

from benchmarks.apps.store import HOUR_MS, RETENTION_SECONDS, connect, prepare
from events import rows

session = connect()
INSERT_START = prepare(session, rows.INSERT_START)
INSERT_STARTED = prepare(session, rows.INSERT_STARTED)
INSERT_ENDED = prepare(session, rows.INSERT_ENDED)
INSERT_COMPLETED = prepare(session, rows.INSERT_COMPLETED)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    events = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    batch = BatchStatement()
    sessions = [add_rows(batch, event) for event in events]
    session.execute(batch)
    body = json.dumps({"stored": len(sessions), "session_ids": sessions}).encode()
    start_response("201 Created", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def add_rows(batch: BatchStatement, event: dict[str, Any]) -> str:
    player, session_id = event["player_id"], uuid.UUID(event["session_id"])
    ts = int(datetime.fromisoformat(event["ts"]).timestamp() * 1000)
    when = (ts * 1000, (ts + RETENTION_SECONDS * 1000 - time.time_ns() // 1_000_000) // 1000)
    if event["event"] == "start":
        country = event["country"]
        batch.add(INSERT_STARTED, (player, session_id, ts, country, *when))
        batch.add(INSERT_START, (country, ts - ts % HOUR_MS, 0, ts, session_id, player, *when))
    else:
        batch.add(INSERT_ENDED, (player, session_id, ts, *when))
        batch.add(INSERT_COMPLETED, (player, ts, session_id, *when))
    return str(session_id)
