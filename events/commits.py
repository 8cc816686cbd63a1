"""The writes that requests wait for: rows of events, with markers of late starts among those of other requests."""

import time
from collections.abc import Sequence

from metrics.catalogue import WRITE_DURATION, WRITE_STATEMENTS
from store import cassandra
from store.cassandra import Statement
from store.group_commit import GroupCommit

# While so many writes are in flight, requests that come are gathered into the next one. With 3 a slow store is never
# idle while requests wait; with 1 or 2 a fast one is no faster.
WRITES_AT_A_TIME = 3
# Five full requests: 20 KiB, which leave room below Cassandra's limit of 50 KiB (batch_size_fail_threshold).
STATEMENTS_PER_WRITE = 100


def _write(statements: Sequence[Statement], *, seconds: float) -> None:
    WRITE_STATEMENTS.observe(len(statements))
    began = time.monotonic()
    cassandra.execute_batch(statements, seconds=seconds)
    WRITE_DURATION.observe(time.monotonic() - began)


commits = GroupCommit[Statement](_write, at_a_time=WRITES_AT_A_TIME, most_statements=STATEMENTS_PER_WRITE)
