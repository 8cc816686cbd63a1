"""The README is true: its commands, settings, addresses and replies are those of the code."""

import json
import os
import re
import shlex
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from benchmarks.readme_table import with_speed
from conftest import PROJECT, WebServer, manage
from events.domain import HOUR_MS, MINUTE_MS, Event, Window, day_of, format_timestamp, hour_of
from events.services import record_events
from reports.starts import starts_of_country
from store import cassandra

README = (PROJECT / "README.md").read_text()
EXAMPLES = re.findall(r"```console\n\$ (curl .*?)\n((?:[{\[Hs].*?)?)```", README, flags=re.DOTALL)
VARYING = {
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "UUID",
    r"\d{4}-\d\d-\d\dT\d\d(:|%3A)\d\d(:|%3A)\d\d(\.\d+)?Z": "MOMENT",
    r"http://127\.0\.0\.1:\d+": "HOST",
}


@pytest.fixture(scope="module")
def web() -> WebServer:
    server = WebServer(REPORT_CACHE_SECONDS="0", WEB_WORKERS="1")
    yield server
    server.stop()


def alike(text: str) -> object:
    """The reply with what differs from run to run replaced."""
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    if not text.lstrip().startswith(("{", "[")):
        return text.split()[:2]
    reply = json.loads(text)
    if isinstance(reply, dict) and "countries" in reply:  # other tests have countries of their own
        reply["countries"] = [one for one in reply["countries"] if one["country"] == "AQ"]
        del reply["total"]
    return reply


def test_every_example_gives_the_reply_that_is_shown(web: WebServer) -> None:
    assert len(EXAMPLES) >= 9
    if (left := 3600 - time.time() % 3600) < 30:
        time.sleep(left)  # the timeline that is shown has its events in one hour
    for command, shown in EXAMPLES:
        words = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:8000", web.url))
        told = subprocess.run([*words, "--silent"], capture_output=True, text=True, check=True).stdout
        assert alike(told) == alike(shown), command


def test_every_address_is_in_the_readme() -> None:
    for pattern in get_resolver().reverse_dict.values():
        template = pattern[0][0][0]
        plain = re.sub(r"%\((\w+)\)s", r"{\1}", template)
        assert f"/{plain}" in README, plain


def test_every_setting_is_in_the_readme_and_the_example() -> None:
    sources = ["sessions_project/settings.py", "locustfiles/__main__.py"]
    code = "".join((PROJECT / source).read_text() for source in sources)
    read = set(re.findall(r'(?:env\.\w+|_whole_number|_number|_list|_text|environ\.get)\(\s*["\']([A-Z_]+)', code))
    example = set(re.findall(r"^#?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert read == example
    for name in read:
        assert f"`{name}`" in README, name


def test_the_defaults_are_those_of_the_readme_and_the_example() -> None:
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
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \|", README, re.MULTILINE))
    assert {"REPORT_CACHE_SECONDS", "RETENTION_SECONDS", "MAX_BODY_BYTES"} <= told.keys()
    assert {name: value for name, value in told.items() if name in defaults} == {
        name: value for name, value in defaults.items() if name in told
    }


def test_the_bounds_are_those_of_the_readme() -> None:
    operations = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    asked = {
        (path, one["name"]): one["schema"]
        for path, methods in operations.items()
        for one in methods.get("get", {}).get("parameters", [])
    }
    for (_, name), schema in asked.items():
        if "minimum" in schema and "default" in schema:
            bounds = rf"{schema['minimum']} to {schema['maximum']},? \(?default {schema['default']}\b"
            assert re.search(rf"`{name}=?` (is )?{bounds}", README), f"{name}: {bounds}"


def test_every_command_and_target_is_in_the_readme() -> None:
    commands = [path.stem for path in (PROJECT / "events/management/commands").glob("[a-z]*.py")]
    targets = re.findall(r"^([a-z-]+):.*##", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    for command in commands:
        assert f"manage.py {command}" in README or f"`{command}`" in README, command
    for target in targets:
        assert re.search(rf"make {target}\b(?!-)", README), target


def test_every_option_of_the_import_is_in_the_readme() -> None:
    own = manage("import_sessions", "--help").stdout.split("positional arguments")[0]
    ours = {"--rebase", "--dry-run", "--resume", "--rejects", "--max-rejects", "--checkpoint", "--workers", "--json"}
    assert ours <= set(re.findall(r"--[a-z-]+", own))
    for option in ours:
        assert f"`{option}" in README, option


def test_the_tables_of_speed_are_those_of_the_results() -> None:
    assert with_speed(README) == README, "run: python -m benchmarks.readme_table"


def test_every_file_that_is_linked_is_there() -> None:
    for name in ("README.md", "DESIGN.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", (PROJECT / name).read_text()):
            assert (PROJECT / target).exists(), f"{name}: {target}"


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


def test_an_hour_is_counted_anew_as_operations_says(country: str, now_ms: int) -> None:
    """With the keyspace and the hour of a test."""
    hour_ms = hour_of(now_ms) - 5 * HOUR_MS
    day, hour = (format_timestamp(ms)[:16] + "Z" for ms in (day_of(hour_ms), hour_ms))
    record_events([Event("start", "counted", uuid.uuid4(), hour_ms, country)], now_ms=now_ms)
    window = Window(hour_ms - 1, hour_ms + HOUR_MS - MINUTE_MS - 1)

    def counted() -> int:
        return starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0]

    assert counted() == 1
    where = f"WHERE day = '{day}' AND hour = '{hour}' AND country = '{country}'"
    wrong = json.dumps([now_ms // 10_000 - 9, {}, "", [99] * 60])
    cassandra.execute(f"UPDATE {{keyspace}}.start_count SET minutes = '{wrong}' {where}", ())
    assert counted() == 1 + 58 * 99  # the minute of the late start is counted again
    operations = (PROJECT / "docs/operations.md").read_text()
    [told] = re.findall(r"```sql\n(DELETE day_hours .*?)```", operations, flags=re.DOTALL)
    told, places = re.subn(r"WHERE day = '[^']+' AND hour = '[^']+' AND country = 'FI'", where, told)
    told, days = re.subn(r"WHERE day = '[^']+';", f"WHERE day = '{day}';", told)
    assert (places, days) == (1, 1)
    for statement in filter(None, map(str.strip, told.split(";"))):
        cassandra.execute(statement.replace("player_sessions.", "{keyspace}."), ())
    assert counted() == 1


def test_a_player_id_that_is_nobodys_is_deleted_by_hand(api, player: str, now_ms: int) -> None:
    """As docs/operations.md says it; what happened later stays."""
    old, new = (Event("end", player, uuid.uuid4(), ts, None) for ts in (now_ms - HOUR_MS, now_ms))
    record_events([old, new], now_ms=now_ms)
    told = re.findall(r"^(DELETE FROM .*?);$", (PROJECT / "docs/operations.md").read_text(), flags=re.MULTILINE)
    assert len(told) == 2
    for statement in told:
        statement, places = re.subn(r"TIMESTAMP \d{16}\b", f"TIMESTAMP {old.ts_ms * 1000}", statement)
        assert places == 1
        statement = statement.replace("player_sessions.", "{keyspace}.").replace("'null'", f"'{player}'")
        cassandra.execute(statement, ())
    page = f"/api/v1/reports/players/{player}/sessions/"
    for state in ("completed", "all"):
        results = api.get(page, {"state": state}).json()["results"]
        assert [row["session_id"] for row in results] == [str(new.session_id)]
