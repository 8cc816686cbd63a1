"""The size of a batch."""

from collections.abc import Sized

from rest_framework.exceptions import ValidationError

MIN_BATCH_SIZE = 1
MAX_BATCH_SIZE = 10


class BatchSizeValidator:
    """Refuses a batch that is empty or holds more than MAX_BATCH_SIZE events."""

    def __call__(self, batch: Sized) -> None:
        if len(batch) < MIN_BATCH_SIZE:
            raise ValidationError(
                f"The batch is empty. Send {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE} events.", code="batch_empty"
            )
        if len(batch) > MAX_BATCH_SIZE:
            raise ValidationError(
                f"The batch has {len(batch)} events. Send {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE} in one request.",
                code="batch_too_large",
            )
