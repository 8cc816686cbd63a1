"""The plain way of writing this service: Flask, one event per request, one prepared insert after the other."""

import time
import uuid
from datetime import datetime

from flask import Flask, jsonify, request

from benchmarks.apps.store import HOUR_MS, RETENTION_SECONDS, connect, prepare
from events import rows

app = Flask(__name__)
session = connect()
INSERT_START = prepare(session, rows.INSERT_START)
INSERT_STARTED = prepare(session, rows.INSERT_STARTED)
INSERT_ENDED = prepare(session, rows.INSERT_ENDED)
INSERT_COMPLETED = prepare(session, rows.INSERT_COMPLETED)


@app.post("/event-handler")
def record_event():
    event = request.get_json()
    player, session_id = event["player_id"], uuid.UUID(event["session_id"])
    ts = int(datetime.fromisoformat(event["ts"]).timestamp() * 1000)
    when = (ts * 1000, (ts + RETENTION_SECONDS * 1000 - time.time_ns() // 1_000_000) // 1000)
    if event["event"] == "start":
        country = event["country"]
        session.execute(INSERT_STARTED, (player, session_id, ts, country, *when))
        session.execute(INSERT_START, (country, ts - ts % HOUR_MS, 0, ts, session_id, player, *when))
    else:
        session.execute(INSERT_ENDED, (player, session_id, ts, *when))
        session.execute(INSERT_COMPLETED, (player, ts, session_id, *when))
    return jsonify(stored=1, session_id=str(session_id)), 201
