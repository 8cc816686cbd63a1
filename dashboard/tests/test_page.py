"""GET /"""

import gzip
import hashlib
import re
import time
import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from conftest import WebServer, free_port
from dashboard import scripts

APP = Path(__file__).parent.parent
STATIC = APP / "static" / "dashboard"
VENDOR = STATIC / "vendor"


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and the text inside of script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"}:
            self.inline += data.strip()

    def targets(self) -> list[str]:
        named = [attributes.get("src") or attributes.get("href") for _, attributes in self.found]
        return [target for target in named if target]


@pytest.fixture
def page(client: Client) -> str:
    return client.get("/").content.decode()


def policy(client: Client) -> dict[str, str]:
    written = client.get("/")["Content-Security-Policy"]
    return {name: rest for name, _, rest in (directive.partition(" ") for directive in written.split("; "))}


def test_the_page_is_html_with_the_name_of_the_service(client):
    reply = client.get("/")
    assert (reply.status_code, reply["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Player sessions</title>" in reply.content.decode()


def test_whoever_accepts_something_else_gets_the_page(client):
    assert client.get("/", headers={"accept": "application/json"})["Content-Type"].startswith("text/html")


def test_it_can_only_be_read(client):
    assert client.head("/").status_code == 200
    assert client.post("/").status_code == 405


@pytest.mark.alone
def test_it_is_there_without_a_store(web_server: Callable[..., WebServer]):
    web = web_server(CASSANDRA_PORT=str(free_port()), WEB_WORKERS="1")
    began = time.monotonic()
    assert urllib.request.urlopen(f"{web.url}/", timeout=5).status == 200
    assert time.monotonic() - began < 1


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(client):
    allowed = policy(client)
    assert allowed.pop("require-trusted-types-for") == "'script'"
    assert allowed["default-src"] == "'none'"
    assert set(allowed.values()) == {"'none'", "'self'"}
    assert {"base-uri", "form-action", "frame-ancestors"} <= set(allowed)  # not covered by default-src


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ],
)
def test_it_has_the_usual_security_headers(client, header, value):
    assert client.get("/")[header] == value


@pytest.mark.parametrize("path", ["/api/v1/reports/starts/", "/livez"])
def test_other_addresses_are_as_they_were(client, path):
    reply = client.get(path, headers={"accept": "text/html"})
    assert reply.status_code == 200
    assert "Content-Security-Policy" not in reply


def test_nothing_is_inline(page):
    tags = Tags(page)
    assert tags.inline == ""
    for tag, attributes in tags.found:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_everything_comes_from_here(page):
    for target in Tags(page).targets():
        assert re.match(r"/(?!/)|#", target), target
        if target.startswith("/static/"):
            assert finders.find(re.sub(r"^/static/[0-9a-f]{16}/", "", target)), target


def test_every_module_is_in_the_script_once_behind_those_that_it_needs():
    modules = {module.name: module.read_text() for module in STATIC.glob("*.js")}
    order = re.findall(r"^modules\['(.+?)'\] = ", scripts.collected(), re.MULTILINE)
    assert sorted(order) == sorted(modules)
    for name, text in modules.items():
        for needed in re.findall(r'from "\./(.+?)"', text):
            assert order.index(needed) < order.index(name)


def test_modules_have_the_statements_alone_that_the_script_takes():
    left = re.findall(
        r"^.*\b(?:import|export)\b.*$", re.sub(r"/\*.*?\*/|//.*", "", scripts.collected(), flags=re.S), re.M
    )
    assert left == []


def test_the_script_is_kept_for_ever_by_the_name_of_its_content(client, page):
    [address] = [target for target in Tags(page).targets() if target.startswith("/page.js")]
    named, plain = client.get(address), client.get("/page.js")
    assert named.content == plain.content
    assert named["Content-Type"].startswith("text/javascript")
    assert (named["Cache-Control"], plain["Cache-Control"]) == ("max-age=31536000, public, immutable", "no-cache")


def test_its_first_load_is_light(client, page):
    """Page, styles and scripts as a browser gets them: 20 kB of 70 are left for their headers and the reports."""
    addresses = {target for target in Tags(page).targets() if target.startswith(("/static/", "/page.js"))}
    replies = [client.get(address, headers={"accept-encoding": "gzip"}) for address in addresses]
    bodies = [b"".join(reply.streaming_content) if reply.streaming else reply.content for reply in replies]
    for reply in replies:
        reply.close()
    assert {reply.status_code for reply in replies} == {200}
    sizes = [
        len(body if reply.get("Content-Encoding") == "gzip" else gzip.compress(body))
        for reply, body in zip(replies, bodies, strict=True)
    ]
    assert 4 <= len(replies) < 12
    assert 20_000 < len(gzip.compress(page.encode())) + sum(sizes) < 50_000


def test_every_label_names_an_input(page):
    tags = Tags(page).found
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in tags:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids, (tag, name)


def test_a_page_asks_again_when_the_cache_has_run_out(client, settings):
    for cached, asked in ((50, 50), (0, 5)):
        settings.REPORT_CACHE_SECONDS = cached
        assert f'data-refresh-seconds="{asked}"' in client.get("/").content.decode()


def test_every_file_of_others_is_the_one_that_was_vendored():
    noted = [line for line in (VENDOR / "VENDORED").read_text().splitlines() if not line.startswith("#")]
    hashes = {name: digest for digest, name in (line.split() for line in noted)}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    assert there.pop("VENDORED")
    assert there == hashes
    assert [name for name in hashes if name.endswith("LICENSE")]
