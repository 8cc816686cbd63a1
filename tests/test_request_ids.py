"""Logs: JSON with the request's id in production."""

import json
import logging
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PROJECT, WebServer
from web.log_format import ReadableFormatter
from web.request_ids import RequestIdFilter

SCRIPT = """
import django, logging
django.setup()
from web.request_ids import request_id
request_id.set("abc")
logging.getLogger("events").warning("it's %s", "done")
"""


def test_production_logs_are_json_with_the_request_id():
    environment = {
        "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
        "ENVIRONMENT": "production",
        "SECRET_KEY": "x" * 50,
        "ALLOWED_HOSTS": "a",
    }
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    line = json.loads(ended.stderr)
    assert (line["message"], line["levelname"], line["request_id"]) == ("it's done", "WARNING", "abc")


def test_every_request_is_logged_with_its_id(api, caplog):
    caplog.set_level(logging.DEBUG, logger="web.request_ids")
    caplog.handler.addFilter(knows_the_request := RequestIdFilter())
    api.get("/livez", headers={"x-request-id": "trace-7"})
    caplog.handler.removeFilter(knows_the_request)
    [record] = [record for record in caplog.records if record.name == "web.request_ids"]
    assert record.getMessage().startswith("GET /livez 200 in ")
    assert record.request_id == "trace-7"


def test_so_is_one_that_is_answered_from_memory(web_server, tmp_path):
    log = tmp_path / "web.log"
    web = web_server(log=log, LOG_LEVEL="DEBUG", REPORT_CACHE_SECONDS="50", WEB_WORKERS="1")
    address = f"{web.url}/api/v1/reports/players/whoever/sessions/"
    for number in range(2):
        request = urllib.request.Request(address, headers={"X-Request-ID": f"trace-{number}"})
        urllib.request.urlopen(request).close()
    assert "GET /api/v1/reports/players/whoever/sessions/ 200 from memory [trace-1]" in log.read_text()


BREAKS = ["\n", "\r", "\x0b", "\x0c", "\x1b[2K\r", "\x85", "\u2028", "\u2029", "\r\n"]


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_path_cannot_forge_a_line(web_server: Callable[..., WebServer], tmp_path: Path, environment: str) -> None:
    """Whatever a terminal, or a program that reads lines, takes for the end of one; also of a reply from memory."""
    log = tmp_path / "web.log"
    web = web_server(
        log=log,
        LOG_LEVEL="DEBUG",
        ENVIRONMENT=environment,
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS="127.0.0.1",
        AUTH="none",
        WEB_WORKERS="1",
    )
    for sign in BREAKS:
        for path in (f"/nowhere{sign}forged", f"/api/v1/reports/players/a{sign}forged/sessions/"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(web.url + urllib.parse.quote(path))
    logged = [line for line in log.read_text().splitlines() if "forged" in line]
    assert sum("web.request_ids" in line for line in logged) == 2 * len(BREAKS)
    for line in logged:
        assert line.isprintable()
        assert json.loads(line)["name"] if environment == "production" else re.match(r"\d{4}-\d\d-\d\d ", line)


def test_neither_can_the_message_of_an_error() -> None:
    try:
        raise ValueError("wrong:\n2026-11-30 00:00:00,000 INFO forged\u2028forged")
    except ValueError:
        record = logging.LogRecord(
            "a", logging.ERROR, "a.py", 1, "it %s", ("failed",), sys.exc_info(), sinfo="a\nforged"
        )
    first, *others = ReadableFormatter("%(message)s").format(record).splitlines()
    assert first == "it failed"
    assert any("forged" in line for line in others)
    assert all(line.startswith("    ") for line in others)
