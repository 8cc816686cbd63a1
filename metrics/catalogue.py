"""Every metric of the service. A room that has something to count imports it from here.

Names and units are those of Prometheus' conventions. Labels have few values, all of them known beforehand: never an id,
a country or a path that a client chooses.
"""

from metrics.kinds import Counter, Gauge, Histogram, Metric

_HOUR = 3_600

REQUEST_DURATION = Histogram(
    "player_sessions_http_request_duration_seconds",
    "From the head of a request to that of its reply. What memory answered counts as no time: it takes microseconds.",
    # 0.5 is what 9 of 10 may take.
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ("route", "method", "status", "answered_by"),
)
PROBLEMS = Counter(
    "player_sessions_http_problems_total",
    "Error replies by the code of their problem.",
    ("code",),
)
WORKER_SLOTS_USED = Gauge(
    "player_sessions_worker_slots_used", "Requests that are worked on. Of kind reader, those beside batches.", ("kind",)
)
REQUESTS_WAITING = Gauge("player_sessions_requests_waiting", "Requests that wait for a worker slot.", ("kind",))

EVENTS = Counter(
    "player_sessions_events_total",
    "Events by entry point (api, legacy, import) and outcome (stored, discarded, invalid).",
    ("entry_point", "outcome"),
)
EVENT_AGE = Histogram(
    "player_sessions_event_age_seconds",
    "How long before it came an event had happened, of those that are stored.",
    (1, 10, 60, 600, _HOUR, 6 * _HOUR, 24 * _HOUR, 7 * 24 * _HOUR, 31 * 24 * _HOUR),
)

REDIS_RESULTS = Counter(
    "player_sessions_redis_results_total",
    "What Redis said to a question that was not in memory: hit, miss, or unavailable.",
    ("result",),
)

STATEMENTS = Counter(
    "player_sessions_store_statements_total",
    "Statements to Cassandra by kind (read, count, batch, unlogged_batch) and outcome (answered, timeout, failed).",
    ("kind", "outcome"),
)
SECOND_TRIES = Counter(
    "player_sessions_store_second_tries_total",
    "Statements that were sent to another node as well, because the first had not answered or had failed.",
    ("kind",),
)
WRITE_DURATION = Histogram(
    "player_sessions_store_write_duration_seconds",
    "How long a write took until it was durable: of events and markers of late starts, of one request or several.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
WRITE_STATEMENTS = Histogram(
    "player_sessions_store_write_statements",
    "How many statements went into such a write: group commit makes it larger when the store is busy.",
    (1, 2, 5, 10, 20, 40, 60, 80, 100),
)
BREAKERS_OPEN = Gauge(
    "player_sessions_breakers_open",
    "Workers that leave a server alone because it did not answer (reads, writes, batch_log, redis).",
    ("breaker",),
)

KEY_SET_AGE = Gauge(
    "player_sessions_key_set_age_seconds",
    "Since a worker has read the keys, of the one where it is longest; 0 with AUTH=none. From 900 on nobody is let in.",
    largest=True,
)

COUNTING_ROUNDS = Counter(
    "player_sessions_counting_rounds_total",
    "Rounds of the background that counts late starts, by outcome (done, failed); one worker at a time does them.",
    ("outcome",),
)
DAYS_COUNTED = Counter("player_sessions_counting_done_total", "Days that the background has brought up to date.")
DAYS_WAITING = Gauge(
    "player_sessions_counting_waiting",
    "Days that the background has to look at: late (late starts came), unread (not looked at yet), failed.",
    ("reason",),
)

WORKER_CPU = Counter("player_sessions_worker_cpu_seconds_total", "CPU time of all workers, those that ended, too.")
WORKER_MEMORY = Gauge("player_sessions_worker_memory_bytes", "Resident memory of all workers at its highest.")
# These three are the exporter's own.
WORKERS = Gauge("player_sessions_workers", "Workers that tell what they count.")
WORKERS_ENDED = Counter("player_sessions_workers_ended_total", "Workers that ended, for whatever reason.")
SNAPSHOT_AGE = Gauge(
    "player_sessions_worker_snapshot_age_seconds",
    "Age of the oldest snapshot of a worker; more than a few seconds mean that the worker hangs.",
)
BUILD_INFO = Gauge("player_sessions_build_info", "1, with the versions of service and Python.", ("version", "python"))

# Of an import, in the file of its option --metrics, with EVENTS of the entry point "import".
IMPORT_POSITION = Gauge("player_sessions_import_position_bytes", "Up to where the dumps are durable.")
IMPORT_SIZE = Gauge("player_sessions_import_size_bytes", "Of all dumps as they lie on disk; 0 when unknown.")
IMPORT_WAITING = Gauge("player_sessions_import_waiting", "1 while the import waits for Cassandra.")
IMPORT_UPDATED = Gauge("player_sessions_import_updated_timestamp_seconds", "When the file was written.")
IMPORT_ENDED = Gauge("player_sessions_import_ended", "1 once the import has ended well.")
OF_IMPORTS = (IMPORT_POSITION, IMPORT_SIZE, IMPORT_WAITING, IMPORT_UPDATED, IMPORT_ENDED)

# Of an audit that has reached its end, in the file of its option --metrics.
AUDIT_ROWS = Gauge("player_sessions_audit_rows", "Rows that the last audit has read.", ("table",))
AUDIT_FOUND = Gauge("player_sessions_audit_found", "What the last audit has found wrong.", ("table", "kind"))
AUDIT_LEFT = Gauge("player_sessions_audit_left", "What of it is not fixed.", ("table", "kind"))
AUDIT_QUALITY = Gauge("player_sessions_audit_quality", "What the last audit says of the data's quality.", ("what",))
AUDIT_ENDED = Gauge("player_sessions_audit_ended_timestamp_seconds", "When the last audit reached its end.")
ERASURES_PENDING = Gauge("player_sessions_erasures_pending", "Players whose erasure was not done then.")
ERASURES_SINCE = Gauge(
    "player_sessions_erasures_pending_since_timestamp_seconds",
    "When the oldest of them was requested; 0 when none is pending.",
)
OF_AUDITS = (
    AUDIT_ROWS,
    AUDIT_FOUND,
    AUDIT_LEFT,
    AUDIT_QUALITY,
    AUDIT_ENDED,
    ERASURES_PENDING,
    ERASURES_SINCE,
)
OF_COMMANDS = (*OF_IMPORTS, *OF_AUDITS)

# What a worker or the exporter tells.
METRICS: dict[str, Metric] = {
    one.name: one
    for one in [*globals().values()]
    if isinstance(one, Counter | Histogram | Gauge) and one not in OF_COMMANDS
}
