"""``manage.py demo``: the service with a month of sample sessions, up until Ctrl-C."""

import os
import sys
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from events.clock import wall_clock_ms
from events.counting.hours import StartCounts, count_starts
from events.domain import DAY_MS, HOUR_MS, Window
from events.importing.terminal import say
from store.cassandra import deadline_from_now
from store.errors import StoreError

EVENTS, DAYS = 200_000, 30
# An hour with less than this share of the starts that a demo gives it is one that no demo has filled.
FILLED = 0.1


class Command(BaseCommand):
    """Creates the tables, generates and imports a dump, and serves. Run again, it adds the hours since."""

    help = f"Generate {EVENTS:,} events over {DAYS} days, import them and serve."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=EVENTS, help=f"how many events ({EVENTS})")

    def handle(self, *, events: int, **options: Any) -> None:
        if settings.IN_PRODUCTION:
            raise CommandError("This is production: nobody could take the sample sessions out again.")
        folder = settings.BASE_DIR / ".data"
        folder.mkdir(exist_ok=True)
        dump = folder / "demo.jsonl.bz2"
        say(self.stdout, "Creating the tables ...")
        call_command("sync_cassandra", wait=60, stdout=StringIO())
        now_ms = wall_clock_ms()
        days = empty_days(_month_before(now_ms), now_ms=now_ms, events=events)
        if wanted := int(events * days / DAYS):
            say(self.stdout, f"Generating {wanted:,} events over {days:.1f} days into {_short(dump)} ...")
            made = ["--events", str(wanted), "--days", str(days), "--seed", str(now_ms), "--output", str(dump)]
            call_command("generate_sessions", *made)
            say(self.stdout, "Importing them ...")
            call_command(
                "import_sessions", str(dump), "--checkpoint", f"{dump}.checkpoint", "--rejects", f"{dump}.rejects.jsonl"
            )
        else:
            say(self.stdout, "The sessions of an earlier demo are there.")
        say(
            self.stdout,
            f"\nLook at {settings.ADDRESS}/ with a browser. Or try, in another terminal:\n"
            f"  curl '{settings.ADDRESS}/api/v1/reports/starts/?hours=24&sessions=1'\n"
            f"  curl {settings.ADDRESS}/event-handler -H 'Content-Type: application/json' "
            """-d '{"country":"US","event":"start","player_id":"player_2"}'\n"""
            f"The API explains itself at {settings.ADDRESS}/api/v1/docs/\n",
        )
        os.execv(sys.executable, [sys.executable, "-m", "sessions_project"])


def empty_days(month: StartCounts, *, now_ms: int, events: int) -> float:
    """Return how long ago the first hour was that no demo of so many events has filled, in days."""
    usual_of_a_ms = events / 2 / len(month.hours) / HOUR_MS
    hours = list(zip(month.hours, month.of_hours(), strict=True))[1:]  # of the first there is only a part

    def is_empty(hour: int, starts: int) -> bool:
        return starts <= FILLED * usual_of_a_ms * min(now_ms - hour, HOUR_MS)

    empty = next((hour for hour, starts in hours if is_empty(hour, starts)), now_ms)
    return max(0, now_ms - empty) / DAY_MS


def _month_before(now_ms: int) -> StartCounts:
    month = Window(now_ms - DAYS * DAY_MS, now_ms)
    try:
        return count_starts(window=month, now_ms=now_ms, deadline=deadline_from_now())
    except StoreError as error:
        raise CommandError(f"Cassandra does not answer: {error}") from error


def _short(path: Path) -> Path:
    return path.relative_to(settings.BASE_DIR)
