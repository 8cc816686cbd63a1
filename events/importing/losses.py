"""Warnings about files most of whose lines are not stored, and when to stop because of rejects."""

import math
from collections.abc import Sequence

from events.importing.checkpoint import Totals
from events.importing.files import ImportFailed
from events.importing.forms import text_form
from events.importing.lines import Reject

# A file whose first lines are all rejected has another format: the rest of its rejects would fill the disk.
LINES_THAT_TELL = 1_000
# Enough lines to recognize the format of a file.
FIRST_REJECTS = 5


class TooManyRejects(ImportFailed):
    """The import stopped at a limit; the message says at which, what the lines look like, and how to go on."""


def limit_passed(totals: Totals, of_file: Totals, *, most_rejects: float | None) -> str | None:
    """Return why to stop, as the beginning of a sentence; None to go on.

    ``most_rejects`` is the number that the whole import may have, infinite for any. None means: stop when nothing else
    has come of the first LINES_THAT_TELL lines of a file.
    """
    if most_rejects is None:
        if of_file.read >= LINES_THAT_TELL and of_file.rejected == of_file.read:
            return f"each of the first {of_file.read:,} lines is rejected"
        return None
    if totals.rejected > most_rejects:
        return f"{totals.rejected:,} lines are rejected, and --max-rejects allows {most_rejects:,.0f}"
    return None


def refusal(name: str, why: str, rejects: Sequence[Reject], *, most_rejects: float | None) -> TooManyRejects:
    """Return the error for a file that is not read further."""
    go_on = "all" if most_rejects is None or math.isinf(most_rejects) else "N or all"
    return TooManyRejects(f"{name}: {why}. {_likely(rejects)} To read on all the same: --max-rejects {go_on}.")


def loss_warning(name: str, of_file: Totals, rejects: Sequence[Reject], *, shift_ms: int) -> str | None:
    """Return what to say at the end of a file; None when at least half of its lines are stored."""
    lost = of_file.discarded + of_file.rejected
    if lost * 2 <= of_file.read:
        return None
    summary = (
        f"{lost:,} of the {of_file.read:,} lines of {name} are not stored: "
        f"{of_file.discarded:,} are too old or erased, {of_file.rejected:,} are rejected."
    )
    if of_file.discarded < of_file.rejected:
        return f"{summary} {_likely(rejects)}"
    if shift_ms:
        how = "They happened more than a year before the newest event: give each year a file, and rebase each."
        return f"{summary} {how}"
    return f"{summary} With --rebase the newest event is moved to now, and all others by as much."


def _likely(rejects: Sequence[Reject]) -> str:
    """Return the form that the lines seem to have, or the reason of the first one."""
    if not rejects:
        return "Their file says why."
    if form := text_form([reject.input for reject in rejects]):
        return f"It looks like {form.name}. {form.remedy.rstrip('.')}."
    return f"The first is line {rejects[0].line}: {rejects[0].reason.rstrip('.')}."
