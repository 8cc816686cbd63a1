"""The documents are true: their commands, settings, addresses and replies are those of the code.

What form they have, their links and the site are in ``test_documents_form.py``.
"""

import json
import os
import re
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    ParseError,
    UnsupportedMediaType,
    ValidationError,
)

from benchmarks import speed_page
from conftest import COUNTRIES_OF_DOCUMENTS, PROJECT, WebServer, manage
from events.domain import HOUR_MS, MINUTE_MS, Event, Window, day_of, format_timestamp, hour_of
from events.services import record_events
from reports.starts import starts_of_country
from store import cassandra
from web import problems

# In the order in which they are read: an example may show what an earlier one has sent.
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
# Line breaks of a paragraph do not matter.
DOCUMENTS = "\n".join(page.read_text() for page in PAGES)
# Its examples need keys: see test_keys_page.py.
OF_KEYS = (PROJECT / "docs/how-to/keys.md").read_text()
RUNNING = re.sub(r"(?<=\S)\n\s*(?=\S)", " ", DOCUMENTS)
# A command, perhaps with the moment that it names before it, and the reply that is shown.
EXAMPLES = re.findall(
    r"```console\n((?:\$ NOW=[^\n]*\n)?\$ curl .*?)\n((?:[{\[Hs].*?)?)```",
    DOCUMENTS.replace(OF_KEYS, ""),
    flags=re.DOTALL,
)
PLAYERS = set(re.findall(r'"player_id": ?"(\w+)"', "".join(command for command, _ in EXAMPLES)))
VARYING = {
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "UUID",
    r"\d{4}-\d\d-\d\dT\d\d(:|%3A)\d\d(:|%3A)\d\d(\.\d+)?Z": "MOMENT",
    r"http://127\.0\.0\.1:\d+": "HOST",
}


@pytest.fixture
def web(shared_web: WebServer) -> WebServer:
    return shared_web


def own_players(text: str, run: str) -> str:
    """The text with players that no other test has, by adding the name of this run to each."""
    return re.sub(rf"\b({'|'.join(PLAYERS)})\b", rf"\1-{run}", text)


def alike(text: str) -> object:
    """The reply with what differs from run to run replaced."""
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    if not text.lstrip().startswith(("{", "[")):
        return text.split()[:2]
    reply = json.loads(text)
    if isinstance(reply, dict) and "late" in reply:  # other tests send late starts
        reply["late"] = None
    if isinstance(reply, dict) and "countries" in reply:  # other tests have countries of their own
        reply["countries"] = [one for one in reply["countries"] if one["country"] in COUNTRIES_OF_DOCUMENTS]
        del reply["total"]
    return reply


def test_every_example_gives_the_reply_that_is_shown(web: WebServer, tmp_path: Path) -> None:
    assert len(EXAMPLES) >= 19
    (tmp_path / ".curlrc").write_text("silent\n")
    if (left := 3600 - time.time() % 3600) < 30:
        time.sleep(left)  # the timeline that is shown has its events in one hour
    run = uuid.uuid4().hex[:8]
    for command, shown in EXAMPLES:
        script = re.sub(r"^\$ ", "", command, flags=re.MULTILINE).replace("http://127.0.0.1:8000", web.url)
        script = own_players(script, run)
        environment = {**os.environ, "CURL_HOME": str(tmp_path)}
        shell = subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, text=True, check=True)
        assert alike(shell.stdout) == alike(own_players(shown, run)), command


def test_every_address_is_in_the_documents() -> None:
    for pattern in get_resolver().reverse_dict.values():
        template = pattern[0][0][0]
        plain = re.sub(r"%\((\w+)\)s", r"{\1}", template)
        assert f"`/{plain}`" in DOCUMENTS, plain


