"""How many threads the server needs. It imports no framework, because it is used before the server starts."""

# What one of two processes on two cores can finish in half of the longest wait (web/load_shedding.py): more requests
# would wait in vain. This many of all requests wait, and this many readers wait to be among them.
MOST_WAITING = 16
# Threads that neither work nor wait: two refuse requests, so that none pile up in the server's queue, even while two
# others send files (reports/spreadsheets.py) to slow clients.
REFUSING = 4


def server_threads(*, working: int) -> int:
    """Return how many threads a server needs when requests wait in these two queues only."""
    return working + 2 * MOST_WAITING + REFUSING
