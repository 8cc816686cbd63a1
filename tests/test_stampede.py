"""Fifty clients ask for a report that is not cached: it is built at most three times, with and without Redis."""

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from conftest import WebServer
from embedded.redis import RedisServer
from reports.tests.test_starts import record_starts
from web.load_shedding import RESERVED_FOR_BATCHES

pytestmark = pytest.mark.alone

CLIENTS = 50
# Long enough that every client asks while it is built.
STARTS = 3_000
MOST_BUILDS = 3


class Service(NamedTuple):
    web: WebServer
    redis: RedisServer
    log: Path

    def ask(self, path: str) -> tuple[int, float, dict]:
        began = time.monotonic()
        with urllib.request.urlopen(self.web.url + path, timeout=10) as reply:
            body = json.load(reply)
            return reply.status, time.monotonic() - began, body

    def ask_at_once(self, path: str, clients: int = CLIENTS) -> list[tuple[int, float, dict]]:
        together = threading.Barrier(clients)

        def ask(_: int) -> tuple[int, float, dict]:
            together.wait()
            return self.ask(path)

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(ask, range(clients)))

    def builds(self, path: str) -> int:
        return self.log.read_text().count(f"Building {path}\n")


def serving(server: RedisServer, folder: Path) -> Iterator[Service]:
    log = folder / "web.log"
    web = WebServer(
        log=log,
        REDIS_URL=f"redis://127.0.0.1:{server.address[1]}/0",
        REPORT_CACHE_SECONDS="50",
        WEB_WORKERS="2",
        WEB_THREADS=str(CLIENTS + RESERVED_FOR_BATCHES),  # all are let in at once
        LOG_LEVEL="DEBUG",
    )
    yield Service(web, server, log)
    web.stop()


@pytest.fixture(scope="module")
def service(redis_of_module: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from serving(redis_of_module, tmp_path_factory.mktemp("web"))


@pytest.fixture
def service_to_break(own_redis: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """The test breaks its Redis or its processes."""
    yield from serving(own_redis, tmp_path)


@pytest.fixture
def path(country: str, now_ms: int) -> str:
    """Of a report that takes a while."""
    record_starts(country, *range(now_ms - STARTS, now_ms), now_ms=now_ms)
    return path_of(country)


def path_of(country: str) -> str:
    return f"/api/v1/reports/starts/{country}/?hours=24&limit=1000"


def check(replies: list[tuple[int, float, dict]]) -> None:
    assert {status for status, _, _ in replies} == {200}
    assert {len(body["results"]) for _, _, body in replies} == {1000}


def test_a_report_that_many_ask_for_at_once_is_built_a_few_times_at_most(service: Service, path: str) -> None:
    check(service.ask_at_once(path))
    assert 1 <= service.builds(path) <= MOST_BUILDS
    check(service.ask_at_once(path))
    assert service.builds(path) <= MOST_BUILDS
    assert redis.Redis(port=service.redis.address[1]).keys("*building*") == []


def test_redis_stalled_costs_a_blink(service_to_break: Service, path: str, new_country: Callable[[], str]) -> None:
    _, undisturbed, _ = service_to_break.ask(path_of(new_country()))
    os.kill(service_to_break.redis.process().pid, signal.SIGSTOP)
    try:
        replies = service_to_break.ask_at_once(path)
    finally:
        os.kill(service_to_break.redis.process().pid, signal.SIGCONT)
    check(replies)
    # Without a cache it is built again and again; eight at a time share one.
    assert service_to_break.builds(path) < CLIENTS / 2
    assert min(seconds for _, seconds, _ in replies) < undisturbed + 1


def test_without_redis_the_service_answers(service_to_break: Service, path: str) -> None:
    service_to_break.redis.stop()
    check(service_to_break.ask_at_once(path))
    assert service_to_break.builds(path) < CLIENTS / 2


def test_a_process_that_dies_while_it_builds_holds_nobody_up_for_long(service_to_break: Service, path: str) -> None:
    client = redis.Redis(port=service_to_break.redis.address[1])
    for attempt in range(20):
        report = path.replace("hours=24", f"hours={24 + attempt}")
        threading.Thread(target=answers, args=(service_to_break, report), daemon=True).start()
        locks = wait_for_locks(client)
        os.kill(worker_processes(service_to_break.web.process.pid)[0], signal.SIGKILL)
        time.sleep(0.1)
        if client.exists(*locks):  # it was the one that built
            break
        time.sleep(2)  # a new worker starts
    assert 0 < client.pttl(locks[0]) <= 1_000
    began = time.monotonic()
    while not answers(service_to_break, report):
        assert time.monotonic() - began < 1.5
        time.sleep(0.01)
    # The lock, which goes after a second, the report, and a worker that is still starting.
    assert time.monotonic() - began < 3


def wait_for_locks(client: redis.Redis) -> list[bytes]:
    deadline = time.monotonic() + 5
    while not (locks := client.keys("*building*")):
        assert time.monotonic() < deadline, "nothing is built"
        time.sleep(0.001)
    return locks


def answers(service: Service, path: str) -> bool:
    try:
        return service.ask(path)[0] == 200
    except OSError:
        return False


def worker_processes(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_other_requests_are_answered_meanwhile(service: Service, path: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(service.ask_at_once, path)
        took = [service.ask("/livez")[1] for _ in range(20)]
        check(flood.result())
    assert max(took) < 1.0


def test_an_error_reaches_everybody(service: Service, country: str) -> None:
    def ask(_: int) -> int:
        try:
            return service.ask(f"/api/v1/reports/starts/{country}/?hours=0")[0]
        except urllib.error.HTTPError as error:
            return error.code

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert set(pool.map(ask, range(CLIENTS))) == {400}


def test_json_and_csv_are_kept_apart(service: Service, country: str, now_ms: int) -> None:
    record_starts(country, now_ms, now_ms=now_ms)

    def media_type(accept: str) -> str:
        address = f"{service.web.url}/api/v1/reports/starts/timeline/?country={country}"
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept})) as reply:
            reply.read()
            return reply.headers["Content-Type"].split(";")[0]

    for accept in ("application/json", "text/csv", "application/json", "text/csv"):
        assert media_type(accept) == accept
