"""Counts what is durable, in the order of the lines, whichever worker finished first."""

from collections.abc import Sequence

from events.importing.checkpoint import Checkpoint, Totals
from events.importing.dump import Dump
from events.importing.lines import Reject
from events.importing.losses import FIRST_REJECTS, TooManyRejects, limit_passed, loss_warning, refusal
from events.importing.messages import Done
from events.importing.rejects import RejectsFile


class Accounts:
    """Adds finished jobs to the checkpoint and to the file of rejects, in order and without a gap.

    ``most_rejects`` is as in losses.py. ``position`` is in bytes of all files; ``warnings`` are about files most of
    whose lines are not stored; ``refused`` says why to read no further.
    """

    def __init__(
        self, dumps: Sequence[Dump], checkpoint: Checkpoint, rejects: RejectsFile, *, most_rejects: float | None
    ) -> None:
        self.position = 0
        self.warnings: list[str] = []
        self.refused: TooManyRejects | None = None
        self._dumps = dumps
        self._checkpoint = checkpoint
        self._rejects = rejects
        self._most_rejects = most_rejects
        self._early: dict[int, Done] = {}  # jobs that are done before one of a smaller number
        self._next_number = 0
        self._first_rejects: list[Reject] = []  # of the file that is being read

    def add(self, jobs: Sequence[Done]) -> list[Done]:
        """Count these jobs, and later ones that were waiting for them; return what was counted, in order."""
        self._early.update((done.number, done) for done in jobs)
        counted = []
        while (done := self._early.pop(self._next_number, None)) is not None:
            self._count(done)
            counted.append(done)
            self._next_number += 1
        return counted

    def close_file(self) -> None:
        """Warn if most lines of the file that was read last are not stored."""
        shift_ms = self._checkpoint.shift_ms
        warning = loss_warning(self._file_name, self._checkpoint.of_file, self._first_rejects, shift_ms=shift_ms)
        if warning:
            self.warnings.append(warning)

    @property
    def _file_name(self) -> str:
        return self._dumps[self._checkpoint.file].name

    def _count(self, done: Done) -> None:
        if done.end.file != self._checkpoint.file:
            self.close_file()
            self._checkpoint.of_file, self._first_rejects = Totals(), []
        for totals in (self._checkpoint.totals, self._checkpoint.of_file):
            totals.add(read=done.read, stored=done.stored, discarded=done.discarded, rejected=len(done.rejects))
        self._checkpoint.file, self._checkpoint.line = done.end.file, done.end.line
        self.position = done.end.position
        dump = self._file_name if len(self._dumps) > 1 else None
        for reject in done.rejects:
            self._rejects.write(reject, dump=dump)
        self._first_rejects += done.rejects[: FIRST_REJECTS - len(self._first_rejects)]
        self.refused = self.refused or self._refusal()

    def _refusal(self) -> TooManyRejects | None:
        of_file = self._checkpoint.of_file
        why = limit_passed(self._checkpoint.totals, of_file, most_rejects=self._most_rejects)
        if not why:
            return None
        return refusal(self._file_name, why, self._first_rejects, most_rejects=self._most_rejects)
