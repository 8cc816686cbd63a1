"""What an audit has found, as metrics."""

from collections import Counter
from collections.abc import Mapping, Sequence

from events.domain import SECOND_MS
from events.upkeep.audit import Report
from events.upkeep.erasing import Erasure
from events.upkeep.quality import UNASSIGNED
from metrics.catalogue import (
    AUDIT_ENDED,
    AUDIT_FOUND,
    AUDIT_LEFT,
    AUDIT_QUALITY,
    AUDIT_ROWS,
    ERASURES_PENDING,
    ERASURES_SINCE,
)
from metrics.textfile import Numbers

# The report has a line for each such country. A label has few values, all known beforehand.
ANY_UNASSIGNED = UNASSIGNED.format("a country")


def numbers(report: Report, pending: Sequence[Erasure], *, now_seconds: float) -> Numbers:
    """Return the numbers of an audit that has reached its end, and of the erasures that are not done."""
    left = {key: found - report.fixed[key] for key, found in report.found.items()}
    return {
        AUDIT_ROWS: {(table,): rows for table, rows in report.rows.items()},
        AUDIT_FOUND: _by_table_and_kind(report.found),
        AUDIT_LEFT: _by_table_and_kind(left),
        AUDIT_QUALITY: _quality(report.quality),
        AUDIT_ENDED: {(): int(now_seconds)},
        ERASURES_PENDING: {(): len(pending)},
        ERASURES_SINCE: {(): min((one.requested_at_ms for one in pending), default=0) / SECOND_MS},
    }


def _by_table_and_kind(found: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(table, kind): number for key, number in found.items() for table, _, kind in [key.partition(": ")]}


def _quality(quality: "Counter[str]") -> dict[tuple[str, ...], float]:
    numbers: Counter[tuple[str, ...]] = Counter()
    before, after = UNASSIGNED.split("{}")
    for name, number in quality.items():
        is_unassigned = name.startswith(before) and name.endswith(after)
        numbers[(ANY_UNASSIGNED if is_unassigned else name,)] += number
    return dict(numbers)
