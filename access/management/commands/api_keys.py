"""``manage.py api_keys``: make, list, rotate and revoke the keys of those who use the service."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from access import key_store
from access.keys import NEVER, SCOPES, Key, new_key, stored_form
from store.errors import StatementRejected, StoreError

NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,64}\Z")
DURATION = re.compile(r"(\d{1,6})(s|m|h|d)\Z")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
FIELDS = ("name", "id", "state", "scopes", "events_per_second", "created_at", "ends_at")


class Command(BaseCommand):
    """A key is shown once, when it is made: only its digest is stored. It alone goes to the standard output."""

    help = "Make, list, rotate and revoke keys. Every process of the service knows a change within three seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = _action(actions, "create", "make a key and show it, once")
        create.add_argument(
            "--scope", action="append", choices=SCOPES, required=True, help="what it may do; may be repeated"
        )
        create.add_argument("--name", type=_name, required=True, help="the owner of the key")
        create.add_argument(
            "--expires", type=_milliseconds, metavar="90d", help="its lifetime, in s, m, h or d; default: no end"
        )
        create.add_argument(
            "--events-per-second", type=_rate, metavar="N", help="0: no limit; default: EVENTS_PER_SECOND"
        )
        _action(actions, "list", "list all keys by their names and ids; the keys themselves are not stored")
        rotate = _action(actions, "rotate", "make a new key with the rights of a name's keys, which then expire")
        rotate.add_argument("name", type=_name)
        rotate.add_argument(
            "--overlap", type=_milliseconds, default=86_400_000, metavar="24h", help="how long those stay valid (24h)"
        )
        revoke = _action(actions, "revoke", "refuse a key, or all keys of a name, from now on; this cannot be undone")
        revoke.add_argument("name", metavar="NAME_OR_ID", type=_name)

    def handle(self, *, action: str, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {
            "create": self._create,
            "list": self._list,
            "rotate": self._rotate,
            "revoke": self._revoke,
        }
        try:
            actions[action](now_ms=int(datetime.now(UTC).timestamp() * 1_000), **options)
        except StatementRejected as error:
            raise CommandError(f"{error} Run 'manage.py sync_cassandra'.") from error
        except StoreError as error:
            raise CommandError(f"Cassandra does not answer: {error} Run the same command again.") from error

    def _create(
        self,
        *,
        now_ms: int,
        scope: list[str],
        name: str,
        expires: int | None,
        events_per_second: int | None,
        **options: Any,
    ) -> None:
        if _valid_of(name, now_ms=now_ms):
            raise CommandError(f"There is a valid key of {name}. Rotate it, or take another name.")
        expires_ms = NEVER if expires is None else now_ms + expires
        self._make(scope, name, now_ms, expires_ms, events_per_second, as_json=options["json"])

    def _list(self, *, now_ms: int, **options: Any) -> None:
        keys = sorted(key_store.stored_keys(), key=lambda key: (key.name, key.created_ms))
        rows = [_described(key, now_ms=now_ms) for key in keys]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        elif not rows:
            self.stderr.write("There are no keys.")
        else:
            self.stdout.write(_table(rows))

    def _rotate(self, *, now_ms: int, name: str, overlap: int, **options: Any) -> None:
        former = _valid_of(name, now_ms=now_ms)
        if not former:
            raise CommandError(f"There is no valid key of {name}. 'manage.py api_keys list' shows all.")
        latest = max(former, key=lambda key: key.created_ms)
        expires_ms = NEVER if latest.expires_ms == NEVER else now_ms + latest.expires_ms - latest.created_ms
        self._make(latest.scopes, name, now_ms, expires_ms, latest.events_per_second, as_json=options["json"])
        for key in former:
            key_store.expire(key, at_ms=now_ms + overlap)
        self.stderr.write(f"Former keys of {name} are refused from {_moment(now_ms + overlap)} on.")

    def _revoke(self, *, now_ms: int, name: str, **options: Any) -> None:
        keys = [key for key in key_store.stored_keys() if name in (key.name, key.key_id)]
        if not keys:
            raise CommandError(f"There is no key {name}. 'manage.py api_keys list' shows all.")
        for key in keys:
            key_store.revoke(key, now_ms=now_ms)
        revoked = [key.key_id for key in keys]
        if options["json"]:
            self.stdout.write(json.dumps({"revoked": revoked}))
        self.stderr.write(f"Revoked: {', '.join(revoked)}. Every process refuses them within three seconds.")

    def _make(
        self,
        scopes: Iterable[str],
        name: str,
        now_ms: int,
        expires_ms: float,
        events_per_second: int | None,
        *,
        as_json: bool,
    ) -> None:
        text = new_key(frozenset(scopes))
        key = stored_form(
            text,
            scopes=[*scopes],
            name=name,
            created_ms=now_ms,
            expires_ms=expires_ms,
            events_per_second=events_per_second,
        )
        key_store.add(key)
        self.stdout.write(json.dumps({"key": text, **_described(key, now_ms=now_ms)}) if as_json else text)
        self.stderr.write(f"This key of {name} is not shown again. It may: {', '.join(sorted(scopes))}.")
        if settings.AUTH != "keys":
            self.stderr.write("AUTH is not 'keys' here: no key is asked for.")


def _action(actions: Any, name: str, description: str) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(name, help=description, description=description)
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    return parser


def _valid_of(name: str, *, now_ms: int) -> list[Key]:
    return [key for key in key_store.stored_keys() if key.name == name and not key.is_over(now_ms)]


def _described(key: Key, *, now_ms: int) -> dict[str, Any]:
    """Return what may be known of a key."""
    ends_ms = min(key.expires_ms, key.revoked_ms)
    state = "revoked" if key.is_revoked else "expired" if key.is_over(now_ms) else "valid"
    return {
        "name": key.name,
        "id": key.key_id,
        "state": state,
        "scopes": sorted(key.scopes),
        "events_per_second": key.events_per_second,
        "created_at": _moment(key.created_ms),
        "ends_at": None if ends_ms == NEVER else _moment(ends_ms),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [FIELDS, *([_cell(row[field]) for field in FIELDS] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(FIELDS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cell(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else "-" if value is None else str(value)


def _moment(ms: float) -> str:
    return datetime.fromtimestamp(ms // 1_000, UTC).isoformat().replace("+00:00", "Z")


def _name(text: str) -> str:
    if not NAME.match(text):
        raise ArgumentTypeError("write 1 to 64 of A-Z a-z 0-9 _ . : @ -")
    return text


def _milliseconds(text: str) -> int:
    match = DURATION.match(text)
    if not match:
        raise ArgumentTypeError("write a number and s, m, h or d, such as 90d")
    return int(match[1]) * SECONDS[match[2]] * 1_000


def _rate(text: str) -> int:
    if not text.isdecimal() or int(text) > 1_000_000:
        raise ArgumentTypeError("write 0 to 1000000")
    return int(text)
