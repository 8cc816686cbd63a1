"""``manage.py erase_players``: a shell over events.upkeep.erasing."""

import json
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError

from events.clock import latest_moment_ms, wall_clock_ms
from events.domain import EARLIEST_MS, PLAYER_ID, format_timestamp, parse_timestamp
from events.importing.terminal import note, say, stopping_on_signals
from events.management.walk_display import walk_display
from events.management.walk_options import add_rate_argument, refuse_rate
from events.upkeep.erasing import (
    DONE,
    Erasure,
    ErasurePass,
    erase_known,
    erasure_of,
    erasures,
    pending_erasures,
    request_erasure,
    stands_for_nobody,
)
from store.errors import StoreError

# Ten million rows in 3 minutes, where one node has the cores for it.
DEFAULT_ROWS_PER_SECOND = 50_000
STOPPED = "Stopped. The erasures are still pending: run erase_players --pending."


class Wanted(NamedTuple):
    """A player to erase, and until when; None: until now."""

    player_id: str
    until_ms: int | None = None


class Command(BaseCommand):
    """Erases players, and finishes the erasures that are pending. Exit status 0: all of them are done."""

    help = (
        "Erase players: delete what is stored of them, and discard the same events when they are sent again. It also "
        "finishes the erasures that were requested over HTTP; --pending does only that. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("players", nargs="*", metavar="ID", help="a player")
        parser.add_argument(
            "--file", type=Path, metavar="PATH", help="a file of players: one id a line, or the output of --export"
        )
        parser.add_argument("--pending", action="store_true", help="finish the erasures that are pending")
        parser.add_argument("--export", action="store_true", help="write the list of erased players as JSON lines")
        parser.add_argument("--force", action="store_true", help="allow ids that stand for nobody, such as null")
        add_rate_argument(parser, default=DEFAULT_ROWS_PER_SECOND)

    def handle(
        self,
        *,
        players: list[str],
        file: Path | None,
        pending: bool,
        export: bool,
        force: bool,
        rate: int,
        **options: Any,
    ) -> None:
        refuse_rate(rate)
        if not (players or file or pending or export):
            raise CommandError("Name players, or --file, or --pending, or --export.")
        try:
            if export:
                self._export()
                return
            wanted = [*map(Wanted, players), *(_of_file(file) if file else [])]
            _refuse(wanted, force=force)
            for one in wanted:
                erasure = request_erasure(one.player_id, requested_by="erase_players", until_ms=one.until_ms)
                note(f"Erased {erase_known(erasure):,} rows of {one.player_id}.")
            self._finish([one.player_id for one in wanted], rate=rate)
        except StoreError as error:
            raise CommandError(f"Cassandra refuses, or does not answer: {error}. Run it again.") from error

    def _export(self) -> None:
        for erasure in sorted(erasures()):
            line = {
                "player_id": erasure.player_id,
                "until": format_timestamp(erasure.until_ms),
                "requested_at": format_timestamp(erasure.requested_at_ms),
                "requested_by": erasure.requested_by,
                "state": erasure.state,
            }
            say(self.stdout, json.dumps(line) + "\n")

    def _finish(self, asked: list[str], *, rate: int) -> None:
        """Wait until no write of the pending players can be in flight, and look through all tables for them."""
        pending = pending_erasures()
        if not pending:
            say(self.stdout, "No erasure is pending.\n")
            return
        try:
            _wait_until_due(pending)
        except KeyboardInterrupt:
            note(STOPPED)
            sys.exit(128 + signal.SIGINT)
        with walk_display("Erasing") as show:
            erasing = ErasurePass(pending, most_rows=rate, on_progress=show)
            with stopping_on_signals(erasing) as caught:
                ended = erasing.run()
        if not ended:
            note(STOPPED)
            sys.exit(128 + caught[0])
        say(self.stdout, f"Players erased: {len(pending):,}.\n")
        left = [one for one in asked if (erasure := erasure_of(one)) is None or erasure.state != DONE]
        if left:
            raise CommandError(f"Requested again meanwhile, and still pending: {', '.join(left)}. Run it again.")


def _wait_until_due(pending: Iterable[Erasure]) -> None:
    seconds = (max(one.due_ms for one in pending) - wall_clock_ms()) / 1_000
    if seconds > 0:
        note(f"Waiting {seconds:.0f} s: a write that began before the request may still be in flight.")
        time.sleep(seconds)


def _of_file(path: Path) -> Iterator[Wanted]:
    """Yield the players of a file. Raises CommandError."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(map(str.strip, lines), 1):
        try:
            if line.startswith("{"):
                yield _exported(json.loads(line))
            elif line:
                yield Wanted(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CommandError(f"Line {number} of {path} is neither an id nor a line of --export: {error}.") from error


def _exported(values: Mapping[str, Any]) -> Wanted:
    """Return whom a line of --export names. Raises KeyError, TypeError, ValueError."""
    player_id, until_ms = values["player_id"], parse_timestamp(values["until"])
    if not isinstance(player_id, str):
        raise TypeError("player_id is not a string")
    if not EARLIEST_MS <= until_ms <= latest_moment_ms(wall_clock_ms()):
        raise ValueError("until is in the future, or before the year 1")
    return Wanted(player_id, until_ms)


def _refuse(wanted: Iterable[Wanted], *, force: bool) -> None:
    """Raise CommandError, before anything is erased, for what is not the id of one player."""
    for one in wanted:
        if not PLAYER_ID.match(one.player_id):
            raise CommandError(f"{one.player_id!r} is not a player id. Nobody was erased.")
        if stands_for_nobody(one.player_id) and not force:
            raise CommandError(f"{one.player_id!r} stands for nobody, or for many. --force erases it all the same.")
