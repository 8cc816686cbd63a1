"""The client: all statements go through it to the driver. Driver exceptions end here, as StoreError.

Statements are written with ``{keyspace}`` before each table and ``?`` for values, prepared once per process, and
marked idempotent, which all of this service's are: each names its own write timestamp.
"""

import logging
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from cassandra import (
    ConsistencyLevel,
    DriverException,
    OperationTimedOut,
    RequestExecutionException,
    RequestValidationException,
    Timeout,
)
from cassandra.cluster import NoHostAvailable, ResponseFuture, ResultSet, Session
from cassandra.connection import ConnectionException
from cassandra.cqlengine import connection as cqlengine
from cassandra.protocol import ErrorMessage, SyntaxException
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement
from django.conf import settings

from metrics.catalogue import BREAKERS_OPEN, SECOND_TRIES, STATEMENTS
from store.circuit_breaker import Breaker
from store.errors import StatementRejected, StoreError, StoreTimeout, StoreUnavailable
from store.load_balancing import note_answer
from store.row_packing import PackedRowsHandler, RowPacker, Rows

log = logging.getLogger(__name__)

ALIAS = "cassandra"
# Enough to keep every core of a small cluster busy, and few enough that one report does not crowd out writes.
READS_IN_FLIGHT = 16
# After a failed attempt to connect, requests fail at once for this long instead of waiting for the next attempt.
CONNECT_PAUSE_SECONDS = 1.0
CONNECT_WAIT_SECONDS = 2.0
# A node that pauses while a worker prepares its statements; the next node is asked then.
PREPARE_SECONDS = 0.5
# The least time for a batch when preparing has taken all of its time: enough for a healthy store.
LEAST_SECONDS = 0.1
# Before its rows, a logged batch goes to the log of two other nodes. In a ring of three those are the only two, and
# until the ring has noticed that one is lost, 10 to 20 s, no logged batch comes through. A busy node answers sooner.
LOG_SECONDS = 0.4
# While the log is known to stall: enough for the batch to reach the log of the nodes that are up.
STALLED_LOG_SECONDS = 0.05

Row = tuple[Any, ...]
# CQL and its values.
Statement = tuple[str, Sequence[Any]]


class _Prepared(NamedTuple):
    """A statement that Cassandra knows, and how its values are packed."""

    statement: PreparedStatement
    packer: RowPacker


# If every thread waited for a paused store, requests would queue for one timeout after another. Reads and writes have a
# breaker each: reads of many rows can be too slow while writes are not.
_reads = Breaker(pause_seconds=1.0)
_writes = Breaker(pause_seconds=1.0)
# Open while batches succeed only without the log; one a second waits for the log, to see whether it is back.
_batch_log = Breaker(pause_seconds=1.0)
BREAKERS_OPEN.is_read_by(lambda: _reads.is_open, "reads")
BREAKERS_OPEN.is_read_by(lambda: _writes.is_open, "writes")
BREAKERS_OPEN.is_read_by(lambda: _batch_log.is_open, "batch_log")

_connecting = threading.Lock()
_preparing = threading.Lock()
_session: Session | None = None
_statements: dict[str, _Prepared] = {}
_no_attempt_before = 0.0

# The error of a node that cannot read permissions: it is temporary.
AUTHORIZATION_UNAVAILABLE = "Unable to perform authorization"
_DRIVER_ERRORS = (
    DriverException,
    RequestExecutionException,
    ConnectionException,
    NoHostAvailable,
    ErrorMessage,
    OSError,
)


def connect() -> None:
    """Connect this process; called once per worker before it serves. Raises StoreError."""
    _connected()


def execute(cql: str, values: Sequence[Any]) -> list[Row]:
    """Return the rows of one statement. Raises StoreError after CASSANDRA_TIMEOUT_SECONDS."""
    return execute_many([(cql, values)], deadline=deadline_from_now())[0]


