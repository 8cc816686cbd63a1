"""Something that a process does again and again, beside its requests."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


def repeat(action: Callable[[], None], *, every_seconds: float, name: str) -> None:
    """Begin, in a thread of this name, after the first pause. An error is logged and ends nothing."""
    threading.Thread(target=_for_ever, args=(action, every_seconds, name), name=name, daemon=True).start()


def _for_ever(action: Callable[[], None], every_seconds: float, name: str) -> None:
    while True:
        time.sleep(every_seconds)
        try:
            action()
        except Exception:
            log.exception("The thread %s failed, and tries again", name)
