"""What the service acknowledged, kept by its clients: on disk before they send the next request."""

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients import Clients

# No request may take longer than this, whatever happens; the clients give up a little later, to see one that does.
MOST_SECONDS = 5.0
CLIENT_SECONDS = 15.0
# A batch holds five sessions, each with its start and its end.
SESSIONS_PER_BATCH = 5
SESSIONS_PER_PLAYER = 100
PAGE = 1000
PLAYER_PAGE = 100

Event = dict[str, Any]


class Reply(NamedTuple):
    """What a client saw of one request: ``status`` 0 when the connection broke."""

    at: float
    seconds: float
    status: int
    retry_after: str | None
    method: str


class Ledger:
    """A file of acknowledged events, each line fsynced before ``write`` returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "ledger.jsonl"
        self._file = self.path.open("a")
        self._lock = threading.Lock()

    def write(self, events: Sequence[Event]) -> None:
        with self._lock:
            self._file.write("".join(json.dumps(event) + "\n" for event in events))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def events(self) -> list[Event]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def ask(
    url: str,
    body: Any = None,
    *,
    method: str | None = None,
    accept: str = "*/*",
    patience_seconds: float = CLIENT_SECONDS,
) -> tuple[Reply, Any]:
    """POST ``body`` as JSON, or GET without one; the JSON of the reply, None when there is none."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": accept}
    request = urllib.request.Request(url, content, headers, method=method)
    began = time.monotonic()
    status, retry_after, answer = 0, None, None
    try:
        with urllib.request.urlopen(request, timeout=patience_seconds) as reply:
            status, answer = reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        status, retry_after = error.code, error.headers["Retry-After"]
        error.close()
    except (OSError, ValueError) as error:  # ValueError: the reply was cut off inside its JSON
        if isinstance(error, TimeoutError):
            raise AssertionError(f"{url}: no reply in {patience_seconds} s") from error
    return Reply(began, time.monotonic() - began, status, retry_after, request.get_method()), answer


class Load(Clients):
    """Game servers that send sessions, repeat every batch until it is acknowledged, and read reports in between.

    ``ledger`` holds what was acknowledged. ``pause_seconds`` between two rounds of a client may change meanwhile.
    """

    def __init__(
        self, url: str, ledger: Ledger, *, country: str, clients: int = 6, pause_seconds: float = 0.05
    ) -> None:
        super().__init__(clients)
        self.url, self.ledger, self.country = url, ledger, country
        self.replies: list[Reply] = []
        self.unacknowledged: list[Event] = []
        self.pause_seconds = pause_seconds

    def work(self, number: int) -> None:
        run = uuid.uuid4().hex
        for round_number, player in enumerate(_players(run)):
            if self.stop.is_set():
                return
            self._send_until_acknowledged(_batch(player, self.country))
            self.replies.append(ask(f"{self.url}{self._report(player, round_number + number)}")[0])
            self.stop.wait(self.pause_seconds)

    def _send_until_acknowledged(self, batch: list[Event]) -> None:
        while True:
            reply, _ = ask(f"{self.url}/api/v1/events/", batch)
            self.replies.append(reply)
            if reply.status == 201:
                self.ledger.write(batch)
                return
            assert reply.status in (0, 503), reply
            if self.stop.is_set():
                self.unacknowledged += batch
                return
            self.stop.wait(float(reply.retry_after or 0.2))

    def _report(self, player: str, turn: int) -> str:
        if turn % 4:
            return f"/api/v1/reports/players/{player}/sessions/?limit={1 + turn % 20}"
        return f"/api/v1/reports/starts/{self.country}/?hours=1&limit=10&as_of={moment(seconds_ago=1)}"

    def failed(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status not in (200, 201)]

    def failed_share(self) -> float:
        return len(self.failed()) / len(self.replies)

    def p99_seconds(self, *, after: float) -> float:
        """Of the requests that began within 10 s after a moment of ``time.monotonic()``."""
        took = sorted(reply.seconds for reply in self.replies if after <= reply.at < after + 10)
        return took[int(len(took) * 0.99)] if took else 0.0

    def slowest_seconds(self) -> float:
        return max(reply.seconds for reply in self.replies)

    def summary(self) -> str:
        statuses = Counter(reply.status for reply in self.replies)
        return f"{dict(statuses)}, slowest {self.slowest_seconds():.2f} s"