def deadline_from_now() -> float:
    """Return the moment of ``time.monotonic()`` until which a report that begins now may read."""
    return time.monotonic() + settings.REPORT_SECONDS


def execute_many(
    statements: Iterable[Statement],
    *,
    deadline: float,
    counting: bool = False,
    for_writes: bool = False,
    at_a_time: int = READS_IN_FLIGHT,
) -> list[list[Row]]:
    """Return the rows of every statement, in order, so many ``at_a_time``, all of them before ``deadline``.

    ``counting`` ones, which may read thousands of rows, may take all of that time (a node ends one after its
    read_request_timeout). Those ``for_writes``, without which nothing can be written, use the breaker of writes. Raises
    StoreError when one fails, any other takes longer than CASSANDRA_TIMEOUT_SECONDS, or the time is over.
    """
    breaker = _writes if for_writes else _reads
    statements = list(statements)
    if not statements:
        return []  # and use none of the tries that an open breaker allows
    most_seconds = math.inf if counting else settings.CASSANDRA_TIMEOUT_SECONDS
    profile = settings.CASSANDRA_COUNTING_PROFILE if counting else settings.CASSANDRA_PROFILE
    kind = "count" if counting else "read"
    in_flight: deque[ResponseFuture] = deque()
    answers: list[list[Row]] = []
    try:
        session = _session_to_ask(breaker)
        for cql, values in statements:
            if len(in_flight) >= at_a_time:
                answers.append(_rows(in_flight.popleft(), breaker, kind=kind))
            bound = _bound(session, cql, values, until=deadline)
            left = deadline - time.monotonic()
            if left <= 0:
                raise StoreUnavailable("Reading took too long.")
            in_flight.append(session.execute_async(bound, timeout=min(left, most_seconds), execution_profile=profile))
        answers += [_rows(future, breaker, kind=kind) for future in in_flight]
    except _DRIVER_ERRORS as error:
        raise _store_error(error, breaker) from error
    return answers


class Page(NamedTuple):
    """Some rows of a statement that reads many, and where the next ones begin; None: there are no more."""

    rows: list[Row]
    next: bytes | None


def read_page(
    cql: str, values: Sequence[Any], *, rows: int, after: bytes | None = None, every_copy: bool = False
) -> Page:
    """Return about so many rows of a statement, from where an earlier page ended. Raises StoreError.

    With ``every_copy`` those, too, that a single node has, and StoreUnavailable unless all nodes answer.
    For upkeep, which reads whole tables: no request may do that.
    """
    seconds = settings.CASSANDRA_TIMEOUT_SECONDS
    try:
        session = _session_to_ask(_reads)
        bound = _bound(session, cql, values, until=time.monotonic() + seconds)
        bound.fetch_size = rows
        if every_copy:
            bound.consistency_level = ConsistencyLevel.ALL
        profile = settings.CASSANDRA_COUNTING_PROFILE
        future = session.execute_async(bound, timeout=seconds, execution_profile=profile, paging_state=after)
        result = _result(future, kind="read")
    except _DRIVER_ERRORS as error:
        raise _store_error(error, _reads) from error
    _reads.succeeded()
    return Page(result.current_rows, result.paging_state)


def read_pages(cql: str, values: Sequence[Any], *, rows: int) -> Iterator[list[Row]]:
    """Yield all rows of a statement, about so many at a time, as ``read_page`` gives them. Raises StoreError."""
    page = read_page(cql, values, rows=rows)
    yield page.rows
    while page.next is not None:
        page = read_page(cql, values, rows=rows, after=page.next)
        yield page.rows


class WriteInFlight:
    """A batch that was sent and is not known to be durable yet."""

    def __init__(self, future: ResponseFuture, *, kind: str) -> None:
        self._future, self._kind = future, kind

    def wait(self) -> None:
        """Return once it is durable at LOCAL_QUORUM. Raises StoreError: it may or may not have happened."""
        try:
            _rows(self._future, _writes, kind=self._kind)
        except _DRIVER_ERRORS as error:
            raise _store_error(error, _writes) from error


