"""What the reports of a player cost as the player has more and more sessions.

Fills a keyspace with players of 20 to 36,525 sessions (a hundred a day for a year), asks for each again and again as
the views do, and adds the medians to RESULTS.md. Wants the stack of ``make up``.
"""

import os
import time
from argparse import ArgumentParser

os.environ["CASSANDRA_KEYSPACE"] = KEYSPACE = "bench_player_sessions"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace must be there first

django.setup()

from benchmarks.markdown import table  # noqa: E402
from benchmarks.players import fill_player  # noqa: E402
from benchmarks.results import here_and_now, median_ms, write_section  # noqa: E402
from benchmarks.store import opened_store  # noqa: E402
from reports.player_sessions import State, player_sessions  # noqa: E402
from store import cassandra  # noqa: E402

SHOWN = 20
# Of the report: its state, and whether it names overlaps.
REPORTS: dict[str, tuple[State, bool]] = {
    "completed": ("completed", False),
    "completed, with overlaps": ("completed", True),
    "open": ("open", False),
}
TITLES = ("sessions", *(f"{report}, ms" for report in REPORTS))


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="20,100,1000,10000,36525", help="sessions of each player")
    parser.add_argument("--requests", type=int, default=100, help="reports for each figure (default: 100)")
    arguments = parser.parse_args()
    with opened_store() as store:
        store.create(KEYSPACE)
        lines = [measured(int(size), requests=arguments.requests) for size in arguments.sizes.split(",")]
        cassandra.disconnect()
        store.drop(KEYSPACE)
    print(table(TITLES, lines))
    write_section("player sessions", f"`python -m benchmarks.player_sessions` {here_and_now()}", table(TITLES, lines))


def measured(size: int, *, requests: int) -> list[str]:
    """A line of the table, of medians."""
    now_ms = time.time_ns() // 1_000_000
    player = f"player_{size}"
    fill_player(player, size, now_ms=now_ms)

    def took_ms(state: State, *, overlaps: bool) -> float:
        def report(_: int) -> None:
            player_sessions(player_id=player, state=state, overlaps=overlaps, now_ms=now_ms, limit=SHOWN)

        return median_ms(report, requests)

    return [f"{size:,}", *(f"{took_ms(state, overlaps=overlaps):.1f}" for state, overlaps in REPORTS.values())]


if __name__ == "__main__":
    main()
