"""How far an import has come, in a file that node_exporter reads."""

import time
from pathlib import Path

from events.importing.coordinator import Progress
from metrics import textfile
from metrics.catalogue import EVENTS, IMPORT_ENDED, IMPORT_POSITION, IMPORT_SIZE, IMPORT_UPDATED, IMPORT_WAITING

SECONDS_BETWEEN_WRITES = 1.0
ENTRY_POINT = "import"


class Textfile:
    """The file of one import; ``size`` is in bytes of all dumps, 0 when unknown."""

    def __init__(self, path: Path, *, size: int) -> None:
        self._path, self._size = path, size
        self._written_at = 0.0

    def show(self, progress: Progress) -> None:
        """Write, once a second at most."""
        if time.monotonic() >= self._written_at + SECONDS_BETWEEN_WRITES:
            self.write(progress, ended=False)

    def write(self, progress: Progress, *, ended: bool) -> None:
        """Write now. Raises OSError."""
        self._written_at = time.monotonic()
        totals = progress.totals
        numbers = {"stored": totals.stored, "discarded": totals.discarded, "invalid": totals.rejected}
        textfile.write(
            self._path,
            {
                EVENTS: {(ENTRY_POINT, name): number for name, number in numbers.items()},
                IMPORT_POSITION: {(): progress.position},
                IMPORT_SIZE: {(): self._size},
                IMPORT_WAITING: {(): int(progress.waiting_for is not None)},
                IMPORT_UPDATED: {(): int(time.time())},
                IMPORT_ENDED: {(): int(ended)},
            },
        )
