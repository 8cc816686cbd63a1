"""Logs: JSON with the request's id in production."""

import json
import logging
import os
import subprocess
import sys
import urllib.request

from conftest import PROJECT
from sessions_project.logs import RequestIdFilter

SCRIPT = """
import django, logging
django.setup()
from sessions_project.logs import request_id
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
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    line = json.loads(told.stderr)
    assert (line["message"], line["levelname"], line["request_id"]) == ("it's done", "WARNING", "abc")


def test_every_request_is_logged_with_its_id(api, caplog):
    caplog.set_level(logging.DEBUG, logger="sessions_project.logs")
    caplog.handler.addFilter(knows_the_request := RequestIdFilter())
    api.get("/livez", headers={"x-request-id": "trace-7"})
    caplog.handler.removeFilter(knows_the_request)
    [record] = [record for record in caplog.records if record.name == "sessions_project.logs"]
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
