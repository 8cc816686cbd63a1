"""Reads the plain way: Flask, Flask-Caching before a report, one prepared query for a player."""

import os

import redis
from flask import Flask, Response, jsonify
from flask_caching import Cache

from benchmarks.apps import REPORT_KEY
from benchmarks.apps.store import KEYSPACE, connect, prepare

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": REDIS_URL, "CACHE_KEY_PREFIX": KEYSPACE})
store = redis.Redis.from_url(REDIS_URL)
session = connect()
SELECT_SESSIONS = prepare(
    session,
    """SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
       FROM {keyspace}.session_by_player_id WHERE player_id = ? LIMIT 20""",
)


@app.get("/report/")
@cache.cached(timeout=50)
def report() -> Response:
    return Response(store.get(REPORT_KEY), mimetype="application/json")


@app.get("/players/<player_id>")
def player_sessions(player_id: str) -> Response:
    rows = session.execute(SELECT_SESSIONS, (player_id,))
    results = [
        {"session_id": str(session_id), "country": country, "started_at": started, "ended_at": ended}
        for session_id, country, started, ended in rows
    ]
    return jsonify(player_id=player_id, results=results)
