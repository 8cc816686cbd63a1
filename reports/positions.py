"""Where a page of a list begins."""

import uuid
from typing import NamedTuple

# The smallest UUID in Cassandra's order.
NO_SESSION = uuid.UUID(int=0)


class Position(NamedTuple):
    """A position in a list that runs from new to old: everything behind it is older."""

    ts_ms: int
    session_id: uuid.UUID

    def order(self) -> tuple[int, int, int, int]:
        """Return a key that sorts as Cassandra does.

        It compares UUIDs by version, time-based ones by their time, then by their bytes.
        """
        session = self.session_id
        version = (session.int >> 76) & 0xF
        return self.ts_ms, version, session.time if version == 1 else 0, session.int
