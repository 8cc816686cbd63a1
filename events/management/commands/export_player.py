"""``manage.py export_player``: every stored row of a player."""

from argparse import ArgumentParser
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.domain import PLAYER_ID
from events.importing.terminal import say
from events.management.walk_display import walk_display
from events.management.walk_options import add_rate_argument, refuse_rate
from events.models import SessionByCountry
from events.upkeep.player_rows import StartsOfPlayer, last_line, lines_of
from store.errors import StoreError

DEFAULT_ROWS_PER_SECOND = 50_000


class Command(BaseCommand):
    """As ``GET /api/v1/players/{player_id}/export/``, and the starts that only a reading of all starts finds."""

    help = (
        "Write every stored row of a player as JSON lines, also the starts that a later start of the same session "
        "superseded. The last line says how many rows there are: without it the export is cut off."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("player", metavar="ID", help="a player")
        add_rate_argument(parser, default=DEFAULT_ROWS_PER_SECOND)

    def handle(self, *, player: str, rate: int, **options: Any) -> None:
        refuse_rate(rate)
        if not PLAYER_ID.match(player):
            raise CommandError(f"{player!r} is no player id.")
        rows = 0
        try:
            with walk_display("Exporting") as show:
                every_start = StartsOfPlayer(player, most_rows=rate, on_progress=show)
                for line in chain(lines_of(player, without=SessionByCountry), every_start.lines()):
                    rows += 1
                    if not say(self.stdout, line):
                        return
        except StoreError as error:
            raise CommandError(f"Cassandra refuses, or does not answer: {error}. Run it again.") from error
        say(self.stdout, last_line(rows))