def moment(*, seconds_ago: float = 0.0) -> str:
    """ISO 8601 in milliseconds."""
    ago = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return ago.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _players(run: str) -> Iterator[str]:
    """A new player after SESSIONS_PER_PLAYER sessions."""
    number = 0
    while True:
        for _ in range(SESSIONS_PER_PLAYER // SESSIONS_PER_BATCH):
            yield f"{run}_{number}"
        number += 1


def _batch(player: str, country: str) -> list[Event]:
    events: list[Event] = []
    for _ in range(SESSIONS_PER_BATCH):
        common = {"player_id": player, "session_id": str(uuid.uuid4())}
        started = moment(seconds_ago=random.randrange(1, 900))
        events.append({"event": "start", "country": country, "ts": started, **common})
        events.append({"event": "end", "ts": moment(), **common})
    random.shuffle(events)
    return events


class ReadBack(NamedTuple):
    """What the reports say of the acknowledged events."""

    acknowledged: int
    lost: int
    twice: int
    unknown: int
    miscounted: int

    def exact(self) -> bool:
        return self.lost == self.twice == self.unknown == self.miscounted == 0

    def summary(self) -> str:
        wrong = {"twice": self.twice, "never sent": self.unknown, "wrong counts": self.miscounted}
        more = "".join(f", {number} {name}" for name, number in wrong.items() if number)
        return f"{self.lost} of {self.acknowledged:,} acknowledged events lost{more}"


def read_back(load: Load) -> ReadBack:
    """Walk every page of the reports: each acknowledged event must be there once, and nothing that was never sent.

    Batches whose last try failed when the load ended may be there or not.
    """
    acknowledged = load.ledger.events()
    wanted = Counter(_key(event) for event in acknowledged)
    allowed = set(wanted) | {_key(event) for event in load.unacknowledged}
    starts_report = f"{load.url}/api/v1/reports/starts/{load.country}/?hours=2&as_of={moment()}&limit={PAGE}"
    counted, starts = walk(starts_report)
    there = Counter(("start", one["player_id"], one["session_id"], one["ts"]) for one in starts)
    for player in {event["player_id"] for event in acknowledged}:
        _, sessions = walk(f"{load.url}/api/v1/reports/players/{player}/sessions/?limit={PLAYER_PAGE}")
        there.update(("end", player, one["session_id"], one["ended_at"]) for one in sessions)
    return ReadBack(
        acknowledged=len(acknowledged),
        lost=sum(1 for key in wanted if not there[key]),
        twice=sum(1 for number in there.values() if number > 1),
        unknown=sum(1 for key in there if key not in allowed),
        miscounted=abs(counted - len(starts)),
    )


def _key(event: Event) -> tuple[str, str, str, str]:
    return event["event"], event["player_id"], event["session_id"], event["ts"]


def walk(url: str) -> tuple[int, list[Any]]:
    """The number that the first page names (0 when it names none) and the rows of all pages."""
    rows: list[Any] = []
    counted, following = 0, url
    while following:
        page = _page(following)
        counted = counted or page.get("starts", 0)
        rows += page["results"]
        following = page["next"]
    return counted, rows


def _page(url: str) -> Any:
    for _ in range(10):
        # Replies are cached by Accept, too: nobody has asked like this.
        reply, page = ask(url, accept=f"application/json, x/{uuid.uuid4()}")
        if reply.status == 200:
            return page
        time.sleep(1)
    raise AssertionError(f"{url}: {reply}")


def wait_until(answered: Iterable[bool], *, seconds: float, otherwise: str) -> float:
    """Ask again until it is true; how long it took."""
    began = time.monotonic()
    for yes in answered:
        if yes:
            return time.monotonic() - began
        assert time.monotonic() < began + seconds, otherwise
        time.sleep(0.1)
    raise AssertionError(otherwise)


def wait_until_stored(url: str, *, seconds: float) -> float:
    """How long until an event is acknowledged."""
    event = {"event": "end", "player_id": "is_it_back", "session_id": str(uuid.uuid4())}
    tries = (ask(f"{url}/api/v1/events/", [event])[0].status == 201 for _ in iter(int, 1))
    return wait_until(tries, seconds=seconds, otherwise=f"no recovery within {seconds} s")
