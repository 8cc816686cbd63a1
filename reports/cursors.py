"""The opaque position in a list that ``next`` carries: signed, so that a forged one is recognized."""

import uuid

from django.core import signing
from rest_framework.exceptions import ValidationError

from events import domain
from reports.positions import Position


def encode_cursor(position: Position, *, report: str) -> str:
    """Return the cursor of ``position`` in one kind of report.

    >>> position = Position(1_480_682_885_520, uuid.UUID(int=7))
    >>> decode_cursor(encode_cursor(position, report="starts"), report="starts") == position
    True
    """
    return signing.dumps([position.ts_ms, position.session_id.hex], salt=report)


def decode_cursor(cursor: str, *, report: str) -> Position:
    """Return the position; ValidationError for anything that encode_cursor did not make for this kind of report."""
    try:
        match signing.loads(cursor, salt=report):
            case [int(ts_ms), str(session_id)] if domain.EARLIEST_MS <= ts_ms <= domain.LATEST_MS:
                return Position(ts_ms, uuid.UUID(session_id))
        raise ValueError("another shape")
    except (signing.BadSignature, ValueError):
        raise ValidationError(
            {"cursor": ["This cursor was not made here. Take it from 'next' as it is."]}, code="invalid_cursor"
        ) from None
