"""How many threads the server needs. Without the framework: it is asked before the server starts."""

# What one process of two on two cores gets done in half of the time that a request waits at most
# (web/load_shedding.py): whoever comes later would wait in vain. So many of all, and so many readers who wait to be
# among these.
MOST_WAITING = 16
# Threads that neither work nor wait: two refuse, so that nothing piles up in the server's queue, also while two others
# send files (reports/spreadsheets.py) to clients that take their time.
REFUSING = 4


def server_threads(*, working: int) -> int:
    """Return how many threads a server needs that has no other queue than these two."""
    return working + 2 * MOST_WAITING + REFUSING