def execute_batch(statements: Sequence[Statement], *, seconds: float) -> None:
    """Write all statements in one logged batch, whole or not at all; returns once they are durable at LOCAL_QUORUM.

    When the log does not answer in time, the same rows are sent once more without it, and the first answer counts. By
    then the nodes that are up have the batch in their log, and replay it if the second attempt breaks half-way.
    Raises StoreError, after ``seconds`` at the latest, or LEAST_SECONDS later.
    """
    session = _session_to_ask(_writes)
    if len(session.cluster.metadata.all_hosts()) == 1:
        # The log of a single node is local; when it is slow, a second attempt only makes it slower.
        WriteInFlight(_sent(session, statements, logged=True, timeout=seconds), kind="batch").wait()
        return
    patience = LOG_SECONDS if _batch_log.allows() else STALLED_LOG_SECONDS
    asked_at = time.monotonic()
    answers: SimpleQueue[_Answer] = SimpleQueue()
    _send_answering(session, statements, answers, logged=True, seconds=seconds)
    try:
        answer = answers.get(timeout=patience)
    except Empty:
        _send_answering(session, statements, answers, logged=False, seconds=seconds - patience)
        answer = answers.get()
        if answer.error:
            answer = answers.get()
    if answer.error:
        raise _store_error(answer.error, _writes) from answer.error
    _writes.succeeded()
    if answer.logged:
        _batch_log.succeeded()
    else:
        _batch_log.failed(asked_at=asked_at)


class _Answer(NamedTuple):
    logged: bool
    error: BaseException | None


def _send_answering(
    session: Session, statements: Sequence[Statement], answers: SimpleQueue[_Answer], *, logged: bool, seconds: float
) -> None:
    """Send a batch whose answer comes to the queue, after ``seconds`` at the latest."""
    future = _sent(session, statements, logged=logged, timeout=seconds)

    # The future holds its callbacks; until it is answered, the driver's timer holds it.
    answering = weakref.proxy(future)

    def answered(error: BaseException | None) -> None:
        if not (logged and error):  # when the log stalls, the node that was asked is not to blame
            note_answer(answering)
        _count_statement(answering, kind="batch", error=error)
        _break_reference_cycle(answering)
        answers.put(_Answer(logged, error))

    future.add_callbacks(lambda _: answered(None), answered)


def send_batch(statements: Sequence[Statement], *, seconds: float) -> WriteInFlight:
    """Send an unlogged batch without waiting; it may happen in part and must be repeated when it fails.

    It ends after ``seconds`` at the latest. Raises StoreError when it cannot even be sent.
    """
    sent = _sent(_session_to_ask(_writes), statements, logged=False, timeout=seconds)
    return WriteInFlight(sent, kind="unlogged_batch")


def _sent(session: Session, statements: Sequence[Statement], *, logged: bool, timeout: float) -> ResponseFuture:
    try:
        until = time.monotonic() + timeout
        batch = BatchStatement(BatchType.LOGGED if logged else BatchType.UNLOGGED)
        batch.is_idempotent = True
        # The driver sees one statement, whose partition decides which node is asked; the wire gets all rows.
        first = _bound(session, *statements[0], until=until)
        batch.routing_key, batch.keyspace = first.routing_key, settings.CASSANDRA_KEYSPACE
        rows = [_prepared(session, cql, until=until).packer.row(values) for cql, values in statements]
        first.values = Rows(len(rows), b"".join(rows))
        batch.add(first)
        left = max(until - time.monotonic(), LEAST_SECONDS)
        return session.execute_async(batch, timeout=left, execution_profile=settings.CASSANDRA_PROFILE)
    except _DRIVER_ERRORS as error:
        raise _store_error(error, _writes) from error


