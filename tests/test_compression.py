"""Bytes on the way out: compressed for whoever accepts it, not sent again to whoever has them, cached by name."""

import gzip
import http.client
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage

from conftest import WebServer
from reports.tests.test_starts import record_starts
from web.compression import LEAST_BYTES, accepts_gzip

SWAGGER = "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
BROWSER = "gzip, deflate, br, zstd"
YEAR = "max-age=31536000, public, immutable"


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.content) if self.headers.get("content-encoding") == "gzip" else self.content


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(WEB_WORKERS="1", REPORT_CACHE_SECONDS="50")
    yield server
    server.stop()


@pytest.fixture
def ask(web: WebServer) -> Callable[..., Reply]:
    def ask(path: str, *, method: str = "GET", **headers: str) -> Reply:
        """Header names with underscores; nothing is asked for that is not named."""
        with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=5)) as connection:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())

    return ask


@pytest.fixture
def report(country: str, now_ms: int) -> str:
    """The address of a report of some kilobytes."""
    record_starts(country, *range(now_ms - 100, now_ms), now_ms=now_ms)
    return f"/api/v1/reports/starts/{country}/"


@pytest.mark.parametrize(
    ("accepted", "gzip_is"),
    [
        ("gzip", True),
        (BROWSER, True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("GZIP", True),
        ("*", True),
        ("deflate, gzip ; q=0.001", True),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("xgzip, gzipx", False),
        ("gzip;q=oops", False),
    ],
)
def test_gzip_is_accepted_by_name_or_by_a_star(accepted: str, gzip_is: bool) -> None:
    assert accepts_gzip(accepted) is gzip_is


def test_a_report_is_compressed_for_whoever_accepts_it(ask, report) -> None:
    """Asked for in turn, so that it comes from the framework first and then from memory."""
    for _ in range(3):
        packed, plain = ask(report, Accept_Encoding=BROWSER), ask(report)
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.body == plain.content
        assert len(packed.content) < len(plain.content) * 0.7
        for reply in (packed, plain):
            assert int(reply.headers["content-length"]) == len(reply.content)
            assert reply.headers["vary"] == "Accept, Accept-Encoding"
        assert packed.headers["etag"] == plain.headers["etag"]
    assert "age" in plain.headers


def test_forms_and_codings_of_a_report_are_kept_apart(ask, report) -> None:
    for _ in range(2):
        for accept, begin in (("application/json", b'{"country"'), ("text/html", b"<!DOCTYPE html>")):
            for coding in (BROWSER, "identity"):
                assert ask(report, Accept=accept, Accept_Encoding=coding).body.lstrip().startswith(begin)


@pytest.mark.parametrize(
    "path",
    ["/", "/page.js", "/api/v1/schema/", "/api/v1/docs/", "/api/v1/schema/?format=json", "/static/dashboard/main.js"],
)
def test_whatever_is_text_is_compressed(ask, path) -> None:
    packed, plain = ask(path, Accept_Encoding="gzip"), ask(path)
    assert packed.headers["content-encoding"] == "gzip"
    tokens = rb"[A-Za-z0-9]{64}"  # of Django's forms, new in each page
    assert re.sub(tokens, b"", packed.body) == re.sub(tokens, b"", plain.content)
    assert len(packed.content) < len(plain.content)
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "Accept-Encoding" in packed.headers["vary"]


def test_what_is_small_is_not_compressed(ask) -> None:
    for path in ("/livez", "/api/v1/reports/players/nobody_at_all/sessions/", "/api/v1/nowhere"):
        reply = ask(path, Accept_Encoding="gzip")
        assert len(reply.content) < LEAST_BYTES
        assert "content-encoding" not in reply.headers


def test_a_file_of_starts_is_sent_as_it_is(ask, report) -> None:
    reply = ask(f"{report}?format=csv", Accept_Encoding="gzip")
    assert "content-encoding" not in reply.headers
    assert reply.content.count(b"\n") == 101


def test_a_report_that_the_client_has_is_not_sent_again(ask, report) -> None:
    """From memory and, with another spelling, from behind it."""
    first = ask(report)
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    for path in (report, f"{report}?hours=24", f"{report}?hours=024"):
        for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            again = ask(path, If_None_Match=known, Accept_Encoding=BROWSER)
            assert (again.status, again.content) == (304, b"")
            assert again.headers["etag"] == etag
            assert again.headers["vary"] == first.headers["vary"]
            assert again.headers["cache-control"] == "max-age=50"
            assert "content-type" not in again.headers
        assert ask(path, If_None_Match='"other"').content == first.content


def test_a_304_is_not_what_others_get(ask, report) -> None:
    """Also when the one who has it asks while nothing is cached."""
    moment = json.loads(ask(report).content)["to"]
    asked = f"{report}?as_of={moment}&limit=50"
    etag = ask(asked).headers["etag"]
    once_more = asked.replace("limit=50", "limit=49")
    assert ask(once_more, If_None_Match=etag).status == 200
    for _ in range(2):
        assert ask(asked, If_None_Match=etag).status == 304
        assert ask(asked).status == 200


def test_head_has_the_headers_of_get(ask, report) -> None:
    for headers in ({}, {"Accept_Encoding": "gzip"}):
        get, head = ask(report, **headers), ask(report, method="HEAD", **headers)
        assert head.content == b""
        for name in ("etag", "vary", "content-type"):
            assert head.headers[name] == get.headers[name]
        assert head.headers.get("content-encoding") == get.headers.get("content-encoding")
    assert ask(report, method="HEAD", If_None_Match=get.headers["etag"]).status == 304


def test_an_error_has_no_validator(ask) -> None:
    reply = ask("/api/v1/reports/starts/?hours=0", If_None_Match="*")
    assert reply.status == 400
    assert "etag" not in reply.headers


def test_static_names_hold_for_a_year(ask) -> None:
    address = staticfiles_storage.url("dashboard/page.css")
    assert re.fullmatch(r"/static/[0-9a-f]{16}/dashboard/page\.css", address)
    assert address in ask("/").content.decode()
    for headers in ({}, {"Accept_Encoding": BROWSER}):
        assert ask(address, **headers).headers["cache-control"] == YEAR
    etag = ask(address, Accept_Encoding=BROWSER).headers["etag"]
    assert ask(address, Accept_Encoding=BROWSER, If_None_Match=etag).status == 304


def test_a_page_of_another_release_gets_its_files_but_not_for_a_year(ask) -> None:
    for address in ("/static/dashboard/main.js", f"/static/{'0' * 16}/dashboard/main.js"):
        reply = ask(address)
        assert (reply.status, reply.headers["cache-control"]) == (200, "max-age=60, public")
    assert ask(f"/static/{'0' * 16}/dashboard/nothing.js").status == 404


def test_a_part_of_a_file_is_of_the_plain_one(ask) -> None:
    address = staticfiles_storage.url(SWAGGER)
    reply = ask(address, Accept_Encoding="gzip", Range="bytes=0-9")
    assert (reply.status, len(reply.content)) == (206, 10)
    assert "content-encoding" not in reply.headers


def test_the_bundles_of_the_documentation_are_compressed(ask) -> None:
    packed = ask(staticfiles_storage.url(SWAGGER), Accept_Encoding="gzip")
    assert len(packed.content) < 600_000 < 1_000_000 < len(packed.body)
