"""The keys that this process knows: all of them, read again every two seconds.

While Cassandra does not answer, those that were read last hold for a while. Then, and before the first reading, nobody
is let in: a key that was revoked meanwhile would be.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from access.keys import ID, LENGTH, NEVER, Key
from access.repeating import repeat
from metrics.catalogue import KEY_SET_AGE
from store.errors import StatementRejected, StoreError

log = logging.getLogger(__name__)

# Revoked, a key is refused everywhere within three seconds; a reading of a thousand keys takes some milliseconds.
SECONDS_BETWEEN_READINGS = 2.0
# What was found valid is not looked at again until the next reading, or for so long should that be late: the digest
# takes longer than all else that a request meets here.
MOST_SECONDS_UNCHECKED = 2 * SECONDS_BETWEEN_READINGS
# A restart of the whole cluster takes less. Longer, and whoever stops the store could go on with a key that is lost.
MOST_AGE_SECONDS = 900


class KeySet:
    """The keys by their ids. Safe between threads: a reading replaces them all at once."""

    def __init__(self, read: Callable[[], Iterable[Key]]) -> None:
        self._read = read
        self._keys: Mapping[str, Key] = {}
        self._began_at = time.monotonic()
        self._read_at = -NEVER
        self._valid: dict[str, Key] = {}  # those that were sent and found valid since the last attempt to read
        self._valid_until = -NEVER
        self._complained = False

    def refresh(self) -> None:
        """Read all keys; when that fails, keep those that are there, and log it once."""
        began = time.monotonic()
        try:
            self._keys = {key.key_id: key for key in self._read()}
        except StoreError as error:
            self._complain(error)
        else:
            self._read_at, self._complained = began, False
        self._valid, self._valid_until = {}, began + MOST_SECONDS_UNCHECKED

    def valid(self, text: str) -> Key | None:
        """Return the key that was given out as ``text``; None: there is none, or it is over, or nobody can say."""
        valid = self._valid  # a reading meanwhile begins another one, in which this key may not be any more
        if time.monotonic() < self._valid_until and (known := valid.get(text)):
            return known
        key = self.find(text)
        if key is None or self.is_too_old or key.is_over(time.time() * 1000):
            return None
        valid[text] = key
        return key

    def find(self, text: str) -> Key | None:
        """Return the key that was given out as ``text``, be it over or not; None: there is none."""
        key = self._keys.get(text[ID]) if len(text) == LENGTH else None
        return key if key is not None and key.is_of(text) else None

    @property
    def is_too_old(self) -> bool:
        """Whether the keys were read too long ago to let anybody in, or never."""
        return time.monotonic() > self._read_at + MOST_AGE_SECONDS

    @property
    def age_seconds(self) -> float:
        """How long ago the keys were read; if never, how long ago the process began to try."""
        return time.monotonic() - max(self._read_at, self._began_at)

    def _complain(self, error: StoreError) -> None:
        if self._complained:
            return
        self._complained = True
        if isinstance(error, StatementRejected):
            log.error("The keys cannot be read (%s). Run 'manage.py sync_cassandra'.", error)
        else:
            log.warning("The keys cannot be read: %s. Those read last hold for %d s.", error, MOST_AGE_SECONDS)


def keep_current(keys: KeySet) -> None:
    """Read the keys now, and again and again in a thread of this process."""
    KEY_SET_AGE.is_read_by(lambda: keys.age_seconds)
    keys.refresh()
    repeat(keys.refresh, every_seconds=SECONDS_BETWEEN_READINGS, name="keys")
