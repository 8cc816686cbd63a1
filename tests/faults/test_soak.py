"""Batches and reports for a long time, with faults at random: nothing lost, nothing leaked."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import mean

from embedded.cassandra import CassandraNode
from tests.faults.conftest import Service
from tests.faults.ledger import MOST_SECONDS, Ledger, Load, read_back
from tests.faults.test_redis import killed as redis_killed
from tests.faults.test_redis import paused as redis_paused
from tests.faults.test_ring import kill, paused, restart
from tests.faults.test_web_workers import workers

Figure = Callable[[str], None]
# While a fault is new; a service that does not recover refuses all.
MOST_REFUSED_SHARE = 0.1
LONG_SECONDS, SHORT_SECONDS = 1_200, 30
CLIENTS = 4
SHARE_OF_CAPACITY = 0.6
# Long enough for the nodes to have compiled what they run.
SECONDS_AT_CAPACITY = 20
FAULT_EVERY_SECONDS, SHORT_FAULT_EVERY_SECONDS = 60, 8
# The last third against the middle one.
MOST_GROWTH = 1.05
MOST_MORE_DESCRIPTORS = 20


def test_a_soak(ring_service: Service, ledger: Ledger, figure: Figure, long_form: bool) -> None:
    """Nothing acknowledged is lost in a long run with faults at random, the memory of the web processes stays flat (the
    last third within 5 % of the middle one), and no descriptor is leaked.

    Four clients send a batch and ask for a report in turn, at 60 % of what they reach without a pause, while at random
    a node is paused and Redis killed or paused: 30 s, in the long form 20 minutes, in which nodes are killed, too.
    """
    chance = random.Random(9)
    memory: list[int] = []
    descriptors: list[int] = []
    faults = 0
    with Load(ring_service.web.url, ledger, country="SO", clients=CLIENTS, pause_seconds=0) as load:
        time.sleep(SECONDS_AT_CAPACITY)
        rounds_a_second = len(load.replies) / 2 / SECONDS_AT_CAPACITY
        load.pause_seconds = CLIENTS / rounds_a_second * (1 / SHARE_OF_CAPACITY - 1)
        until = time.monotonic() + (LONG_SECONDS if long_form else SHORT_SECONDS)
        next_fault = time.monotonic() + 2
        while time.monotonic() < until:
            processes = workers(ring_service.web)
            memory.append(sum(process.memory_info().rss for process in processes))
            descriptors.append(sum(process.num_fds() for process in processes))
            time.sleep(0.5)
            if time.monotonic() > next_fault:
                cause_a_fault(ring_service, chance, long_form=long_form)
                faults += 1
                next_fault = time.monotonic() + (FAULT_EVERY_SECONDS if long_form else SHORT_FAULT_EVERY_SECONDS)
    back = read_back(load)
    third = len(memory) // 3
    growth = mean(memory[-third:]) / mean(memory[third : 2 * third])
    more = max(descriptors[-third:]) - max(descriptors[third : 2 * third])
    print(back, load.summary(), growth, more)
    assert back.exact(), back
    assert {reply.status for reply in load.failed()} <= {503}, load.summary()
    assert load.failed_share() <= MOST_REFUSED_SHARE, load.summary()
    assert load.slowest_seconds() < MOST_SECONDS
    assert more <= MOST_MORE_DESCRIPTORS
    if long_form:  # in half a minute the workers are still filling their caches
        assert growth <= MOST_GROWTH
    figure(
        f"{back.summary()} after {faults} faults, {len(load.failed()):,} of {len(load.replies):,} requests refused; "
        f"memory {growth - 1:+.1%}, descriptors {more:+d}"
    )


def cause_a_fault(service: Service, chance: random.Random, *, long_form: bool) -> None:
    """One fault, and its end."""
    node = chance.choice(service.nodes)
    faults: list[Callable[[], None]] = [
        lambda: _for_a_while(paused([node]), 5),
        lambda: _for_a_while(redis_killed(service.redis), 2),
        lambda: _for_a_while(redis_paused(service.redis), 3),
    ]
    if long_form:
        faults.append(lambda: _killed_for_a_while(node, 5))
    chance.choice(faults)()


def _for_a_while(fault: AbstractContextManager[None], seconds: float) -> None:
    with fault:
        time.sleep(seconds)


def _killed_for_a_while(node: CassandraNode, seconds: float) -> None:
    kill(node)
    time.sleep(seconds)
    restart(node)
