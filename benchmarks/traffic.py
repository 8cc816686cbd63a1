"""Steady traffic with late starts, and questions that no cache answers, over HTTP; what each of them took."""

import http.client
import itertools
import json
import math
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from events.batched import batched
from events.domain import MINUTE_MS, PROMPT_MS, format_timestamp
from events.importing.generator import COUNTRIES, country_weights

EVENTS_PER_SECOND = 100
BATCH = 10
PLAYERS = 2_000
CLIENT_SECONDS = 30
# Those who send a burst; as many batches are in flight at a time.
BURST_CLIENTS = 8
# A connection stays with one web process: with so many each process is asked.
CONNECTIONS = 4

EVENTS, STARTS = "/api/v1/events/", "/api/v1/reports/starts/"
POST = "POST events"
REPORTS = ("all countries", "one country", "timeline")
FIGURES = ("replies", "p50 ms", "p90 ms", "max ms", "503")

UNIFORM, EXPONENTIAL, BURSTS = "uniform", "exponential", "bursts"
MEDIAN_LATE_MS = 10 * MINUTE_MS

Event = dict[str, str]
# A report and its hours; of a POST 0.
Question = tuple[str, int]


class Lateness(NamedTuple):
    """How many starts a second come late, and how late they are: uniform, exponential or bursts.

    With bursts so many come at once, and then none.
    """

    starts: float = 0
    how: str = ""


