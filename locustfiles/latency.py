"""Game servers and those who look: batches of ten as sessions.py makes them, reports over cold and cached keys.

``make load`` runs it headless; ``locust -f locustfiles/latency.py`` shows locust's own page.
"""

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from locust import FastHttpUser, between, events, task
from locust.env import Environment

from locustfiles.sessions import COUNTRIES, PLAYERS, GameSessions

# The promise: 9 of 10 replies within this, at every address.
MOST_P90_MS = 500
# Of a service that asks for one: to write and to read.
KEY = os.environ.get("LOAD_KEY")
WINDOWS = [1, 24, 168, 720]


class GameServer(FastHttpUser):
    """Sends sessions as they happen and looks at reports now and then."""

    wait_time = between(0.01, 0.1)
    default_headers = {"Authorization": f"Bearer {KEY}"} if KEY else None

    def on_start(self) -> None:
        self.sessions = GameSessions(random.Random())

    @task(10)
    def send_batch(self) -> None:
        batch, again = self.sessions.next_batch(datetime.now(UTC))
        name = "POST events (again)" if again else "POST events"
        with self.client.post("/api/v1/events/", json=batch, name=name, catch_response=True) as reply:
            if reply.status_code != 201 or reply.json()["stored"] != len(batch):
                # Where the connection broke there is no text.
                reply.failure(f"{reply.status_code}: {(reply.text or reply.error or '')!s:.200}")

    @task(2)
    def starts_cold(self) -> None:
        # An as_of that nobody has asked for: never in the cache.
        as_of = datetime.now(UTC) - timedelta(milliseconds=random.randrange(1, 3_600_000))
        window = {"hours": random.choice(WINDOWS), "as_of": as_of.isoformat().replace("+00:00", "Z")}
        self.client.get("/api/v1/reports/starts/", params=window, name="GET starts (cold)")

    @task(4)
    def starts_cached(self) -> None:
        self.client.get(f"/api/v1/reports/starts/?hours={random.choice(WINDOWS)}", name="GET starts (cached 50 s)")

    @task(2)
    def starts_of_country(self) -> None:
        path = f"/api/v1/reports/starts/{random.choice(COUNTRIES)}/?hours={random.choice(WINDOWS)}"
        self.client.get(path, name="GET starts of a country")

    @task(2)
    def timeline(self) -> None:
        self.client.get(f"/api/v1/reports/starts/timeline/?hours={random.choice(WINDOWS)}", name="GET timeline")

    @task(6)
    def player_sessions(self) -> None:
        self.client.get(f"/api/v1/reports/players/{random.choice(PLAYERS)}/sessions/", name="GET player sessions")


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust types it so
def validate(environment: Environment, **_: Any) -> None:
    """Print the percentiles and exit with 1 when a request failed or an address broke the promise."""
    print(f"\n{'address':<28}{'requests':>10}{'failed':>8}{'p50 ms':>8}{'p90 ms':>8}{'p99 ms':>8}")
    kept = bool(environment.stats.entries)
    for entry in sorted(environment.stats.entries.values(), key=lambda entry: entry.name):
        p50, p90, p99 = (entry.get_response_time_percentile(share) for share in (0.5, 0.9, 0.99))
        print(f"{entry.name:<28}{entry.num_requests:>10}{entry.num_failures:>8}{p50:>8.0f}{p90:>8.0f}{p99:>8.0f}")
        kept = kept and p90 <= MOST_P90_MS and not entry.num_failures
    print(
        f"\n{'Kept' if kept else 'BROKEN'}: 90 % of the replies of every address within {MOST_P90_MS} ms, none failed."
    )
    environment.process_exit_code = 0 if kept else 1
