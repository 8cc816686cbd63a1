"""A line in the log for a share of all requests, and for slow ones; a trace's id in every line of a request."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from conftest import WebServer
from web import request_log
from web.request_ids import RequestIdFilter
from web.request_log import RequestLog

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REPORT = "/api/v1/reports/players/whoever/sessions/"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "x" * 50,
    "ALLOWED_HOSTS": "127.0.0.1",
    "AUTH": "keys",
    "WEB_WORKERS": "1",
}


def traceparent(trace: str = TRACE) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def ask(web: WebServer, path: str, **headers: str) -> int:
    request = urllib.request.Request(web.url + path, headers=headers)
    try:
        return int(urllib.request.urlopen(request, timeout=10).status)
    except urllib.error.HTTPError as error:
        return error.code


def lines(log: Path, logger: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in read if line["name"] == logger and line.get("route") != "/livez"]


def test_every_request_has_a_line_of_its_own(web_server: Callable[..., WebServer], tmp_path: Path) -> None:
    """Also one that is answered from memory, and one without a key."""
    web = web_server(log=(log := tmp_path / "log"), LOG_REQUEST_SHARE="1", **{**PRODUCTION, "AUTH": "none"})
    for _ in range(4):
        assert ask(web, REPORT, traceparent=traceparent(), **{"X-Request-ID": "mine"}) == 200
    assert ask(web, "/nothing") == 404
    first, *others, nothing = lines(log, "web.request_log")
    assert len(others) == 3
    for line in (first, *others):
        assert (line["request_id"], line["trace_id"]) == ("mine", TRACE)
        assert (line["method"], line["path"], line["status"], line["reason"]) == ("GET", REPORT, 200, "sampled")
        assert line["route"] == "/api/v1/reports/players/{player_id}/sessions/"
    # Any one of them may have had to wait for a busy machine.
    assert 0 < min(line["duration_ms"] for line in others) < first["duration_ms"] < 10_000
    assert (nothing["status"], nothing["trace_id"], len(nothing["request_id"])) == (404, "-", 32)


def test_by_default_there_is_none(web_server: Callable[..., WebServer], tmp_path: Path) -> None:
    web = web_server(log=(log := tmp_path / "log"), **PRODUCTION)
    assert ask(web, REPORT) == 401
    assert "whoever" not in log.read_text()


def test_other_lines_of_a_request_carry_its_trace(web_server: Callable[..., WebServer], tmp_path: Path) -> None:
    """Of the fast path and of Django; a header of another form is not taken for one."""
    web = web_server(log=(log := tmp_path / "log"), LOG_LEVEL="DEBUG", **{**PRODUCTION, "AUTH": "none"})
    batch = b'[{"event": "end", "player_id": "whoever", "ts": "2001-01-01T00:00:00Z"}]'
    for named in (traceparent(), traceparent("0" * 32), f"{traceparent()}x", "ff" + traceparent()[2:], "nonsense"):
        headers = {"Content-Type": "application/json", "traceparent": named, "X-Request-ID": "mine"}
        request = urllib.request.Request(f"{web.url}/api/v1/events/", batch, headers)
        assert urllib.request.urlopen(request, timeout=10).status == 201
        assert ask(web, "/nothing", traceparent=named, **{"X-Request-ID": "mine"}) == 404
    traces = [line["trace_id"] for line in lines(log, "web.request_ids") if line["request_id"] == "mine"]
    assert traces == [TRACE, TRACE, *["-"] * 8]


class Clock:
    now = 0.0


@pytest.mark.parametrize(
    ("slow_seconds", "took", "reasons"),
    [(0.5, 0.5, ["slow"]), (0.5, 0.49, []), (0, 100.0, []), (0.001, 0.002, ["slow"])],
)
def test_a_slow_request_has_a_line_whatever_the_share(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    slow_seconds: float,
    took: float,
    reasons: list[str],
) -> None:
    monkeypatch.setattr(request_log, "perf_counter", lambda: Clock.now)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        Clock.now += took
        start_response("200 OK", [])
        return []

    stage = RequestLog(application, share=0, slow_seconds=slow_seconds)
    with caplog.at_level(logging.INFO, logger="web.request_log"):
        stage({"REQUEST_METHOD": "GET", "PATH_INFO": REPORT}, lambda *_: None)
    assert [vars(record)["reason"] for record in caplog.records] == reasons


def test_a_share_is_a_share(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return []

    stage = RequestLog(application, share=0.2, slow_seconds=0)
    with caplog.at_level(logging.INFO, logger="web.request_log"):
        for _ in range(2_000):
            stage({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)
    assert 280 < len(caplog.records) < 520  # less often wrong than once in 10^9 runs


def test_an_application_that_fails_is_logged_as_500(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError

    caplog.handler.addFilter(knows_the_request := RequestIdFilter())
    with caplog.at_level(logging.INFO, logger="web.request_log"), pytest.raises(RuntimeError):
        RequestLog(application, share=1, slow_seconds=0)(
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_TRACEPARENT": traceparent()}, lambda *_: None
        )
    caplog.handler.removeFilter(knows_the_request)
    [record] = caplog.records
    assert (vars(record)["status"], vars(record)["trace_id"]) == (500, TRACE)
