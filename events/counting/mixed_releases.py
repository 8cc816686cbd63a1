"""While processes of release 1.0 run beside this one, their late writes are known by the maps that they leave.

They know nothing of registers and markers: in the batch of a late write they put their name and a rising version into
the map of the day (``country_hour.day_touched``), and a count is valid for them as long as the map is the same. So with
MIXED_RELEASES this release writes such maps, too, under names of its own, and what it stores is valid only while the
names of the others stand as they stood. The next release is without this module.
"""

import json
from collections.abc import Sequence
from hashlib import sha256

from django.conf import settings

from events.batched import batched
from events.counting.stored import DAYS_PER_STATEMENT, Store
from events.counting.validity import MARGIN_MS, NEVER, NOT_ASKED, Position
from events.rows import OUR_NAME_IN_MAPS
from store import cassandra

SELECT_VERSION_MAPS = """
    SELECT DISTINCT toUnixTimestamp(day), toJson(day_touched) FROM {keyspace}.country_hour WHERE day IN ?"""

DIGEST_CHARACTERS = 16


def release_1_digests(days: Sequence[int], store: Store) -> dict[int, str | None]:
    """Return for each day what its counts must have seen; None while an unseen write may be in flight."""
    if not settings.MIXED_RELEASES:
        return dict.fromkeys(days, NOT_ASKED)
    release_1: dict[int, str | None] = dict.fromkeys(days, "")
    queries = [(SELECT_VERSION_MAPS, (some,)) for some in batched(days, DAYS_PER_STATEMENT)]
    for rows in cassandra.execute_many(queries, deadline=store.deadline):
        for day, text in rows:
            release_1[day] = _digest(json.loads(text or "null") or {}, now_ms=store.now_ms)
    return release_1


def agrees(position: Position, release_1: str | None) -> bool:
    """Return whether a count at this position has seen what it must have seen."""
    return release_1 == NOT_ASKED or position.release_1 == release_1


def _digest(versions: dict[str, int], *, now_ms: int) -> str | None:
    theirs = sorted((name, version) for name, version in versions.items() if name != OUR_NAME_IN_MAPS)
    newest = max((version for _, version in theirs), default=NEVER)
    if theirs and now_ms <= newest + MARGIN_MS:
        return None
    return sha256(json.dumps(theirs).encode()).hexdigest()[:DIGEST_CHARACTERS] if theirs else ""
