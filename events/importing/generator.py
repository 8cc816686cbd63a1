"""Made-up events of the shape of a real dump: skewed countries, returning players, open sessions, disorder."""

import json
import math
import random
import uuid
from collections.abc import Iterator
from heapq import heappop, heappush

from events import domain

# The largest has 30 % of all sessions, then it falls like a game's real audience.
COUNTRIES = (
    "US DE GB FI FR SE BR JP IN CA ES IT PL NL AU MX KR TR NO DK "
    "AR CL PT CZ UA RO GR HU TH VN ID PH MY SG ZA EG IL NZ IE XK"
).split()
LARGEST_SHARE = 0.30
FALL = 0.88
# Of all sessions, those that never end, and those whose end is sent before their start.
NEVER_ENDED = 0.04
END_FIRST = 0.02
SESSIONS_PER_PLAYER = 8
MEDIAN_SESSION_SECONDS = 900.0
# The busiest hour of the day (UTC), with three times the starts of the quietest: people play in the evening.
BUSIEST_HOUR = 19
SWING = 0.5
TURNS = 2 * math.pi / domain.DAY_MS


def generated_lines(*, events: int, days: float, seed: int, now_ms: int) -> Iterator[str]:
    """Yield ``events`` JSON lines over the ``days`` before ``now_ms``, nearly in order of time, as in the field.

    The same arguments give the same lines.
    """
    chance = random.Random(seed)
    weights = country_weights()
    first_ms = now_ms - int(days * domain.DAY_MS)
    begin_ms, end_ms = evened_out(first_ms), evened_out(now_ms)
    players = max(1, events // (2 * SESSIONS_PER_PLAYER))
    ends: list[tuple[int, int, str]] = []
    made = 0
    while made < events:
        # By the share of the lines that are made: so the last ones are of now.
        even_ms = begin_ms + (end_ms - begin_ms) * (made + chance.random()) / events
        started_ms = min(max(first_ms, towards_the_evening(even_ms)), now_ms)
        lines: list[str] = []
        while ends and ends[0][0] <= started_ms:
            lines.append(heappop(ends)[2])
        player = _player(seed, chance.randrange(players))
        country = chance.choices(COUNTRIES, weights)[0]
        session = str(_random_uuid(chance))
        start = _line("start", player, session, started_ms, country)
        made += 1
        ended_ms = started_ms + int(chance.lognormvariate(0, 1) * MEDIAN_SESSION_SECONDS * domain.SECOND_MS)
        if chance.random() >= NEVER_ENDED and ended_ms <= now_ms and made < events:
            end = _line("end", player, session, ended_ms, None)
            made += 1
            if chance.random() < END_FIRST:
                lines.append(end)
            else:
                heappush(ends, (ended_ms, made, end))
        yield from [*lines, start]
    while ends:
        yield heappop(ends)[2]


def evened_out(moment_ms: float) -> float:
    """Move a moment so that moments that swing by SWING around their mean come to be spread evenly."""
    return moment_ms + SWING / TURNS * math.sin(TURNS * moment_ms - math.pi * BUSIEST_HOUR / 12)


def towards_the_evening(even_ms: float) -> int:
    """Return the inverse of ``evened_out``, to within minutes."""
    moment_ms = even_ms
    # The equation of Kepler: each step halves what it is wrong by.
    for _ in range(5):
        moment_ms = even_ms - (evened_out(moment_ms) - moment_ms)
    return int(moment_ms)


def country_weights() -> list[float]:
    """Return the shares of COUNTRIES; they add up to 1."""
    falling = [FALL**rank for rank in range(len(COUNTRIES) - 1)]
    remainder = (1 - LARGEST_SHARE) / sum(falling)
    return [LARGEST_SHARE, *(share * remainder for share in falling)]


def _player(seed: int, number: int) -> str:
    """Return the id of a player, without a list of all players."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}:{number}").hex


def _random_uuid(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)


def _line(event: str, player: str, session: str, ts_ms: int, country: str | None) -> str:
    where = {"country": country} if country else {}
    ts = domain.format_timestamp(ts_ms).removesuffix("Z")
    return json.dumps({"event": event, **where, "player_id": player, "session_id": session, "ts": ts})