def test_every_setting_is_in_the_documents_and_the_example() -> None:
    sources = ["sessions_project/settings.py", "locustfiles/__main__.py", "locustfiles/latency.py"]
    code = "".join((PROJECT / source).read_text() for source in sources)
    read = set(re.findall(r'(?:_flag|_whole_number|_number|_list|_text|environ\.get)\(\s*["\']([A-Z_]+)', code))
    example = set(re.findall(r"^#?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert read == example
    for name in read:
        assert f"`{name}`" in DOCUMENTS, name


def test_the_defaults_are_those_of_the_documents_and_the_example() -> None:
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    # A secret has no default, this one is of the machine, and those of the load are not the service's.
    names = [name for name in example if name not in ("SECRET_KEY", "WEB_WORKERS") and not name.startswith("LOAD_")]
    show = f"import json; from django.conf import settings; print(json.dumps([getattr(settings, n) for n in {names}]))"
    # Set and empty, which is the default, whatever stands in a .env file.
    environment = {**os.environ, **dict.fromkeys(example, ""), "DJANGO_SETTINGS_MODULE": "sessions_project.settings"}
    values = json.loads(manage("shell", "--no-imports", "-c", show, env=environment).stdout)
    defaults = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in zip(names, values, strict=True)
    }
    assert defaults == {name: example[name] for name in names}
    page = (PROJECT / "docs/reference/settings.md").read_text()
    shown = dict(re.findall(r"^### `([A-Z_]+)`\n\nDefault: (?:`([^`]*)`|empty)", page, re.MULTILINE))
    assert shown == defaults


def test_the_bounds_are_those_of_the_documents() -> None:
    operations = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    asked = {
        (path, one["name"]): one["schema"]
        for path, methods in operations.items()
        for one in methods.get("get", {}).get("parameters", [])
    }
    for (_, name), schema in asked.items():
        if "minimum" in schema and "default" in schema:
            bounds = rf"{schema['minimum']} to {schema['maximum']},? \(?default {schema['default']}\b"
            assert re.search(rf"`{name}=?` (is )?{bounds}", RUNNING), f"{name}: {bounds}"


def test_every_command_and_target_is_in_the_documents() -> None:
    commands = [path.stem for path in (PROJECT / "events/management/commands").glob("[a-z]*.py")]
    targets = re.findall(r"^([a-z-]+):.*##", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    for command in commands:
        assert f"manage.py {command}" in DOCUMENTS or f"`{command}`" in DOCUMENTS, command
    for target in targets:
        assert re.search(rf"make {target}\b(?!-)", DOCUMENTS), target


def test_every_option_of_the_import_is_in_its_guide() -> None:
    own = manage("import_sessions", "--help").stdout.split("positional arguments")[0]
    ours = {
        "--rebase",
        "--dry-run",
        "--resume",
        "--rejects",
        "--max-rejects",
        "--checkpoint",
        "--workers",
        "--json",
        "--metrics",
    }
    assert ours <= set(re.findall(r"--[a-z-]+", own))
    guide = (PROJECT / "docs/how-to/import.md").read_text()
    for option in ours:
        assert f"`{option}" in guide, option


def test_every_kind_of_problem_is_in_the_documents() -> None:
    page = (PROJECT / "docs/reference/api.md").read_text()
    shown = set(re.findall(r"^\| `([a-z-]+)` \| \d{3} \|", page, re.MULTILINE))
    own = [one for one in vars(problems).values() if isinstance(one, type) and issubclass(one, APIException)]
    drf = [ParseError, NotFound, MethodNotAllowed, NotAcceptable, UnsupportedMediaType]
    codes = {one.default_code for one in [*own, *drf]} - {ValidationError.default_code}
    codes |= {problems.STORE_UNAVAILABLE[0], "invalid_input", "bad_request", "internal_error", "overloaded"}
    codes |= set(re.findall(r'Refusal\([A-Za-z_.]+, "(\w+)"', (PROJECT / "access/authorization.py").read_text()))
    assert shown == {code.replace("_", "-") for code in codes}


def test_what_is_deprecated_is_in_the_documents() -> None:
    schema = json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str)
    says_nothing_is = "Nothing is deprecated at present." in (PROJECT / "docs/reference/api.md").read_text()
    assert ('"deprecated": true' in schema) != says_nothing_is


def test_the_tables_of_speed_are_those_of_the_results() -> None:
    page = speed_page.PAGE.read_text()
    assert speed_page.with_speed(page) == page, "run: python -m benchmarks.speed_page"


def test_swagger_redoc_and_the_schema_work_offline(web: WebServer) -> None:
    for page in ("docs", "redoc"):
        html = urllib.request.urlopen(f"{web.url}/api/v1/{page}/").read().decode()
        assets = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert assets
        for asset in assets:
            assert asset.startswith("/"), asset
            assert urllib.request.urlopen(web.url + asset).status == 200
    schema = urllib.request.urlopen(f"{web.url}/api/v1/schema/?format=json").read()
    assert "/api/v1/events/" in json.loads(schema)["paths"]


def test_the_browsable_api_has_a_form_with_a_batch(web: WebServer) -> None:
    def page(server: WebServer) -> str:
        request = urllib.request.Request(f"{server.url}/api/v1/reports/starts/", headers={"Accept": "text/html"})
        return urllib.request.urlopen(request).headers["Content-Type"]

    assert page(web).startswith("text/html")
    request = urllib.request.Request(f"{web.url}/api/v1/events/", method="OPTIONS", headers={"Accept": "text/html"})
    form = urllib.request.urlopen(request).read().decode()
    assert "4a0c43c9-c43a-42ff-ba55-67563dfa35d4" in form


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False).stdout
    for name in tracked.split():
        path = Path(PROJECT / name)
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".in", ""} and path.is_file():
            text = path.read_text(errors="replace")
            assert not re.search(r"(?<![\w.])/(home|root|Users)/\w", text.replace(r"/(home|root|Users)/\w", "")), name


def test_an_hour_is_counted_anew_as_the_operators_guide_says(country: str, now_ms: int) -> None:
    """With the keyspace and the hour of a test."""
    hour_ms = hour_of(now_ms) - 5 * HOUR_MS
    day, hour = (format_timestamp(ms)[:16] + "Z" for ms in (day_of(hour_ms), hour_ms))
    record_events([Event("start", "counted", uuid.uuid4(), hour_ms, country)], now_ms=now_ms)
    window = Window(hour_ms - 1, hour_ms + HOUR_MS - MINUTE_MS - 1)

    def counted() -> int:
        return starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0]

    assert counted() == 1
    where = f"WHERE day = '{day}' AND hour = '{hour}' AND country = '{country}'"
    # As if counted after the late start, whose register is 30 s ahead: nothing is counted again.
    wrong = json.dumps([now_ms // 10_000 + 6, {}, "", [99] * 60])
    cassandra.execute(f"UPDATE {{keyspace}}.start_count SET minutes = '{wrong}' {where}", ())
    assert counted() == 59 * 99
    operations = (PROJECT / "docs/how-to/operate.md").read_text()
    [statements] = re.findall(r"```sql\n(DELETE day_hours .*?)```", operations, flags=re.DOTALL)
    statements, places = re.subn(r"WHERE day = '[^']+' AND hour = '[^']+' AND country = 'FI'", where, statements)
    statements, days = re.subn(r"WHERE day = '[^']+';", f"WHERE day = '{day}';", statements)
    assert (places, days) == (1, 1)
    for statement in filter(None, map(str.strip, statements.split(";"))):
        cassandra.execute(statement.replace("player_sessions.", "{keyspace}."), ())
    assert counted() == 1
