"""The service's settings for tests: a keyspace of their own, so that no test can write to a live one.

Each process of pytest-xdist has one, and so have the services that it starts.
"""

import os

os.environ["CASSANDRA_KEYSPACE"] = f"player_sessions_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_test"
# Tests ask the same question twice and want both answers; tests/test_report_cache.py runs with the real time.
os.environ.setdefault("REPORT_CACHE_SECONDS", "0")

from sessions_project.settings import *  # noqa: F403

# Of the tests' own statements, on a machine that may stall; services that they start have the real one.
CASSANDRA_TIMEOUT_SECONDS = 10.0
REPORT_SECONDS = 2 * CASSANDRA_TIMEOUT_SECONDS
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
