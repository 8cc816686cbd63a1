"""Thousands of broken bodies and requests: each a 4xx or a closed connection, the service alive, fast and no larger."""

import errno
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.faults.conftest import Service
from tests.faults.ledger import ask
from tests.faults.test_web_workers import workers

Figure = Callable[[str], None]
GOOD = [{"event": "end", "player_id": "bytes", "session_id": "4a0c43c9-c43a-42ff-ba55-67563dfa35d4"}]
# After the first thousands of requests a worker has loaded and cached all that it needs.
MOST_GROWTH = 1.10
MOST_P99_SECONDS = 2.0
LOITERERS = 50

Mutation = Callable[[random.Random, bytes], bytes]


def cut_off(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body) - 1)]


def with_nul(chance: random.Random, body: bytes) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + b"\0" + body[at:]


def with_surrogate(chance: random.Random, body: bytes) -> bytes:
    return body.replace(b"bytes", chance.choice([rb"\ud800", rb"\udfff\ud800", b"\xed\xa0\x80"]))


def with_huge_number(chance: random.Random, body: bytes) -> bytes:
    number = b"9" * chance.choice([20, 400, 5_000]) + chance.choice([b"", b"e999999", b".5"])
    return body.replace(b'"bytes"', number)


def with_duplicate_key(chance: random.Random, body: bytes) -> bytes:
    return body.replace(b"{", b'{"player_id": "", "event": "start", "event": [], ', 1).replace(b'"end"', b'"x"')


def nested(chance: random.Random, body: bytes) -> bytes:
    depth = chance.choice([50, 1_000, 100_000])
    return chance.choice([b"[", b'{"a":']) * depth


def with_flipped_bytes(chance: random.Random, body: bytes) -> bytes:
    flipped = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        flipped[chance.randrange(len(flipped))] = chance.randrange(0x80, 0x100)
    return bytes(flipped)


def noise(chance: random.Random, body: bytes) -> bytes:
    return b"\xff" + chance.randbytes(chance.randrange(2_000))


def too_many(chance: random.Random, body: bytes) -> bytes:
    return json.dumps(GOOD * chance.randint(11, 500)).encode()


def wrong_shape(chance: random.Random, body: bytes) -> bytes:
    return chance.choice([b"null", b"5", b'"x"', b"[]", b"[[]]", b"{}", b"[null]", b"true", b"NaN", b"[1e400]", b"-0"])


MUTATIONS: list[Mutation] = [
    cut_off,
    with_nul,
    with_surrogate,
    with_huge_number,
    with_duplicate_key,
    nested,
    with_flipped_bytes,
    noise,
    too_many,
    wrong_shape,
]


class Request(NamedTuple):
    """The bytes, and whether the client says no more after them while the service waits for the rest."""

    content: bytes
    hangs_up: bool


def requests(chance: random.Random, number: int) -> Iterator[Request]:
    """Raw HTTP requests that none can be answered with 2xx; one in ten lies about its length or its encoding."""
    good = json.dumps(GOOD).encode()
    for _ in range(number):
        body = chance.choice(MUTATIONS)(chance, good)
        length = str(len(body))
        extra = ""
        lie = chance.randrange(50)
        if lie == 0:
            length = str(len(body) + chance.randint(1, 1_000_000))
        elif lie == 1:
            length = chance.choice(["-1", "x", "", "1e3", "99999999999999999999", "0x10", "+5", "5, 6"])
        elif lie == 2:
            length = str(max(0, len(body) // 2 - 1))
        elif lie == 3:
            extra = "Content-Encoding: gzip\r\n"
        elif lie == 4:
            extra = "Transfer-Encoding: chunked\r\n"
        head = f"POST /api/v1/events/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{extra}"
        content = f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body
        yield Request(content, hangs_up=lie in (0, 4))


def status_of(address: tuple[str, int], request: Request) -> int:
    """Of the reply; 0: the connection was closed without one."""
    with socket.create_connection(address, timeout=15) as connection:
        try:
            connection.sendall(request.content)
            if request.hangs_up:
                connection.shutdown(socket.SHUT_WR)
            received = connection.recv(64)
        except ConnectionError:
            return 0
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # the other side has closed it before our shutdown
                return 0
            raise
    return int(received.split()[1]) if received else 0


def loiter(address: tuple[str, int], stop: threading.Event) -> None:
    """Send a request one byte at a time, and begin anew when the service has had enough."""
    request = b"POST /api/v1/events/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n["
    while not stop.is_set():
        try:
            with socket.create_connection(address, timeout=5) as connection:
                for byte in request:
                    connection.sendall(bytes([byte]))
                    if stop.wait(0.5):
                        return
        except OSError:
            stop.wait(0.1)


def memory(service: Service) -> int:
    return sum(worker.memory_info().rss for worker in workers(service.web))


def test_broken_bytes(node_service: Service, figure: Figure, long_form: bool) -> None:
    """Every broken request is a 4xx or a closed connection, the service is alive and fast meanwhile, and its memory
    stays flat.

    2,000 requests, in the long form 10,000, over raw sockets: cut off, NUL, surrogates, huge numbers, duplicate keys,
    deep nesting, noise, wrong lengths and encodings; 50 connections that send a byte in half a second.
    """
    chance = random.Random(8)
    parts = urlsplit(node_service.web.url)
    address = (str(parts.hostname), int(parts.port or 0))
    statuses: Counter[int] = Counter()
    took: list[float] = []
    sizes: list[int] = []
    stop = threading.Event()
    loiterers = [threading.Thread(target=loiter, args=(address, stop)) for _ in range(LOITERERS)]
    for loiterer in loiterers:
        loiterer.start()
    try:
        for number, request in enumerate(requests(chance, 10_000 if long_form else 2_000)):
            status = status_of(address, request)
            statuses[status] += 1
            assert status == 0 or 400 <= status < 500, (status, request.content[:1_000])
            if number % 50 == 0:
                reply, _ = ask(f"{node_service.web.url}/api/v1/events/", GOOD)
                assert reply.status == 201
                took.append(reply.seconds)
                sizes.append(memory(node_service))
    finally:
        stop.set()
        for loiterer in loiterers:
            loiterer.join()
    growth = sizes[-1] / sizes[len(sizes) // 2]
    p99 = sorted(took)[int(len(took) * 0.99)]
    print(statuses, growth, p99)
    assert growth <= MOST_GROWTH
    assert p99 <= MOST_P99_SECONDS
    counted = ", ".join(f"{number:,} × {status or 'closed'}" for status, number in sorted(statuses.items()))
    figure(f"{counted}; memory {growth - 1:+.1%} in the second half; p99 of good requests meanwhile {p99:.2f} s")
