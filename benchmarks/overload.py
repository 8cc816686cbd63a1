"""More clients than can be served: each sends batches without pause, and when refused waits as Retry-After says."""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from benchmarks.programs import OURS_SHIPPED, Program, granian, started
from benchmarks.store import opened_store

EVENTS = 10
WARM_UP_SECONDS = 2
# No more threads than may work: every request waits in the server's own queue, as long as it takes.
WITHOUT_BOUND = Program("unbounded", "granian, 4 threads", granian("sessions_project.wsgi:application", threads=4))
TITLES = (
    *(
        "program",
        "clients",
        "accepted_s",
        "p50_ms",
        "p90_ms",
        "p99_ms",
        "refused_s",
        "refused_p50_ms",
        "refused_p99_ms",
    ),
    *("others", "acknowledged", "found", "rss_mb"),
)
# Rather than the loader's own queueing: no reply of the service may take so long.
REPLY_SECONDS = 30.0


@dataclass
class Seen:
    """What all clients saw: seconds of each accepted and each refused reply; the sessions that were acknowledged."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def cells(self, seconds: float) -> list[str]:
        """Of a table with the columns of TITLES behind the second."""
        accepted = [f"{len(self.accepted) / seconds:.0f}", *(str(milliseconds(self.accepted, n)) for n in (50, 90, 99))]
        refused = [f"{len(self.refused) / seconds:.0f}", *(str(milliseconds(self.refused, n)) for n in (50, 99))]
        return [*accepted, *refused, str(len(self.others)), str(len(self.sessions))]

    def summary(self, seconds: float) -> str:
        """One line."""
        return (
            f"{len(self.accepted) / seconds:.0f} accepted/s, p50 {milliseconds(self.accepted, 50)} "
            f"p99 {milliseconds(self.accepted, 99)} ms; {len(self.refused) / seconds:.0f} refused/s, "
            f"p50 {milliseconds(self.refused, 50)} p99 {milliseconds(self.refused, 99)} ms; {len(self.others)} others"
        )


def measure_overload(*, clients: int, seconds: int) -> Iterator[list[str]]:
    """A line of a table with TITLES for the service as shipped and for one that queues without bound.

    Raises RuntimeError when an acknowledged session is missing.
    """
    with ExitStack() as stack:
        store = stack.enter_context(opened_store())
        running = []
        for program in (OURS_SHIPPED, WITHOUT_BOUND):
            keyspace = f"bench_overload_{program.name}"
            store.create(keyspace)
            stack.callback(store.drop, keyspace)
            running.append(stack.enter_context(started(program, keyspace=keyspace)))
            overload(running[-1].url, clients=clients // 10, seconds=WARM_UP_SECONDS)
        for one in running:
            before = store.sessions_in(one.keyspace)
            seen = overload(one.url, clients=clients, seconds=seconds)
            found = store.sessions_in(one.keyspace) - before
            if found < len(seen.sessions):
                raise RuntimeError(f"{one.program.name} acknowledged {len(seen.sessions):,} and stores {found:,}.")
            yield [one.program.name, str(clients), *seen.cells(seconds), str(found), f"{one.megabytes():.0f}"]


def milliseconds(replies: Sequence[float], percent: int) -> int:
    """A percentile; 0 of none."""
    return round(statistics.quantiles(replies, n=100)[percent - 1] * 1000) if len(replies) > 1 else 0


def overload(url: str, *, clients: int, seconds: float) -> Seen:
    """Send batches to the service at ``url`` from so many connections for so long."""
    seen = Seen()
    asyncio.run(_all_clients(url, seen, clients=clients, until=time.monotonic() + seconds))
    return seen


async def _all_clients(url: str, seen: Seen, *, clients: int, until: float) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(url, seen, until=until))


async def _client(url: str, seen: Seen, *, until: float) -> None:
    """One connection: the next batch once the last one is stored, the same batch again after a 503.

    A new one after a reply that says that it closes: a refusal whose body could not be read in time.
    """
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    head = f"POST /api/v1/events/ HTTP/1.1\r\nHost: {server.netloc}\r\nContent-Type: application/json\r\n"
    sessions, body = new_batch()
    while (began := time.monotonic()) < until:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = await asyncio.wait_for(read_reply(reader), REPLY_SECONDS)
        took = time.monotonic() - began
        if headers.get("connection") == "close":
            writer.close()
            reader, writer = await asyncio.open_connection(server.hostname, server.port)
        if status == 201:
            seen.accepted.append(took)
            seen.sessions += sessions
            sessions, body = new_batch()
        elif status == 503 and "retry-after" in headers:
            seen.refused.append(took)
            await asyncio.sleep(float(headers["retry-after"]))
        else:
            seen.others.append(f"{status} {headers}")
    writer.close()


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status and the headers of a reply whose body has been read."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers


def new_batch() -> tuple[list[str], bytes]:
    """Ten starts of new sessions of new players, and the ids of the sessions."""
    ts = datetime.now(UTC).isoformat()
    sessions = [str(uuid.uuid4()) for _ in range(EVENTS)]
    events = [
        {"event": "start", "country": "FI", "player_id": session, "session_id": session, "ts": ts}
        for session in sessions
    ]
    return sessions, json.dumps(events).encode()
