"""``manage.py``: lists our commands first, and refuses those that need a relational database."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.core.management.base import BaseCommand

from events.importing.terminal import let_go, note
from sessions_project.checks import SETTINGS_TAG, check_settings, refuse

_TABLES = "There is no relational database; 'manage.py sync_cassandra' creates the tables."
_TRANSLATIONS = "Nothing here is translated."
# Commands of Django and its packages that fail here, or do nothing, and what to do instead.
USELESS = {
    **dict.fromkeys(
        "createcachetable dbshell dumpdata flush inspectdb loaddata makemigrations migrate optimizemigration "
        "showmigrations sqlflush sqlmigrate sqlsequencereset squashmigrations syncdb".split(),
        _TABLES,
    ),
    **dict.fromkeys(("compilemessages", "makemessages"), _TRANSLATIONS),
    "collectstatic": "Static files are served from where they are installed; there is nothing to collect.",
    "generateschema": "'manage.py spectacular' writes the schema.",
    "sendtestemail": "The service sends no mail.",
    "test": "'make test' runs the tests.",
    "testserver": "'make run' serves.",
}


class CommandLine(ManagementUtility):
    """Django's command line, without what is USELESS."""

    def execute(self) -> None:
        """Run the command that the arguments name."""
        _lead_closed_streams_to_nowhere()
        with _without_tracebacks():
            try:
                super().execute()
            finally:
                sys.stdout.flush()

    def main_help_text(self, commands_only: bool = False) -> str:
        """Return what ``manage.py help`` says; with ``commands_only`` the names, a line each."""
        others = sorted(get_commands().keys() - USELESS.keys() - _own_commands())
        if commands_only:
            return "\n".join(sorted([*_own_commands(), *others]))
        width = max(map(len, _own_commands()))
        return "\n".join(
            [
                f"{self.prog_name} COMMAND [OPTIONS]; '{self.prog_name} help COMMAND' says more.",
                "",
                "Commands of this service:",
                *(f"  {name:{width}}  {summary}" for name, summary in _summaries()),
                "",
                "Commands of Django and its packages:",
                *(f"  {name}" for name in others),
                "",
                "To serve: python -m sessions_project",
            ]
        )

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command; end the process, with what to do instead, for one that is USELESS."""
        if subcommand in USELESS:
            sys.exit(f"{self.prog_name} {subcommand} does not work here. {USELESS[subcommand]}")
        if subcommand not in _own_commands():
            return super().fetch_command(subcommand)
        refuse(check_settings(None))
        command = super().fetch_command(subcommand)
        # Django's own checks import all views, which is half of a command's start.
        command.requires_system_checks = [SETTINGS_TAG]
        return command


def _lead_closed_streams_to_nowhere() -> None:
    """Open them on nowhere: else they are None, and what is opened next would take their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """End the process in a line on Ctrl-C and where standard output is full; without one where nobody reads it."""
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped.")
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # as before "| head"
        let_go(sys.stdout)
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        let_go(sys.stdout)
        sys.exit(f"Standard output cannot be written: {error.strerror}.")


def _own_commands() -> set[str]:
    rooms = {app.name for app in apps.get_app_configs() if Path(app.path).parent == settings.BASE_DIR}
    return {name for name, app in get_commands().items() if app in rooms}


def _summaries() -> Iterator[tuple[str, str]]:
    """Yield each of our commands and the first sentence of its help."""
    for name in sorted(_own_commands()):
        command = load_command_class(get_commands()[name], name)
        yield name, f"{command.help.partition('. ')[0].rstrip('.')}."
