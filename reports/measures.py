"""What follows from the starts of a window and the ends of their sessions: players, lengths, who is still playing.

No table has the ends by country or by time (decision 25). So the starts are read, each a row that names its player,
and their sessions are looked up by player: for all starts when there are few, otherwise for a sample.

In the sample each start is as likely as any other. The number of starts of each hour of a country is known. Each such
hour is divided into equal slices of time, one for each STARTS_OF_A_SLICE starts; some of all slices are drawn, and all
starts in a drawn slice are read. When starts come in a rush, slices differ, which widens the bounds.
"""

import random
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import NamedTuple

from events import domain
from events.batched import batched
from events.counting.hours import StartCounts
from events.domain import DAY_MS, HOUR_MS, Window
from reports.estimates import Estimate, mean, quantile, share
from reports.expensive import expensive_when_long
from reports.player_sessions import Session
from reports.positions import NO_SESSION, Position
from reports.starts import OnWaiting, counted, queries_of, starts_query
from store import cassandra
from store.cassandra import Row, Statement

SELECT_SESSIONS = """
    SELECT player_id, session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id IN ? AND session_id IN ?"""

# Up to this many starts, and hours of countries, all are read: it costs about as much as a sample.
MOST_READ = 5_000
MOST_PARTITIONS_READ = 1_000
# How many starts have their sessions looked up.
SAMPLED = 500
# A slice costs a statement; a start in it costs little. Fewer and larger slices would say less, because starts of the
# same time may be alike, and a variance of fewer than 25 groups is itself a guess.
STARTS_OF_A_SLICE = 20
# Where hours have fewer starts than that, so do their slices: then this many slices are drawn, with fewer starts.
MOST_SLICES = 64
# A slice with more is a rush within milliseconds, of which these are enough.
MOST_OF_A_SLICE = 500
# Players in one statement that looks up sessions. With 50 the node, which looks for all the sessions with each player,
# takes more time than the process saves.
PLAYERS_PER_STATEMENT = 25
# A node reads the players of a statement at the same time: with more statements they wait for each other.
LOOKUPS_AT_A_TIME = 4
# A session without an end for this long is not being played: its end was lost.
LONGEST_PLAY_MS = DAY_MS


