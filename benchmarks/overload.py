"""More clients than can be served: each sends batches without pause, and when refused waits as Retry-After says."""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

EVENTS = 10
# Rather than the loader's own queueing: no reply of the service may take so long.
REPLY_SECONDS = 30.0


@dataclass
class Seen:
    """What all clients saw: seconds of each accepted and each refused reply; the sessions that were acknowledged."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def told(self, seconds: float) -> str:
        """One line."""
        return (
            f"{len(self.accepted) / seconds:.0f} accepted/s, p50 {milliseconds(self.accepted, 50)} "
            f"p99 {milliseconds(self.accepted, 99)} ms; {len(self.refused) / seconds:.0f} refused/s, "
            f"p50 {milliseconds(self.refused, 50)} p99 {milliseconds(self.refused, 99)} ms; {len(self.others)} others"
        )


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
    """One connection: the next batch once the last one is stored, the same batch again after a 503."""
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    head = f"POST /api/v1/events/ HTTP/1.1\r\nHost: {server.netloc}\r\nContent-Type: application/json\r\n"
    sessions, body = _new_batch()
    while (began := time.monotonic()) < until:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = await asyncio.wait_for(_reply(reader), REPLY_SECONDS)
        took = time.monotonic() - began
        if status == 201:
            seen.accepted.append(took)
            seen.sessions += sessions
            sessions, body = _new_batch()
        elif status == 503 and "retry-after" in headers:
            seen.refused.append(took)
            await asyncio.sleep(float(headers["retry-after"]))
        else:
            seen.others.append(f"{status} {headers}")
    writer.close()


async def _reply(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers


def _new_batch() -> tuple[list[str], bytes]:
    """Ten starts of new sessions of new players, and the ids of the sessions."""
    ts = datetime.now(UTC).isoformat()
    sessions = [str(uuid.uuid4()) for _ in range(EVENTS)]
    events = [
        {"event": "start", "country": "FI", "player_id": session, "session_id": session, "ts": ts}
        for session in sessions
    ]
    return sessions, json.dumps(events).encode()