def every_node_holds_everything() -> bool:
    """Return whether every node has every row (no more nodes than copies): then any rows can share a batch."""
    metadata = _connected().cluster.metadata
    keyspace = metadata.keyspaces.get(settings.CASSANDRA_KEYSPACE)
    copies = getattr(keyspace.replication_strategy, "dc_replication_factors", {}) if keyspace else {}
    return len(metadata.all_hosts()) <= sum(copies.values())


def replica_set(cql: str, values: Sequence[Any]) -> Hashable:
    """Return which nodes hold the partition of a statement: equal for statements that can share a batch."""
    session = _connected()
    try:
        routing_key = _bound(session, cql, values, until=time.monotonic() + CONNECT_WAIT_SECONDS).routing_key
    except _DRIVER_ERRORS as error:
        raise _store_error(error, _writes) from error
    return frozenset(session.cluster.metadata.get_replicas(settings.CASSANDRA_KEYSPACE, routing_key))


def table_comments() -> dict[str, str]:
    """Return the names of the keyspace's tables, each with its comment. Raises StoreError."""
    select = "SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = ?"
    return {name: comment or "" for name, comment in execute(select, (settings.CASSANDRA_KEYSPACE,))}


def missing_tables(expected: Iterable[str]) -> list[str]:
    """Return which of the ``expected`` tables the keyspace lacks. Raises StoreError."""
    there = table_comments()
    return [name for name in expected if name not in there]


def disconnect() -> None:
    """Close the session; the next statement connects again."""
    global _session
    with _connecting:
        _end_cluster()
        _session = None
        _statements.clear()


def _rows(future: ResponseFuture, breaker: Breaker, *, kind: str) -> list[Row]:
    rows = list(_result(future, kind=kind))
    breaker.succeeded()
    return rows


def _result(future: ResponseFuture, *, kind: str) -> ResultSet:
    """Return the answer to a statement, and note how it ended and which nodes answered."""
    failure: BaseException | None = None
    try:
        return future.result()
    except BaseException as error:
        failure = error
        raise
    finally:
        _count_statement(future, kind=kind, error=failure)
        note_answer(future)
        _break_reference_cycle(future)


def _count_statement(future: ResponseFuture, *, kind: str, error: BaseException | None) -> None:
    outcome = "answered" if error is None else "timeout" if isinstance(error, OperationTimedOut | Timeout) else "failed"
    STATEMENTS.add(kind, outcome)
    if len(future.attempted_hosts) > 1:
        SECOND_TRIES.add(kind)


def _break_reference_cycle(future: ResponseFuture) -> None:
    """Let the rows of an answered statement be freed at once.

    Future and timer hold each other, and all rows with them, until the garbage collector comes: it stops the process
    for milliseconds, the more often the more it has to find.
    """
    future._timer = None


def _session_to_ask(breaker: Breaker) -> Session:
    """Return the session for one request. Call it once: an open breaker lets only one call through."""
    if not breaker.allows():
        raise StoreTimeout("Cassandra has not answered for a while.")
    return _connected()


def _connected() -> Session:
    if _session is not None:
        return _session
    if not _connecting.acquire(timeout=CONNECT_WAIT_SECONDS):
        raise StoreUnavailable("Connecting to Cassandra takes long.")
    try:
        return _connect()
    finally:
        _connecting.release()


def _connect() -> Session:
    """Connect under the lock: cqlengine's own lazy connect may hand another thread a session that is not there yet."""
    global _session, _no_attempt_before
    if _session is not None:
        return _session
    if time.monotonic() < _no_attempt_before:
        raise StoreUnavailable("Cassandra could not be reached a moment ago.")
    try:
        registered = cqlengine.get_connection(ALIAS)
    except Exception as error:
        _no_attempt_before = time.monotonic() + CONNECT_PAUSE_SECONDS
        _log_other_data_centres()
        _end_cluster()
        if isinstance(error, _DRIVER_ERRORS):
            raise _store_error(error) from error
        raise
    # Every SELECT here is bounded by its partition or its LIMIT; a second page would be fetched outside the deadline.
    registered.session.default_fetch_size = None
    # For Session.prepare only, which has no timeout of its own; every other request has its profile's.
    registered.session._default_timeout = PREPARE_SECONDS
    registered.session.client_protocol_handler = PackedRowsHandler
    _session = registered.session
    # It is only of interest after the log has said that Cassandra could not be reached.
    level = logging.INFO if _no_attempt_before else logging.DEBUG
    log.log(level, "Connected to Cassandra at %s", ",".join(settings.CASSANDRA_HOSTS))
    return _session


