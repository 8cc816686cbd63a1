"""Python runs this at its start when the folder is on PYTHONPATH: the clock is then CLOCK_SKEW_SECONDS wrong.

For tests only. The service and its driver take the time from these two functions; Cassandra's clock is the real one.
"""

import os
import time

_SKEW_SECONDS = float(os.environ["CLOCK_SKEW_SECONDS"])
_true_time, _true_time_ns = time.time, time.time_ns

time.time = lambda: _true_time() + _SKEW_SECONDS
time.time_ns = lambda: _true_time_ns() + int(_SKEW_SECONDS * 1_000_000_000)
