"""A TCP proxy that makes a network bad: late, jittery, narrow, cut into small pieces, unresponsive, reset."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 65_536
# SO_LINGER with no time: closing sends a reset instead of an end.
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Network:
    """How bad it is. Each chunk of bytes, either way, is late by ``delay`` give or take ``jitter``."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bytes_per_second: float | None = None
    slice_bytes: int | None = None
    unresponsive: bool = False


class Proxy:
    """Listens on a port of its own and forwards to ``target``; ``network`` can be changed at any time."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.network = Network()
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def reset_connections(self) -> None:
        """Break every connection that is open now."""
        self._run(self._reset())

    def close(self) -> None:
        self._server.close()
        self.reset_connections()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _reset(self) -> None:
        for writer in list(self._open):
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, server_writer}
        self._open |= ends
        try:
            await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))
        except OSError:
            pass
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while read := await reader.read(CHUNK_BYTES):
            size = self.network.slice_bytes or len(read)
            for first in range(0, len(read), size):
                await self._pass_on(read[first : first + size], writer)
        writer.write_eof()

    async def _pass_on(self, some: bytes, writer: asyncio.StreamWriter) -> None:
        network = self.network
        while self.network.unresponsive:
            await asyncio.sleep(0.05)
        late = network.delay_seconds + random.uniform(-1, 1) * network.jitter_seconds
        if network.bytes_per_second:
            late += len(some) / network.bytes_per_second
        if late > 0:
            await asyncio.sleep(late)
        writer.write(some)
        await writer.drain()
