"""Goes through everything that is stored, finds what is wrong, and fixes it.

It reads every row of every table, by token range, after which nothing is left of players who were erased before; then
the rows that may lack their counterpart; then the counts of each day. After each unit of this the audit can be stopped
and continued later.
"""

import json
import time
import zlib
from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from events.batched import batched
from events.clock import wall_clock_ms
from events.domain import IN_FLIGHT_MS, Event, format_timestamp
from events.erased_players import erased_until
from events.models import TABLES, CompletedSessionByPlayerId, SessionByCountry, SessionByPlayerId, Table
from events.services import record_events
from events.upkeep import day_counts
from events.upkeep.day_counts import SeenShards, days_kept
from events.upkeep.erasing import finish, pending_erasures
from events.upkeep.pairs import EXPIRING_MS, Buckets, Question, events_of, question
from events.upkeep.quality import describe
from events.upkeep.row_checks import Clock, Problem, right_place
from events.upkeep.tables import UPKEEP, Reading
from events.upkeep.walk import Progress, Stopped, TableRange, Walk, ranges_of
from events.upkeep.writing import execute_and_recount
from store import cassandra
from store.cassandra import Row

# Counterparts that are asked for at a time: two leave a node time for others.
QUESTIONS_AT_A_TIME = 2
# On a slow store all questions of a page would never be answered in time, and be repeated for ever.
QUESTIONS_PER_DEADLINE, QUESTIONS_SECONDS = 1_000, 60.0
# What a question, and the counts of a day, cost in rows that are read: about 30 µs each.
ROWS_PER_QUESTION, ROWS_PER_DAY = 15, 300
# A batch of recorded events is a logged one, whose rows lie anywhere.
EVENTS_PER_BATCH = 10
# Of rows whose counterpart may be in flight, in memory.
MOST_DOUBTFUL = 10_000
# Tables whose rows have a counterpart in another one.
PAIRED = (SessionByCountry, SessionByPlayerId, CompletedSessionByPlayerId)


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
        """Return the state of an audit that begins."""
        now_ms = wall_clock_ms()
        return cls(now_ms, SeenShards(now_ms), buckets={"start": Buckets(), "end": Buckets()})

    @classmethod
    def from_text(cls, text: str) -> "State":
        """Return the state that a checkpoint holds.

        Raises ValueError when it holds none, or one of other units: of another retention, or another release's tables.
        """
        try:
            values = json.loads(text)
            report = Report(**{name: Counter(numbers) for name, numbers in values["report"].items()})
            seen = SeenShards(values["started_ms"], b64decode(values["seen"]))
            buckets = {kind: Buckets(packed) for kind, packed in values["buckets"].items()}
            state = cls(values["started_ms"], seen, values["done"], report, buckets)
            units = values["units"]
        except (KeyError, TypeError, AttributeError, zlib.error) as error:
            raise ValueError("not the checkpoint of an audit") from error
        if units != len(state.units()):
            raise ValueError("of another retention, or of another release")
        return state

    def text(self) -> str:
        """Return all of it, for a checkpoint."""
        return json.dumps(
            {
                "started_ms": self.started_ms,
                "done": self.done,
                "units": len(self.units()),
                "report": {one.name: getattr(self.report, one.name) for one in fields(self.report)},
                "seen": b64encode(self.seen.packed()).decode(),
                "buckets": {kind: buckets.packed() for kind, buckets in self.buckets.items()},
            }
        )

    def units(self) -> "list[AuditUnit]":
        """Return what there is to do, always the same."""
        tables = [unit for table in TABLES for unit in ranges_of(table)]
        pairs = [PairRange(*unit) for table in PAIRED for unit in ranges_of(table)]
        return [*tables, Erasures(), *pairs, RowsInFlight(), *map(DayUnit, days_kept(self.started_ms))]


class Erasures(NamedTuple):
    """The players who waited to be erased, now that every row has been read."""

    @property
    def name(self) -> str:
        return "erasures"


class PairRange(NamedTuple):
    """The rows of a table between two tokens once more, for those that may lack their counterpart."""

    table: Table
    after: int
    until: int

    @property
    def name(self) -> str:
        return f"counterparts of {self.table.__table_name__}"


class RowsInFlight(NamedTuple):
    """What of them was in flight may have arrived."""

    @property
    def name(self) -> str:
        return "rows in flight"


class DayUnit(NamedTuple):
    """The counts of a day."""

    day_ms: int

    @property
    def name(self) -> str:
        return f"counts of {format_timestamp(self.day_ms)[:10]}"


AuditUnit = TableRange | Erasures | PairRange | RowsInFlight | DayUnit


class _Doubt(NamedTuple):
    """A row whose counterpart was not there."""

    table: Table
    question: Question