def _end_cluster() -> None:
    """Let the next attempt start from scratch.

    When the driver reached a node but found none to use, its threads and a connection are left.
    """
    registered = cqlengine._connections[ALIAS]
    if registered.cluster is not None:
        registered.cluster.shutdown()
    registered.session, registered.cluster, registered.lazy_connect = None, None, True


def _log_other_data_centres() -> None:
    """Log the data centres of the nodes: the driver uses no node of another one, and only says that it has none."""
    cluster = cqlengine._connections[ALIAS].cluster
    there = {host.datacenter for host in cluster.metadata.all_hosts()} - {None} if cluster else set()
    if there and settings.CASSANDRA_LOCAL_DATACENTER not in there:
        log.error(
            "The nodes are in the data centre %s, and CASSANDRA_LOCAL_DATACENTER is %s. Set it to theirs.",
            " and ".join(sorted(there)),
            settings.CASSANDRA_LOCAL_DATACENTER,
        )


def _bound(session: Session, cql: str, values: Sequence[Any], *, until: float) -> BoundStatement:
    statement, packer = _prepared(session, cql, until=until)
    bound = BoundStatement(statement)
    bound.values = packer.values(values)
    return bound


def _prepared(session: Session, cql: str, *, until: float) -> _Prepared:
    return _statements.get(cql) or _prepare(session, cql, until=until)


def _prepare(session: Session, cql: str, *, until: float) -> _Prepared:
    """Prepare a statement before ``until``, or 2 * PREPARE_SECONDS later; what was prepared stays so."""
    left = until - time.monotonic()
    if left <= 0 or not _preparing.acquire(timeout=left):
        raise StoreUnavailable("Preparing a statement takes long.")
    try:
        if cql not in _statements:
            statement = _prepared_by_some_node(session, cql.replace("{keyspace}", settings.CASSANDRA_KEYSPACE))
            statement.is_idempotent = True
            packer = RowPacker(statement, protocol_version=session.cluster.protocol_version)
            _statements[cql] = _Prepared(statement, packer)
        return _statements[cql]
    finally:
        _preparing.release()


def _prepared_by_some_node(session: Session, cql: str) -> PreparedStatement:
    try:
        return session.prepare(cql)
    except OperationTimedOut:
        return session.prepare(cql)  # the driver asks the next node


def _store_error(error: BaseException, breaker: Breaker | None = None) -> StoreError:
    """Return the StoreError for an error of the driver, after noting a timeout in the breaker."""
    if breaker and isinstance(error, OperationTimedOut | Timeout):
        waited = max(getattr(error, "timeout", None) or 0, settings.CASSANDRA_TIMEOUT_SECONDS)
        breaker.failed(asked_at=time.monotonic() - waited)
    if isinstance(error, RequestValidationException | SyntaxException) and AUTHORIZATION_UNAVAILABLE not in str(error):
        log.error(
            "Cassandra refused a statement. Are the tables there as this version has them (manage.py sync_cassandra), "
            "and may CASSANDRA_USER read and write them? %s",
            error,
        )
        return StatementRejected(f"{error}.")
    log.warning("Cassandra is unavailable: %s: %s", type(error).__name__, error)
    kind = StoreTimeout if isinstance(error, OperationTimedOut | Timeout) else StoreUnavailable
    return kind(f"{type(error).__name__}: {error}")
