"""Clients that send batches at a steady rate, whether or not earlier ones have ended, beside readers of reports."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from benchmarks.overload import new_batch, read_reply

BATCHES_PER_SECOND = 20

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Replies:
    """Of one kind of request: seconds of those that went well; how many were refused, and how many else failed."""

    good: list[float] = field(default_factory=list)
    refused: int = 0
    others: list[str] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        """One reply."""
        if status in (HTTPStatus.OK, HTTPStatus.CREATED):
            self.good.append(seconds)
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.refused += 1
        else:
            self.others.append(str(status))


class MixedLoad:
    """BATCHES_PER_SECOND to the service at ``url``, and readers beside them.

    ``question`` gives a reader the address to ask, of a number that rises by one each time. A reader who is ``patient``
    waits, when refused, as Retry-After says.
    """

    def __init__(self, url: str, *, question: Callable[[int], str], patient: bool = True) -> None:
        self.batches, self.reports = Replies(), Replies()
        self._server = urlsplit(url)
        self._question, self._patient = question, patient

    def run(self, *, readers: int, seconds: float) -> Self:
        """Send and ask for so long; ``batches`` and ``reports`` have the replies."""
        asyncio.run(self._all_clients(readers, until=time.monotonic() + seconds))
        return self

    async def _all_clients(self, readers: int, *, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(readers):
                group.create_task(self._reader(number, until=until))
            at = time.monotonic()
            while at < until:
                await asyncio.sleep(at - time.monotonic())
                group.create_task(self._send_batch(at=at))
                at += 1 / BATCHES_PER_SECOND

    async def _send_batch(self, *, at: float) -> None:
        """On a connection of its own; its time is from ``at``, when it was due."""
        _, body = new_batch()
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        connection = await self._connection()
        status, _ = await self._asked(connection, f"POST /api/v1/events/ HTTP/1.1\r\n{head}", body)
        self.batches.add(status, time.monotonic() - at)
        connection[1].close()

    async def _reader(self, number: int, *, until: float) -> None:
        """One connection: one question after the other."""
        connection = await self._connection()
        while (began := time.monotonic()) < until:
            status, headers = await self._asked(connection, f"GET {self._question(number)} HTTP/1.1")
            self.reports.add(status, time.monotonic() - began)
            number += 1
            if status == HTTPStatus.SERVICE_UNAVAILABLE and self._patient:
                await asyncio.sleep(float(headers["retry-after"]))
        connection[1].close()

    async def _connection(self) -> Connection:
        return await asyncio.open_connection(self._server.hostname, self._server.port)

    async def _asked(self, connection: Connection, head: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        reader, writer = connection
        writer.write(f"{head}\r\nHost: {self._server.netloc}\r\n\r\n".encode() + body)
        return await read_reply(reader)
