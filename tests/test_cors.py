"""Scripts of the pages that the operator names may read reports; nobody's script may write."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from web.cors import Cors

PAGE, REPORT = "https://ops.example.org", "/api/v1/reports/starts/"


def ask(path: str, method: str = "GET", **environ: str) -> tuple[str, dict[str, str]]:
    heads: list[Any] = []
    stage = Cors(_application, origins=[PAGE], path="/api/v1/reports/")
    b"".join(stage({"REQUEST_METHOD": method, "PATH_INFO": path, **environ}, lambda *head: heads.extend(head)))
    return heads[0], dict(heads[1])


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("X-Reached", "yes")])
    return []


def test_a_script_of_a_page_that_is_named_may_read_reports() -> None:
    status, headers = ask(REPORT, HTTP_ORIGIN=PAGE)
    assert status == "200 OK"
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert "ETag" in headers["Access-Control-Expose-Headers"]
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://elsewhere.example.org", "http://ops.example.org", "null", ""])
def test_no_other_page_may(origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        _, headers = ask(REPORT, method, HTTP_ORIGIN=origin, HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET")
        assert not [name for name in headers if name.startswith("Access-Control")]
        assert headers["Vary"] == "Origin"  # a proxy that has cached this must not give it to the page


def test_a_preflight_is_answered_before_anybody_asks_for_a_key() -> None:
    status, headers = ask(REPORT, "OPTIONS", HTTP_ORIGIN=PAGE, HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET")
    assert status == "204 No Content"
    assert "X-Reached" not in headers
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    assert "POST" not in headers["Access-Control-Allow-Methods"]


def test_events_are_not_open_to_any_script() -> None:
    for method in ("POST", "OPTIONS"):
        _, headers = ask("/api/v1/events/", method, HTTP_ORIGIN=PAGE, HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
        assert headers == {"X-Reached": "yes"}
