"""Run inside a container, so with the standard library alone: python - COMMAND URL [SECONDS].

``load``: clients post batches for so many seconds and repeat what was not acknowledged; then each session that was is
looked for. ``upload``: a body that takes so many seconds to send. ``get``: the status and the body of an address. Each
prints one JSON object. KEY is the key to send.
"""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

CLIENTS, SESSIONS_PER_BATCH, BATCHES_PER_PLAYER = 4, 5, 10
READ_BACK_SECONDS = 120.0
HEADERS = {
    "Host": "localhost",
    "Content-Type": "application/json",
    "Authorization": f"Bearer {os.environ['KEY']}",
}


def ask(url: str, body: object = None) -> tuple[int, bytes]:
    """Status and body; status 0 when the connection broke."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=HEADERS), timeout=15) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except (OSError, HTTPException):
        return 0, b""


def batch(player: str, country: str) -> list[dict[str, str]]:
    """Starts and ends of some sessions."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    ids = [str(uuid.uuid4()) for _ in range(SESSIONS_PER_BATCH)]
    starts = [{"event": "start", "player_id": player, "country": country, "session_id": one, "ts": now} for one in ids]
    return starts + [{"event": "end", "player_id": player, "session_id": one, "ts": now} for one in ids]


class Load:
    """What the clients have seen."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self.until = url, time.monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.acknowledged: dict[str, set[str]] = {}

    def run(self) -> dict[str, object]:
        clients = [threading.Thread(target=self.client) for _ in range(CLIENTS)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        wanted = sum(map(len, self.acknowledged.values()))
        lost = sum(len(sessions - self.read_back(player)) for player, sessions in self.acknowledged.items())
        return {"acknowledged": wanted, "lost": lost, "statuses": self.statuses, "slowest": round(self.slowest, 2)}

    def client(self) -> None:
        while time.monotonic() < self.until:
            player = f"player_{uuid.uuid4().hex}"
            for _ in range(BATCHES_PER_PLAYER):
                if time.monotonic() < self.until:
                    self.send(batch(player, "NO"))

    def send(self, events: list[dict[str, str]]) -> None:
        """Until it is acknowledged, as clients do."""
        for _ in range(60):
            began = time.monotonic()
            status, _ = ask(f"{self.url}/api/v1/events/", events)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.statuses[status] += 1
            if status == 201:
                sessions = self.acknowledged.setdefault(events[0]["player_id"], set())
                sessions |= {one["session_id"] for one in events}
                return
            time.sleep(1)

    def read_back(self, player: str) -> set[str]:
        give_up_at = time.monotonic() + READ_BACK_SECONDS
        while time.monotonic() < give_up_at:
            status, body = ask(f"{self.url}/api/v1/reports/players/{player}/sessions/?limit=100")
            if status == 200:
                return {one["session_id"] for one in json.loads(body)["results"]}
            time.sleep(1)
        return set()


def upload(url: str, seconds: float) -> dict[str, object]:
    """A body of which the second half comes later."""
    body = json.dumps(batch(f"player_{uuid.uuid4().hex}", "NO")).encode()
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.putrequest("POST", "/api/v1/events/", skip_host=True)
    for name, value in {**HEADERS, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[:100])
    print("begun", flush=True)
    time.sleep(seconds)
    connection.send(body[100:])
    return {"status": connection.getresponse().status}


def main() -> None:
    """Do what the arguments say."""
    command, url, *rest = sys.argv[1:]
    if command == "get":
        status, body = ask(url)
        print(json.dumps({"status": status, "body": body.decode()}))
    elif command == "upload":
        print(json.dumps(upload(url, float(rest[0]))))
    else:
        print(json.dumps(Load(url, float(rest[0])).run()))


if __name__ == "__main__":
    main()
