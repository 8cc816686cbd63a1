"""The floor of reads: a bare WSGI function that sends bytes from Redis, or asks what the player report asks.

Below ``/cached-players/`` it asks and tells Redis as well, each time under the Host of the request.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import redis

from benchmarks.apps import REPORT_KEY
from benchmarks.apps.store import connect, prepare
from events.domain import format_timestamp

SHOWN, CACHED_SECONDS = 20, 50
# The statement of reports/player_sessions.py, which needs the framework's settings.
SELECT_ALL_SESSIONS = """
    SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? LIMIT 101"""

session = connect()
select_sessions = prepare(session, SELECT_ALL_SESSIONS)
store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _, what, *player = environ["PATH_INFO"].split("/")
    if what == "report":
        body = store.get(REPORT_KEY)
    elif what == "cached-players":
        body = cached_player_report(player[0], host=environ["HTTP_HOST"])
    else:
        body = player_report(player[0])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def cached_player_report(player: str, *, host: str) -> bytes:
    key = f"bench:{host}:{player}"
    report = store.get(key)
    if report is None:
        report = player_report(player)
        store.set(key, report, ex=CACHED_SECONDS)
    return bytes(report)


def player_report(player: str) -> bytes:
    sessions = session.execute(select_sessions, (player,))
    newest = sorted(sessions, key=lambda row: row[3] or 0, reverse=True)
    results = [shown(*row) for row in newest[:SHOWN]]
    return json.dumps({"player_id": player, "results": results}).encode()


def shown(session_id: uuid.UUID, country: str, started_ms: int, ended_ms: int) -> dict[str, Any]:
    return {
        "session_id": str(session_id),
        "country": country,
        "started_at": format_timestamp(started_ms),
        "ended_at": format_timestamp(ended_ms),
        "duration_seconds": (ended_ms - started_ms) / 1000,
    }
