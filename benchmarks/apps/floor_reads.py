"""The floor of reads: a bare WSGI function that sends bytes from Redis, or asks what the player report asks."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import redis

from benchmarks.apps import REPORT_KEY
from benchmarks.apps.store import RETENTION_SECONDS, connect, prepare
from events.domain import format_timestamp
from reports import selectors

# One more than is shown tells whether there is a next page.
ASKED = 21

session = connect()
SELECT_COMPLETED = prepare(session, selectors.SELECT_COMPLETED)
SELECT_SESSIONS = prepare(session, selectors.SELECT_SESSIONS)
store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _, what, *player = environ["PATH_INFO"].split("/")
    body = store.get(REPORT_KEY) if what == "report" else player_report(player[0])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def player_report(player: str) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    oldest = now_ms - RETENTION_SECONDS * 1000
    ends = list(session.execute(SELECT_COMPLETED, (player, oldest, now_ms + 300_000, selectors.NO_SESSION, ASKED)))
    rows = session.execute(SELECT_SESSIONS, (player, [session_id for _, session_id in ends]))
    sessions = {row[0]: row for row in rows}
    results = [shown(*sessions[session_id]) for _, session_id in ends[: ASKED - 1]]
    return json.dumps({"player_id": player, "results": results}).encode()


def shown(session_id: uuid.UUID, country: str, started_ms: int, ended_ms: int) -> dict[str, Any]:
    return {
        "session_id": str(session_id),
        "country": country,
        "started_at": format_timestamp(started_ms),
        "ended_at": format_timestamp(ended_ms),
        "duration_seconds": (ended_ms - started_ms) / 1000,
    }
