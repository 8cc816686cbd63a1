"""Which starts the reports must show while they come late, in any order and again: a model in plain Python.

Clients send starts and hold every report against it. A start whose rows are to be deleted leaves ``must`` before that
begins, and ``may`` when it is done.
"""

import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from events.batched import batched
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, PROMPT_MS, Window, day_of, hour_of
from reports.starts import starts_by_part
from tests.clients import Clients

Key = TypeVar("Key", bound=Hashable)

DAYS = 3
HOURS = DAYS * 24
BATCH = 10
# A writer sends a whole day again after so many batches of new starts.
BATCHES_BETWEEN_REPLAYS = 6
# Long lists take many pages.
HOURS_LISTED = 2
# A service that refuses a batch for so long is not coming back.
GIVE_UP_SECONDS = 120


def starts_by_hour(*, window: Window, now_ms: int, country: str | None) -> list[tuple[int, int]]:
    """Every hour of a window with its starts, zeros included, as the timeline has them."""
    hours = window.hours()
    begins = [*hours, hours[-1] + HOUR_MS]
    starts = starts_by_part(window=window, begins=begins, now_ms=now_ms, country=country).starts
    return list(zip(hours, starts, strict=True))


class Start(NamedTuple):
    """A session that starts; it is the same one however often it is sent."""

    country: str
    ts_ms: int
    session_id: uuid.UUID


class Refused(Exception):
    """The service is not able to answer now, and says so."""


class Service(Protocol):
    """How starts are sent, and the three reports of them. Each may raise Refused."""

    def send(self, starts: Sequence[Start]) -> None:
        """Return when they are acknowledged."""

    def by_hour(self, country: str, window: Window) -> Counter[int]:
        """The starts of each hour."""

    def by_country(self, window: Window) -> Counter[str]:
        """The starts of each country."""

    def listed(self, country: str, window: Window) -> Counter[Start]:
        """Every start."""