class Audit(Walk):
    """One audit; ``in_flight_seconds`` is how long a write may be in flight."""

    def __init__(
        self,
        state: State,
        *,
        fix: bool,
        most_rows: int,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_unit: Callable[[State], None] = lambda _: None,
        in_flight_seconds: float = IN_FLIGHT_MS / 1_000,
    ) -> None:
        super().__init__(most_rows=most_rows, on_progress=on_progress)
        self.state = state
        self._fix = fix
        self._on_unit = on_unit
        self._in_flight_seconds = in_flight_seconds
        self._doubts: list[_Doubt] = []
        self._days: set[int] | None = None  # of which anything is indexed or counted
        self._units = state.units()

    def run(self) -> bool:
        """Go through all units; return whether the end was reached. Waits while Cassandra is unavailable.

        Raises StatementRejected.
        """
        self._on_progress(self._progress())
        while self.state.done < len(self._units) and not self.stop_requested:
            try:
                self._do(self._units[self.state.done])
            except Stopped:
                break
            # Doubts are not part of the state, so a checkpoint may not lie behind rows that are in doubt.
            self.state.done += 1
            if not self._doubts:
                self._on_unit(self.state)
        return self.state.done == len(self._units)

    def _do(self, unit: AuditUnit) -> None:
        if isinstance(unit, TableRange):
            for reading in UPKEEP[unit.table].audited:
                for rows, clock in self._pages(reading, unit.table, after=unit.after, until=unit.until):
                    self._check_rows(unit.table, reading, rows, clock)
        elif isinstance(unit, Erasures):
            self._finish_erasures()
        elif isinstance(unit, PairRange):
            if all(buckets.is_empty() for buckets in self.state.buckets.values()):
                return
            [reading] = UPKEEP[unit.table].audited
            for rows, clock in self._pages(reading, unit.table, after=unit.after, until=unit.until):
                self._check_pairs(unit.table, rows, clock)
        elif isinstance(unit, RowsInFlight):
            self._look_again()
        else:
            self._check_day(unit.day_ms)

    def _check_rows(self, table: Table, reading: Reading, rows: Sequence[Row], clock: Clock) -> None:
        """Check rows each by itself, and note them for what comes later."""
        problems: list[Problem] = []
        upkeep = UPKEEP[table]
        has_events = reading is upkeep.audited[-1]  # what is read first of some tables are their partitions
        for row in rows:
            erased = [*upkeep.erased(row, clock)] if has_events else []
            problems += erased or reading.check(row, clock)
            if has_events:
                self._note(table, row, clock)
        if has_events:
            self.state.report.rows[table.__table_name__] += len(rows)
        self._report(table.__table_name__, problems)

    def _note(self, table: Table, row: Row, clock: Clock) -> None:
        """Note what a row says of the data's quality, and what has to be elsewhere, too."""
        events = _kept_events(table, row, clock, oldest_ms=clock.cutoff_ms)
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

    def _finish_erasures(self) -> None:
        """Set those erasures to done that were due before the first row was read."""
        if not self._fix:
            return
        for erasure in self._patiently(pending_erasures):
            if erasure.due_ms <= self.state.started_ms:
                self._patiently(lambda: finish(erasure))  # noqa: B023

    def _check_pairs(self, table: Table, rows: Sequence[Row], clock: Clock) -> None:
        """Ask for the counterparts of rows in whose buckets something is left."""
        questions = [
            question(table, event)
            for row in rows
            for event in _kept_events(table, row, clock, oldest_ms=clock.cutoff_ms + EXPIRING_MS)
            if self.state.buckets[event.kind].is_left(event)
        ]
        began = time.monotonic()
        for one, result in self._answers(questions, clock):
            if isinstance(result, Problem):
                self._doubts.append(_Doubt(table, one))
            elif result is not None:
                self.state.report.quality[result] += 1
        self._pause(len(questions) * ROWS_PER_QUESTION, began=began)
        if len(self._doubts) > MOST_DOUBTFUL:
            self._look_again()

    def _answers(self, questions: Sequence[Question], clock: Clock) -> Iterator[tuple[Question, Problem | str | None]]:
        for some in batched(questions, QUESTIONS_PER_DEADLINE):
            statements = [one.statement for one in some]
            answers = self._patiently(
                lambda: cassandra.execute_many(
                    statements,  # noqa: B023  # called at once
                    deadline=time.monotonic() + QUESTIONS_SECONDS,
                    counting=True,
                    at_a_time=QUESTIONS_AT_A_TIME,
                )
            )
            for one, rows in zip(some, answers, strict=True):
                yield one, one.answered(rows, clock)

    def _look_again(self) -> None:
        """Wait for writes in flight; counterparts that are still not there are missing."""
        if self._doubts:
            time.sleep(self._in_flight_seconds)
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
        clock = Clock(wall_clock_ms(), self._patiently(erased_until))
        return {
            one: result
            for one, result in self._answers(questions, clock)
            if isinstance(result, Problem) and not clock.is_erased(one.event.player_id, one.event.ts_ms)
        }

    def _check_day(self, day_ms: int) -> None:
        """Check the hour index entries of a day, then its counts."""
        if self._days is None:
            self._days = self._patiently(day_counts.days_with_counts)
        if day_ms not in self._days and not self.state.seen.of_day(day_ms):
            return
        began = time.monotonic()
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
        self._on_progress(self._progress())
        self._pause(ROWS_PER_DAY, began=began)

    def _progress(self) -> Progress:
        state = self.state
        unit = self._units[min(state.done, len(self._units) - 1)]
        return Progress(unit, state.done, len(self._units), state.report.rows.total())


def _kept_events(table: Table, row: Row, clock: Clock, *, oldest_ms: int) -> list[Event]:
    """Return the events of a row that happened after a moment and are not erased."""
    return [
        event
        for event in events_of(table, row)
        if event.ts_ms > oldest_ms and not clock.is_erased(event.player_id, event.ts_ms)
    ]


def _fix(problems: Sequence[Problem]) -> None:
    """Record the events, then execute the statements, then have the hours counted that have fewer starts now."""
    events = [event for problem in problems for event in problem.events]
    for some in batched(events, EVENTS_PER_BATCH):
        record_events(some, now_ms=wall_clock_ms())
    statements = [one for problem in problems for one in problem.statements]
    execute_and_recount(statements, [problem.cell for problem in problems if problem.cell])