class Started(NamedTuple):
    """A start, as its row has it."""

    country: str
    ts_ms: int
    session_id: uuid.UUID
    player_id: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of the ``of`` groups of starts, and how many players have started; None: not all starts were read.

    It is exact when it has all groups.
    """

    groups: Sequence[Sequence[Started]]
    of: int
    players: int | None

    @property
    def is_exact(self) -> bool:
        return len(self.groups) == self.of


@dataclass(frozen=True, slots=True)
class Measures:
    """Of the starts in a window. Lengths are those of completed sessions, in seconds.

    ``sampled`` starts were looked up, all when ``is_exact``. ``open`` is a share of the sessions, ``playing`` a number.
    None means unknown. In a sample of more than a day, too few starts are young enough to estimate who is playing.
    """

    starts: int
    players: int | None
    sampled: int
    is_exact: bool
    open: Estimate | None
    playing: Estimate | None
    mean: Estimate | None
    median: Estimate | None
    p90: Estimate | None


@expensive_when_long
def measures(*, window: Window, now_ms: int, country: str | None, on_waiting: OnWaiting | None = None) -> Measures:
    """Return the measures of a window, of all countries or one. The same window has the same sample.

    Raises StoreError.
    """
    deadline = cassandra.deadline_from_now()
    counts = counted(window, now_ms=now_ms, country=country, deadline=deadline, on_waiting=on_waiting)
    number = sum(map(sum, counts.starts.values()))
    chance = random.Random(f"{window} {country}")
    if number <= MOST_READ and _partitions(counts) <= MOST_PARTITIONS_READ:
        sample = _of_all(_every_start(counts, window, deadline=deadline), chance)
    else:
        sample = _of_slices(counts, window, chance, deadline=deadline)
    found = _measures(sample, _sessions(sample.groups, deadline=deadline), starts=number, now_ms=now_ms)
    is_long = window.to_ms - window.from_ms > LONGEST_PLAY_MS
    return replace(found, playing=None) if is_long and not found.is_exact else found


def _measures(sample: Sample, groups: Sequence[Sequence[Session]], *, starts: int, now_ms: int) -> Measures:
    """Return what the sessions of each group of a sample say of all ``starts``."""
    of = sample.of
    open_ones = [(float(sum(session.is_open for session in group)), len(group)) for group in groups]
    playing = [
        (float(sum(_is_playing(session, now_ms) for session in group)), len(all_of_group))
        for group, all_of_group in zip(groups, sample.groups, strict=True)
    ]
    lengths = [[length / 1000 for session in group if (length := session.duration_ms) is not None] for group in groups]
    shared = share(playing, of=of)
    return Measures(
        starts=starts,
        players=sample.players,
        sampled=sum(map(len, sample.groups)),
        is_exact=sample.is_exact,
        open=share(open_ones, of=of),
        playing=shared and shared.times(starts),
        mean=mean([(sum(group), len(group)) for group in lengths], of=of),
        median=quantile(lengths, 0.5, of=of),
        p90=quantile(lengths, 0.9, of=of),
    )


def _is_playing(session: Session, now_ms: int) -> bool:
    return session.is_open and now_ms - (session.started_ms or 0) < LONGEST_PLAY_MS


def _partitions(counts: StartCounts) -> int:
    return sum(counts.shards[country] * sum(map(bool, starts)) for country, starts in counts.starts.items())


def _of_all(starts: Sequence[Started], chance: random.Random) -> Sample:
    """Draw some starts, each a group of its own; of few all, which are one group."""
    players = len({start.player_id for start in starts})
    if len(starts) <= SAMPLED:
        return Sample([starts], 1, players)
    return Sample([[start] for start in chance.sample(starts, SAMPLED)], len(starts), players)


def _every_start(counts: StartCounts, window: Window, *, deadline: float) -> list[Started]:
    hours_of = {
        country: [hour for hour, number in zip(counts.hours, starts, strict=True) if number]
        for country, starts in counts.starts.items()
        if any(starts)
    }
    queries = queries_of(hours_of, counts, window=window, limit=MOST_READ)
    return [*_started(chain.from_iterable(cassandra.execute_many(queries, deadline=deadline)))]


def _of_slices(counts: StartCounts, window: Window, chance: random.Random, *, deadline: float) -> Sample:
    """Draw as many slices as hold SAMPLED starts, if they are alike; the starts of each are a group."""
    countries = sorted(counts.starts)  # in whatever order they were counted
    numbers = [number for country in countries for number in counts.starts[country]]
    slices = [max(1, number // STARTS_OF_A_SLICE) if number else 0 for number in numbers]
    behind = list(accumulate(slices))
    wanted = -(-SAMPLED * behind[-1] // sum(numbers))  # rounded up
    queries: list[Statement] = []
    for drawn in chance.sample(range(behind[-1]), min(wanted, MOST_SLICES, behind[-1])):
        place = bisect_right(behind, drawn)
        row, column = divmod(place, len(counts.hours))
        part = _slice(counts.hours[column], window, number=behind[place] - 1 - drawn, of=slices[place])
        queries.append(_slice_query(countries[row], part, shards=counts.shards[countries[row]]))
    groups = [[*_started(rows)] for rows in cassandra.execute_many(queries, deadline=deadline)]
    return Sample(groups, behind[-1], None)


def _slice(hour_ms: int, window: Window, *, number: int, of: int) -> Window:
    """Return one of so many slices of what the window covers of an hour; they are equally long, to the millisecond."""
    after_ms, to_ms = max(window.from_ms, hour_ms - 1), min(window.to_ms, hour_ms + HOUR_MS - 1)
    length = to_ms - after_ms
    return Window(after_ms + length * number // of, after_ms + length * (number + 1) // of)


def _slice_query(country: str, part: Window, *, shards: int) -> Statement:
    hour, end = domain.hour_of(part.to_ms), Position(part.to_ms + 1, NO_SESSION)
    return starts_query([country], [hour], shards=shards, window=part, before=end, limit=MOST_OF_A_SLICE)


def _started(rows: Iterable[Row]) -> Iterator[Started]:
    return (Started(*row) for row in rows)


def _sessions(groups: Sequence[Sequence[Started]], *, deadline: float) -> list[list[Session]]:
    """Return the sessions that the starts of each group began; one that began again belongs to its latest start."""
    sessions_of: dict[str, set[uuid.UUID]] = defaultdict(set)
    for start in chain.from_iterable(groups):
        sessions_of[start.player_id].add(start.session_id)
    queries: list[Statement] = [
        (SELECT_SESSIONS, (some, set().union(*(sessions_of[player] for player in some))))
        for some in batched(list(sessions_of), PLAYERS_PER_STATEMENT)
    ]
    rows = chain.from_iterable(cassandra.execute_many(queries, deadline=deadline, at_a_time=LOOKUPS_AT_A_TIME))
    found = {(player, session[0]): Session(*session) for player, *session in rows}
    return [[session for start in group if (session := _session_of(start, found))] for group in groups]


def _session_of(start: Started, found: Mapping[tuple[str, uuid.UUID], Session]) -> Session | None:
    session = found.get((start.player_id, start.session_id))
    if session and (session.started_ms, session.country) == (start.ts_ms, start.country):
        return session
    return None
