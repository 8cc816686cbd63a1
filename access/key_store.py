"""Keys in Cassandra: read all, add one, and say from when on one is refused.

Nothing here takes back a revocation: ``revoked_at`` is written by ``revoke`` alone, with a moment that has come, and
rows are never deleted. So no clock that is behind, and no other command at the same moment, lets a revoked key in.
"""

import time
from collections.abc import Iterable

from django.conf import settings

from access.keys import NEVER, Key
from store import cassandra
from store.cassandra import Row, Statement

SELECT_KEYS = (
    "SELECT key_id, digest, scopes, name, toUnixTimestamp(created_at), toUnixTimestamp(expires_at), "
    "toUnixTimestamp(revoked_at), events_per_second FROM {keyspace}.api_key WHERE bucket = 0"
)
INSERT = (
    "INSERT INTO {keyspace}.api_key (bucket, key_id, digest, scopes, name, created_at) VALUES (0, ?, ?, ?, ?, ?) "
    "USING TIMESTAMP ?"
)
LIMIT = "UPDATE {keyspace}.api_key USING TIMESTAMP ? SET events_per_second = ? WHERE bucket = 0 AND key_id = ?"
EXPIRE = "UPDATE {keyspace}.api_key USING TIMESTAMP ? SET expires_at = ? WHERE bucket = 0 AND key_id = ?"
EXPIRES_WRITTEN = "SELECT WRITETIME(expires_at) FROM {keyspace}.api_key WHERE bucket = 0 AND key_id = ?"
REVOKE = "UPDATE {keyspace}.api_key USING TIMESTAMP ? SET revoked_at = ? WHERE bucket = 0 AND key_id = ?"


def stored_keys() -> list[Key]:
    """Read all keys, those that are over as well. Raises StoreError."""
    return [_key(row) for row in cassandra.execute(SELECT_KEYS, ())]


def add(key: Key) -> None:
    """Store a new key. Raises StoreError."""
    at = _now_us()
    statements: list[Statement] = [(INSERT, (key.key_id, key.digest, key.scopes, key.name, int(key.created_ms), at))]
    if key.expires_ms != NEVER:
        statements.append((EXPIRE, (at, int(key.expires_ms), key.key_id)))
    if key.events_per_second is not None:
        statements.append((LIMIT, (at, key.events_per_second, key.key_id)))
    _write(statements)


def expire(key: Key, *, at_ms: int) -> None:
    """Have a key expire at a moment, unless it is refused before. Raises StoreError."""
    if at_ms >= key.expires_ms:
        return
    ((written,),) = cassandra.execute(EXPIRES_WRITTEN, (key.key_id,))
    _write([(EXPIRE, (max(_now_us(), (written or 0) + 1), at_ms, key.key_id))])


def revoke(key: Key, *, now_ms: int) -> None:
    """Have a key refused from now on. Raises StoreError."""
    _write([(REVOKE, (_now_us(), now_ms, key.key_id))])


def _write(statements: Iterable[Statement]) -> None:
    cassandra.execute_batch([*statements], seconds=settings.CASSANDRA_TIMEOUT_SECONDS)


def _now_us() -> int:
    return time.time_ns() // 1_000


def _key(row: Row) -> Key:
    key_id, digest, scopes, name, created_ms, expires_ms, revoked_ms, events_per_second = row
    return Key(
        key_id=key_id,
        digest=digest or b"",
        scopes=frozenset(scopes or ()),
        name=name or "",
        created_ms=created_ms or 0,
        expires_ms=NEVER if expires_ms is None else expires_ms,
        revoked_ms=NEVER if revoked_ms is None else revoked_ms,
        events_per_second=events_per_second,
    )