class Truth:
    """The starts that have been acknowledged, and those that have been sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: set[Start] = set()
        self._acknowledged: set[Start] = set()

    def sending(self, starts: Iterable[Start]) -> None:
        with self._lock:
            self._sent.update(starts)

    def acknowledged(self, starts: Iterable[Start]) -> None:
        with self._lock:
            self._acknowledged.update(starts)

    def must(self) -> set[Start]:
        """What every report shows that is asked for from now on."""
        with self._lock:
            return self._acknowledged.copy()

    def may(self) -> set[Start]:
        """What a report can show that was answered before now."""
        with self._lock:
            return self._sent.copy()


class Game(Clients):
    """Writers and readers, dealt to ``services``. A report that disagrees with the truth fails in its reader.

    Writers stop after ``rounds`` batches; without, when the block ends. ``now_ms`` is the time of the services.
    """

    def __init__(
        self,
        services: Sequence[Service],
        countries: Collection[str],
        *,
        now_ms: Callable[[], int],
        seed: int,
        writers: int = 3,
        readers: int = 3,
        rounds: int | None = None,
        pause_seconds: float = 0.0,
        truth: "Truth | None" = None,
    ) -> None:
        super().__init__(writers + readers)
        self.services, self.countries, self.now_ms = services, sorted(countries), now_ms
        self.truth = truth or Truth()
        self.compared = self.sent = self.refused = 0
        self._seed, self._writers, self._rounds, self._pause_seconds = seed, writers, rounds, pause_seconds
        self._lock = threading.Lock()

    def work(self, number: int) -> None:
        service, chance = self.services[number % len(self.services)], random.Random(self._seed + number)
        if number < self._writers:
            self._write(service, chance)
        else:
            self._read(service, chance)

    def wait_for_writers(self) -> None:
        """Return when they have sent their rounds, or have failed."""
        for thread in self._threads[: self._writers]:
            thread.join()

    def send(self, service: Service, starts: Sequence[Start]) -> None:
        """Send them until they are acknowledged."""
        self.truth.sending(starts)
        until = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                self._note(sent=len(starts))
                service.send(starts)
            except Refused:
                assert time.monotonic() < until, "refused for too long"
                self._note(refused=1)
                time.sleep(0.2)
            else:
                self.truth.acknowledged(starts)
                return

    def check(self, service: Service) -> None:
        """Every report of the whole time shows exactly what was sent. Only while nobody writes."""
        assert self.truth.must() == self.truth.may()
        window = self._window(HOURS)
        for country in self.countries:
            self._check_country(service, country, window, listed=window)
        self._check_countries(service, window)

    def summary(self) -> str:
        return (
            f"{len(self.truth.may()):,} starts sent {self.sent:,} times, {self.refused:,} requests refused, "
            f"{self.compared:,} reports compared, no difference"
        )

    def new_starts(self, chance: random.Random, number: int) -> list[Start]:
        """Of a moment ago, at the edge of being late, of the last half hour, of any time."""
        moments = (self.now_ms() - chance.choice(_LATE_BY)(chance) for _ in range(number))
        return [
            Start(chance.choice(self.countries), ts_ms, uuid.UUID(int=chance.getrandbits(128), version=4))
            for ts_ms in moments
        ]

    def _write(self, service: Service, chance: random.Random) -> None:
        for number in itertools.count(1) if self._rounds is None else range(1, self._rounds + 1):
            self.send(service, self.new_starts(chance, chance.randint(1, BATCH)))
            if number % BATCHES_BETWEEN_REPLAYS == 0:
                # All writers choose the same day at about the same time.
                self._replay(service, chance, age_days=number // BATCHES_BETWEEN_REPLAYS % DAYS)
            if self.stop.wait(self._pause_seconds):
                return

    def _replay(self, service: Service, chance: random.Random, *, age_days: int) -> None:
        """Send all starts of a day again, in another order."""
        day = day_of(self.now_ms()) - age_days * DAY_MS
        starts = sorted(start for start in self.truth.may() if day_of(start.ts_ms) == day)
        chance.shuffle(starts)
        for some in batched(starts, BATCH):
            if self.stop.is_set():
                return
            self.send(service, some)

    def _read(self, service: Service, chance: random.Random) -> None:
        while not self.stop.is_set():
            try:
                self._read_once(service, chance)
            except Refused:
                self._note(refused=1)

    def _read_once(self, service: Service, chance: random.Random) -> None:
        self._check_countries(service, self._window(HOURS))
        country = chance.choice(self.countries)
        self._check_country(service, country, self._window(HOURS), listed=self._window(HOURS_LISTED))

    def _check_countries(self, service: Service, window: Window) -> None:
        def ask() -> Counter[str]:
            shown = service.by_country(window)
            return Counter({country: shown[country] for country in self.countries})

        self._compare(ask, country_of_start, window, self.countries)

    def _check_country(self, service: Service, country: str, window: Window, *, listed: Window) -> None:
        self._compare(lambda: service.by_hour(country, window), hour_of_start, window, {country})
        self._compare(lambda: service.listed(country, listed), itself, listed, {country})

    def _window(self, hours: int) -> Window:
        now_ms = self.now_ms()
        return Window(now_ms - hours * HOUR_MS, now_ms)

    def _compare(
        self, ask: Callable[[], Counter[Key]], key: Callable[[Start], Key], window: Window, countries: Collection[str]
    ) -> None:
        def counted(starts: Iterable[Start]) -> Counter[Key]:
            return Counter(
                key(one) for one in starts if one.country in countries and window.from_ms < one.ts_ms <= window.to_ms
            )

        must = self.truth.must()
        shown = +ask()
        must &= self.truth.must()  # what is to be deleted meanwhile may be shown or not
        may = counted(self.truth.may())
        assert counted(must) <= shown, f"a start that was acknowledged is missing: {counted(must) - shown}"
        assert shown <= may, f"a start is shown that nobody sent: {shown - may}"
        self._note(compared=1)

    def _note(self, *, compared: int = 0, sent: int = 0, refused: int = 0) -> None:
        with self._lock:
            self.compared += compared
            self.sent += sent
            self.refused += refused


_LATE_BY: Sequence[Callable[[random.Random], int]] = [
    lambda chance: chance.randrange(2_000),
    lambda chance: PROMPT_MS + chance.randrange(-20_000, 20_000),
    lambda chance: chance.randrange(30 * MINUTE_MS),
    lambda chance: chance.randrange((HOURS - 1) * HOUR_MS),
]


def hour_of_start(start: Start) -> int:
    return hour_of(start.ts_ms)


def country_of_start(start: Start) -> str:
    return start.country


def itself(start: Start) -> Start:
    return start
