"""How far an import has come, in a file that node_exporter reads (its textfile collector): a command has no port.

The file is written whole and then renamed, so nobody reads half of one.
"""

import time
from pathlib import Path

from events.importing.coordinator import Progress
from metrics.catalogue import EVENTS, IMPORT_ENDED, IMPORT_POSITION, IMPORT_SIZE, IMPORT_UPDATED, IMPORT_WAITING
from metrics.kinds import Metric

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
        lines = [
            *_lines(EVENTS, {f'{{entry_point="{ENTRY_POINT}",outcome="{name}"}}': n for name, n in numbers.items()}),
            *_lines(IMPORT_POSITION, {"": progress.position}),
            *_lines(IMPORT_SIZE, {"": self._size}),
            *_lines(IMPORT_WAITING, {"": int(progress.waiting_for is not None)}),
            *_lines(IMPORT_UPDATED, {"": int(time.time())}),
            *_lines(IMPORT_ENDED, {"": int(ended)}),
        ]
        unfinished = self._path.with_name(f"{self._path.name}.new")
        unfinished.write_text("".join(f"{line}\n" for line in lines))
        unfinished.replace(self._path)


def _lines(metric: Metric, values: dict[str, float]) -> list[str]:
    head = [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.type}"]
    return [*head, *(f"{metric.name}{labels} {value}" for labels, value in values.items())]
