"""``manage.py demo``: the service with a month of made-up sessions, up until Ctrl-C."""

import os
import sys
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

EVENTS, DAYS = 200_000, 30


class Command(BaseCommand):
    """Creates the tables, generates and imports a dump, and serves."""

    help = f"Generate {EVENTS:,} events over {DAYS} days, import them and serve."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=EVENTS, help=f"how many events ({EVENTS})")

    def handle(self, *, events: int, **options: Any) -> None:
        folder = settings.BASE_DIR / ".data"
        folder.mkdir(exist_ok=True)
        dump = folder / "demo.jsonl.bz2"
        self.stdout.write("Creating the tables ...")
        call_command("sync_cassandra", stdout=StringIO())
        self.stdout.write(f"Generating {events:,} events over {DAYS} days into {_short(dump)} ...")
        call_command("generate_sessions", "--events", str(events), "--days", str(DAYS), "--output", str(dump))
        self.stdout.write("Importing them ...")
        call_command(
            "import_sessions", str(dump), "--checkpoint", f"{dump}.checkpoint", "--rejects", f"{dump}.rejects.jsonl"
        )
        address = f"http://{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
        self.stdout.write(
            f"\nLook at {address}/ with a browser. Or try, in another terminal:\n"
            f"  curl '{address}/api/v1/reports/starts/?hours=24&sessions=1'\n"
            f"  curl {address}/event-handler -H 'Content-Type: application/json' "
            """-d '{"country":"US","event":"start","player_id":"player_2"}'\n"""
            f"The API explains itself at {address}/api/v1/docs/\n"
        )
        self.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "sessions_project"])


def _short(path: Path) -> Path:
    return path.relative_to(settings.BASE_DIR)
