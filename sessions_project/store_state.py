"""The state of the store, as a report would find it. It needs no views: the server prints it before it starts."""

import random
import time
from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings

from access.models import ApiKey
from events.domain import DAY_MS
from events.models import SCHEMA_VERSION, TABLES, VERSION_TABLE, schema_version_of
from store import cassandra
from store.errors import StatementRejected, StoreTimeout, StoreUnavailable

TOO_LATE = "Cassandra does not answer in time"
# It reads like a report: from a quorum, and columns of the latest version. The days are long past and have no rows;
# other ones are read each time, so that parts of the ring that cannot be read are found.
SELECT_A_DAY = "SELECT minutes, day_hours FROM {keyspace}.start_count WHERE day = ? LIMIT 1"
DAYS_LOOKED_AT, DAYS_BEFORE = 16, range(3_650)
SYNC = "run 'manage.py sync_cassandra'"
TABLES_NEEDED = [*(model.__table_name__ for model in TABLES), ApiKey.__table_name__]


class StoreState(NamedTuple):
    """``trouble`` says why reports cannot be read and what to do; ``note`` says what else there is to know.

    ``note`` is the continuation of a line.
    """

    trouble: str | None
    note: str = ""


def store_state() -> StoreState:
    """Return the state of the store, as a report would find it."""
    try:
        tables = cassandra.table_comments()
        state = _tables_state(tables)
        if not state.trouble:
            _read_as_a_report()
    except StatementRejected as error:
        reason = str(error).rstrip(".")
        return StoreState(f"the tables cannot be read as this version does ({reason}); {SYNC}")
    except StoreTimeout:
        return StoreState(TOO_LATE)
    except StoreUnavailable:
        return StoreState("Cassandra does not answer")
    return state


def _tables_state(comments: Mapping[str, str]) -> StoreState:
    """Return the state that follows from the names of the tables and their comments."""
    if missing := [name for name in TABLES_NEEDED if name not in comments]:
        return StoreState(f"missing tables: {', '.join(missing)}; {SYNC}")
    version = schema_version_of(comments[VERSION_TABLE.__table_name__])
    if version < SCHEMA_VERSION:
        return StoreState(f"the tables have schema version {version}, and this release needs {SCHEMA_VERSION}; {SYNC}")
    if version > SCHEMA_VERSION:
        later = f"the tables are of a later release: schema version {version}, and this one knows {SCHEMA_VERSION}"
        return StoreState(None, f"; {later}")
    return StoreState(None)


def _read_as_a_report() -> None:
    days = random.sample(DAYS_BEFORE, DAYS_LOOKED_AT)
    deadline = time.monotonic() + settings.CASSANDRA_TIMEOUT_SECONDS
    cassandra.execute_many([(SELECT_A_DAY, (day * DAY_MS,)) for day in days], deadline=deadline)
