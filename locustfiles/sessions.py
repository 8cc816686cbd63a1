"""What a game server sends: sessions that start and end, some starts late, some batches again, some ends alone."""

import random
import uuid
from datetime import datetime, timedelta

COUNTRIES = ["US", "DE", "GB", "FI", "FR", "SE", "BR", "JP", "IN", "CA"]
PLAYERS = [f"load_{number}" for number in range(2_000)]

BATCH = 10
# Shares of what collectors of games see: starts from queues of players who were offline, batches whose reply was lost,
# ends of sessions whose start never comes.
LATE_STARTS, REPEATED_BATCHES, LONELY_ENDS = 0.1, 0.03, 0.03
LEAST_LATE, MOST_LATE = timedelta(minutes=2), timedelta(days=1)
# So many sessions are open before one ends.
OPEN_SESSIONS = 20

Event = dict[str, str]
Batch = list[Event]


class GameSessions:
    """The sessions of one game server, as batches."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._open: list[Event] = []
        self._last: Batch = []

    def next_batch(self, now: datetime) -> tuple[Batch, bool]:
        """BATCH events; True: it is the last batch again."""
        if self._last and self._chance.random() < REPEATED_BATCHES:
            return self._last, True
        self._last = [self._next_event(now) for _ in range(BATCH)]
        return self._last, False

    def _next_event(self, now: datetime) -> Event:
        if len(self._open) < OPEN_SESSIONS or self._chance.random() < 0.5:
            session = self._new_session()
            self._open.append(session)
            country, ts = self._chance.choice(COUNTRIES), now - self._late_by()
            return {"event": "start", "country": country, "ts": ts.isoformat(), **session}
        ended = self._open.pop(self._chance.randrange(len(self._open)))
        if self._chance.random() < LONELY_ENDS:
            ended = self._new_session()
        return {"event": "end", "ts": now.isoformat(), **ended}

    def _new_session(self) -> Event:
        session = uuid.UUID(int=self._chance.getrandbits(128), version=4)
        return {"player_id": self._chance.choice(PLAYERS), "session_id": str(session)}

    def _late_by(self) -> timedelta:
        """Nothing, or minutes to a day: each length of time as likely as its double."""
        if self._chance.random() >= LATE_STARTS:
            return timedelta()
        return LEAST_LATE * (MOST_LATE / LEAST_LATE) ** self._chance.random()
