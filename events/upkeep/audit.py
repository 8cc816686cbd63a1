"""Goes through everything that is stored, finds what is wrong, and fixes it.

First every row of every table, by token range; then the rows that may lack their counterpart; then the counts of each
day. In the end of each unit of this the audit can be stopped, and go on later.
"""

import json
import time
from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, TypeVar

from events.batched import batched
from events.clock import wall_clock_ms
from events.domain import IN_FLIGHT_MS
from events.models import TABLES, CompletedSessionByPlayerId, SessionByCountry, SessionByPlayerId, Table
from events.services import record_events
from events.upkeep import day_counts
from events.upkeep.day_counts import SeenShards, days_kept
from events.upkeep.pairs import EXPIRING_MS, Buckets, Question, events_of, question
from events.upkeep.quality import describe
from events.upkeep.row_checks import Clock, Problem, right_place
from events.upkeep.tables import UPKEEP, Reading
from events.upkeep.writing import execute_and_recount
from store import cassandra
from store.cassandra import Row
from store.errors import StoreUnavailable

# Of each table: what an audit that was stopped does again.
RANGES = 64
FIRST_TOKEN, LAST_TOKEN = -(2**63), 2**63 - 1
# What is in memory at a time. A page takes 10 to 20 ms.
ROWS_PER_PAGE = 1_000
# Counterparts that are asked for at a time: two leave a node time for others.
QUESTIONS_AT_A_TIME = 2
# A batch of recorded events is a logged one, whose rows lie anywhere.
EVENTS_PER_BATCH = 10
RETRY_SECONDS = 1.0
# Of rows whose counterpart may be in flight, in memory.
MOST_DOUBTFUL = 10_000
# Tables whose rows have a counterpart in another one.
PAIRED = (SessionByCountry, SessionByPlayerId, CompletedSessionByPlayerId)

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What an audit has read, by table, and what it has found and fixed, by table and kind: ``table: kind``."""

    rows: "Counter[str]" = field(default_factory=Counter)
    found: "Counter[str]" = field(default_factory=Counter)
    fixed: "Counter[str]" = field(default_factory=Counter)
    quality: "Counter[str]" = field(default_factory=Counter)

    def note(self, table: str, kind: str, *, fixed: bool) -> None:
        """Count a problem."""
        self.found[f"{table}: {kind}"] += 1
        self.fixed[f"{table}: {kind}"] += fixed

    @property
    def left(self) -> int:
        """Return how much was found and is not fixed."""
        return self.found.total() - self.fixed.total()


@dataclass(slots=True)
class State:
    """How far an audit has come: of its units the first ``done``."""

    started_ms: int
    seen: SeenShards
    done: int = 0
    report: Report = field(default_factory=Report)
    buckets: dict[str, Buckets] = field(default_factory=dict)

    @classmethod
    def new(cls) -> "State":
        """Return that of an audit that begins."""
        now_ms = wall_clock_ms()
        return cls(now_ms, SeenShards(now_ms), buckets={"start": Buckets(), "end": Buckets()})

    @classmethod
    def from_text(cls, text: str) -> "State":
        """Return what ``text`` told of. Raises ValueError when it is of something else."""
        try:
            values = json.loads(text)
            report = Report(**{name: Counter(numbers) for name, numbers in values["report"].items()})
            seen = SeenShards(values["started_ms"], b64decode(values["seen"]))
            buckets = {kind: Buckets(packed) for kind, packed in values["buckets"].items()}
            return cls(values["started_ms"], seen, values["done"], report, buckets)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not the checkpoint of an audit") from error

    def text(self) -> str:
        """Return all of it, for a checkpoint."""
        return json.dumps(
            {
                "started_ms": self.started_ms,
                "done": self.done,
                "report": asdict(self.report),
                "seen": b64encode(self.seen.packed()).decode(),
                "buckets": {kind: buckets.packed() for kind, buckets in self.buckets.items()},
            }
        )

    def units(self) -> "list[Unit]":
        """Return what there is to do, always the same."""
        ranges = [*_token_ranges()]
        tables = [TableRange(table, *one) for table in TABLES for one in ranges]
        pairs = [PairRange(table, *one) for table in PAIRED for one in ranges]
        return [*tables, *pairs, Settle(), *map(DayUnit, days_kept(self.started_ms))]


class TableRange(NamedTuple):
    """The rows of a table between two tokens, each by itself."""

    table: Table
    after: int
    until: int


class PairRange(NamedTuple):
    """The same rows once more, for those that may lack their counterpart."""

    table: Table
    after: int
    until: int


class Settle(NamedTuple):
    """What of them was in flight may have arrived."""


class DayUnit(NamedTuple):
    """The counts of a day."""

    day_ms: int


Unit = TableRange | PairRange | Settle | DayUnit


class Progress(NamedTuple):
    """How far an audit has come."""

    unit: Unit
    done: int
    units: int
    rows: int
    waiting_for: str | None = None


class _Doubt(NamedTuple):
    """A row whose counterpart was not there."""

    table: Table
    question: Question


class Audit:
    """One audit. ``most_rows`` are read in a second; ``settle_seconds`` is how long a write may be in flight."""

    def __init__(
        self,
        state: State,
        *,
        fix: bool,
        most_rows: int,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_unit: Callable[[State], None] = lambda _: None,
        settle_seconds: float = IN_FLIGHT_MS / 1_000,
    ) -> None:
        self.state = state
        self.stop_requested = False
        self._fix = fix
        self._most_rows = most_rows
        self._on_progress = on_progress
        self._on_unit = on_unit
        self._settle_seconds = settle_seconds
        self._doubts: list[_Doubt] = []
        self._units = state.units()

    def run(self) -> bool:
        """Go through all units; return whether the end was reached. Waits while Cassandra is unavailable.

        Raises StatementRejected.
        """
        self._tell()
        while self.state.done < len(self._units) and not self.stop_requested:
            self._do(self._units[self.state.done])
            # What is in doubt is not in the state: an audit that goes on does not begin behind it.
            self.state.done += 1
            if not self._doubts:
                self._on_unit(self.state)
        return self.state.done == len(self._units)

    def _do(self, unit: Unit) -> None:
        if isinstance(unit, TableRange):
            for reading in UPKEEP[unit.table].audited:
                for rows, clock in self._pages(reading, unit):
                    self._check_rows(unit.table, reading, rows, clock)
        elif isinstance(unit, PairRange):
            [reading] = UPKEEP[unit.table].audited
            for rows, clock in self._pages(reading, unit):
                self._check_pairs(unit.table, rows, clock)
        elif isinstance(unit, Settle):
            self._settle()
        else:
            self._check_day(unit.day_ms)

    def _pages(self, reading: Reading, unit: TableRange | PairRange) -> Iterator[tuple[list[Row], Clock]]:
        """Yield the rows of a range in pages, no more in a second than is allowed."""
        after: bytes | None = None
        cql, tokens = reading.cql(unit.table), (unit.after, unit.until)
        while True:
            began, clock = time.monotonic(), Clock(wall_clock_ms())
            page = self._patiently(lambda: cassandra.read_page(cql, tokens, rows=ROWS_PER_PAGE, after=after))  # noqa: B023
            yield page.rows, clock
            self._tell()
            time.sleep(max(len(page.rows) / self._most_rows - (time.monotonic() - began), 0))
            if page.next is None:
                return
            after = page.next

    def _check_rows(self, table: Table, reading: Reading, rows: Sequence[Row], clock: Clock) -> None:
        """Check rows each by itself, and note them for what comes later."""
        problems: list[Problem] = []
        is_first = reading is UPKEEP[table].audited[0]
        for row in rows:
            of_row = [*reading.check(row, clock)]
            problems += of_row
            if is_first:
                self._note(table, row, clock)
        if is_first:
            self.state.report.rows[table.__table_name__] += len(rows)
        self._report(table.__table_name__, problems)

    def _note(self, table: Table, row: Row, clock: Clock) -> None:
        """Note what a row says of the data's quality, and what has to be elsewhere, too."""
        events = [event for event in events_of(table, row) if event.ts_ms > clock.cutoff_ms]
        describe(table, row, events, clock, self.state.report.quality)
        for event in events:
            self.state.buckets[event.kind].add(event)
            if table is SessionByCountry:
                country, hour, shard = right_place(event)
                if self._fix or (country, hour) == row[:2]:
                    self.state.seen.add(country, hour, shard if self._fix else row[2])

    def _report(self, table: str, problems: Sequence[Problem]) -> None:
        """Fix the problems of a page, if that is wanted, and count them."""
        if self._fix and problems:
            self._patiently(lambda: _fix(problems))
        for problem in problems:
            can_be_fixed = bool(problem.statements or problem.events)
            self.state.report.note(table, problem.kind, fixed=self._fix and can_be_fixed)

    def _check_pairs(self, table: Table, rows: Sequence[Row], clock: Clock) -> None:
        """Ask for the counterparts of rows in whose buckets something is left."""
        questions = [
            question(table, event)
            for row in rows
            for event in events_of(table, row)
            if event.ts_ms > clock.cutoff_ms + EXPIRING_MS and self.state.buckets[event.kind].is_left(event)
        ]
        for one, result in self._answers(questions, clock):
            if isinstance(result, Problem):
                self._doubts.append(_Doubt(table, one))
            elif result is not None:
                self.state.report.quality[result] += 1
        if len(self._doubts) > MOST_DOUBTFUL:
            self._settle()

    def _answers(self, questions: Sequence[Question], clock: Clock) -> Iterator[tuple[Question, Problem | str | None]]:
        statements = [one.statement for one in questions]
        answers = self._patiently(
            lambda: cassandra.execute_many(
                statements, deadline=time.monotonic() + 60, counting=True, at_a_time=QUESTIONS_AT_A_TIME
            )
        )
        for one, rows in zip(questions, answers, strict=True):
            yield one, one.answered(rows, clock)

    def _settle(self) -> None:
        """Wait for what may be in flight, and believe that the counterparts are missing that are not there then."""
        if self._doubts:
            time.sleep(self._settle_seconds)
        by_table: dict[Table, list[Question]] = defaultdict(list)
        for doubt in self._doubts:
            by_table[doubt.table].append(doubt.question)
        for table, questions in by_table.items():
            missing = self._missing(questions)
            if self._fix and missing:
                self._patiently(lambda: _fix([*missing.values()]))  # noqa: B023
                still = self._missing([*missing])
            else:
                still = missing
            for one, problem in missing.items():
                self.state.report.note(table.__table_name__, problem.kind, fixed=one not in still)
        self._doubts.clear()

    def _missing(self, questions: Sequence[Question]) -> dict[Question, Problem]:
        clock = Clock(wall_clock_ms())
        return {one: result for one, result in self._answers(questions, clock) if isinstance(result, Problem)}

    def _check_day(self, day_ms: int) -> None:
        """Check the hour index entries of a day, then its counts."""
        missing = self._patiently(lambda: day_counts.missing_index_entries(day_ms, self.state.seen))
        if self._fix and missing:
            self._patiently(lambda: day_counts.write_index_entries(missing))
        still = self._patiently(lambda: day_counts.missing_index_entries(day_ms, self.state.seen)) if missing else {}
        for one in missing:
            self.state.report.note("country_hour", day_counts.WITHOUT_INDEX_ENTRY, fixed=one not in still)
        wrong = self._patiently(lambda: day_counts.wrong_counts(day_ms))
        if self._fix and wrong:
            self._patiently(lambda: day_counts.correct_counts(day_ms, wrong))
        left = self._patiently(lambda: day_counts.wrong_counts(day_ms)) if wrong else []
        for found in wrong:
            self.state.report.note("start_count", found.kind, fixed=found not in left)
        self._tell()

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return what the call does, once Cassandra is there. What it writes is idempotent."""
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                self._tell(waiting_for=str(error))
                time.sleep(RETRY_SECONDS)

    def _tell(self, *, waiting_for: str | None = None) -> None:
        state = self.state
        unit = self._units[min(state.done, len(self._units) - 1)]
        self._on_progress(Progress(unit, state.done, len(self._units), state.report.rows.total(), waiting_for))


def _token_ranges() -> Iterator[tuple[int, int]]:
    """Yield the tokens after which, and up to which, each range goes."""
    size = (LAST_TOKEN - FIRST_TOKEN + 1) // RANGES
    for number in range(RANGES):
        after = FIRST_TOKEN + number * size
        yield after, min(after + size, LAST_TOKEN)


def _fix(problems: Sequence[Problem]) -> None:
    """Record the events, then execute the statements, then have the hours counted that have fewer starts now."""
    events = [event for problem in problems for event in problem.events]
    for some in batched(events, EVENTS_PER_BATCH):
        record_events(some, now_ms=wall_clock_ms())
    statements = [one for problem in problems for one in problem.statements]
    execute_and_recount(statements, [problem.cell for problem in problems if problem.cell])