@dataclass(slots=True)
class Replies:
    """Milliseconds of each reply, and how many of them were a 503."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, others: "Replies") -> None:
        self.milliseconds += others.milliseconds
        self.refused += others.refused

    def percentile(self, percent: int) -> float:
        """In milliseconds; infinite when there is no reply."""
        if len(self.milliseconds) < 2:
            return self.slowest()
        return quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]

    def slowest(self) -> float:
        return max(self.milliseconds, default=math.inf)

    def figures(self) -> Iterator[str]:
        """Cells of a table, titled as FIGURES."""
        yield str(len(self.milliseconds))
        for milliseconds in (self.percentile(50), self.percentile(90), self.slowest()):
            yield f"{milliseconds:.1f}" if math.isfinite(milliseconds) else ""
        yield str(self.refused)


class Client:
    """A connection to the service. ``replies`` has what each request took."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=CLIENT_SECONDS)
        self._lock = threading.Lock()
        self.replies: defaultdict[Question, Replies] = defaultdict(Replies)

    def get(self, question: Question, path: str) -> None:
        """Ask once; a 503 is counted."""
        self._ask(question, "GET", path)

    def post(self, events: Sequence[Event]) -> None:
        """Send a batch until it is acknowledged."""
        while self._ask((POST, 0), "POST", EVENTS, json.dumps(events)) != 201:
            time.sleep(1)

    def taken(self) -> dict[Question, Replies]:
        """The replies since this was asked last."""
        with self._lock:
            taken, self.replies = self.replies, defaultdict(Replies)
        return taken

    def _ask(self, question: Question, method: str, path: str, body: str | None = None) -> int:
        began = time.perf_counter()
        status, reply = self._reply(method, path, body)
        milliseconds = (time.perf_counter() - began) * 1000
        if status not in (200, 201, 503):
            raise RuntimeError(f"{method} {path}: {status} {reply[:300]!r}")
        with self._lock:
            self.replies[question].add(Replies([milliseconds], refused=status == 503))
        return status

    def _reply(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # It was idle for longer than the server waits. Sent twice, a batch leaves the same rows.
            self._connection.close()
            return self._reply(method, path, body)
        return reply.status, reply.read()


class Traffic:
    """Game servers that send EVENTS_PER_SECOND while the block runs; a share of them late, by ``lateness``.

    ``span_ms`` is how late a start may be; ``now_ms`` gives the time of the service.
    """

    def __init__(self, url: str, *, span_ms: int, now_ms: Callable[[], int]) -> None:
        self.lateness = Lateness()
        self._url, self._span_ms, self._now_ms = url, span_ms, now_ms
        self._client = Client(url)
        self._chance = random.Random()
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._sending = self._thread.submit(self._send_steadily)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.shutdown()
        self._sending.result()

    def burst(self, number: int, how: str = UNIFORM) -> float:
        """Send so many late starts as fast as BURST_CLIENTS can; seconds until the last one is acknowledged."""
        events = [self._late_start(how) for _ in range(number)]
        clients = [Client(self._url) for _ in range(BURST_CLIENTS)]
        batches = list(batched(events, BATCH))
        began = time.monotonic()

        def send(client: int) -> None:
            for batch in batches[client::BURST_CLIENTS]:
                clients[client].post(batch)

        with ThreadPoolExecutor(BURST_CLIENTS) as pool:
            list(pool.map(send, range(BURST_CLIENTS)))
        return time.monotonic() - began

    def taken(self) -> dict[Question, Replies]:
        """What the batches took since this was asked last."""
        if self._sending.done():
            self._sending.result()
        return self._client.taken()

    def _send_steadily(self) -> None:
        began = time.monotonic()
        late_starts = 0.0
        for number in itertools.count(1):
            late_starts += 0 if self.lateness.how == BURSTS else self.lateness.starts * BATCH / EVENTS_PER_SECOND
            late = [self._late_start(self.lateness.how) for _ in range(int(late_starts))]
            late_starts -= len(late)
            self._client.post([*late, *itertools.islice(self._prompt_events(), BATCH - len(late))])
            if self._stop.wait(max(0.0, began + number * BATCH / EVENTS_PER_SECOND - time.monotonic())):
                return

    def _prompt_events(self) -> Iterator[Event]:
        """In turn a start of now, and the end of a session that began before."""
        while True:
            yield self._event("start", self._now_ms(), country=self._country())
            yield self._event("end", self._now_ms())

    def _late_start(self, how: str) -> Event:
        return self._event("start", self._now_ms() - self._late_by_ms(how), country=self._country())

    def _late_by_ms(self, how: str) -> int:
        if how == EXPONENTIAL:
            more_ms = self._chance.expovariate(math.log(2) / (MEDIAN_LATE_MS - PROMPT_MS))
            return min(int(PROMPT_MS + more_ms), self._span_ms)
        return self._chance.randrange(PROMPT_MS, self._span_ms)

    def _country(self) -> str:
        return self._chance.choices(COUNTRIES, country_weights())[0]

    def _event(self, kind: str, ts_ms: int, **fields: str) -> Event:
        player = f"late_{self._chance.randrange(PLAYERS)}"
        session = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        return {"event": kind, "player_id": player, "session_id": session, "ts": format_timestamp(ts_ms), **fields}


class Onlooker:
    """Asks every report over every window in turn, one question at a time, each for the first time."""

    def __init__(self, url: str, *, windows: Iterable[int], country: str | None = None) -> None:
        self._clients = itertools.cycle([Client(url) for _ in range(CONNECTIONS)])
        self._chance = random.Random()
        self._country = country
        self._questions = self._shuffled(list(itertools.product(REPORTS, windows)))

    def ask(self, *, seconds: float) -> dict[Question, Replies]:
        """What the replies took that were asked for in this time."""
        until = time.monotonic() + seconds
        taken: dict[Question, Replies] = {}
        while time.monotonic() < until:
            collect(taken, self.ask_once())
        return taken

    def ask_once(self) -> dict[Question, Replies]:
        """What the next question took."""
        client, question = next(self._clients), next(self._questions)
        client.get(question, self._path(*question))
        return client.taken()

    def _shuffled(self, questions: Sequence[Question]) -> Iterator[Question]:
        """All of them, then all of them again in another order, without end."""
        while True:
            yield from self._chance.sample(questions, len(questions))

    def _path(self, report: str, hours: int) -> str:
        country = self._country or self._chance.choice(COUNTRIES)
        path = {"one country": f"{country}/", "timeline": "timeline/"}.get(report, "")
        return f"{STARTS}{path}?hours={hours}"


def collect(into: dict[Question, Replies], more: Mapping[Question, Replies]) -> None:
    """Add the replies of the same questions."""
    for question, replies in more.items():
        into.setdefault(question, Replies()).add(replies)


def slowest(taken: Mapping[Question, Replies]) -> float:
    """Milliseconds, of all questions."""
    return max((replies.slowest() for replies in taken.values()), default=math.inf)


def refused(taken: Mapping[Question, Replies]) -> int:
    """How many replies were a 503."""
    return sum(replies.refused for replies in taken.values())


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
