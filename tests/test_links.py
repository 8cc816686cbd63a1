"""Every link in a reply leads on, in the form that was asked for."""

import json
import re
import uuid
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from events.domain import Event
from events.services import record_events

STARTS = "/api/v1/reports/starts/"
FORMATS = [None, "json", "api"]


@pytest.fixture
def paged(player: str, country: str, now_ms: int) -> tuple[str, str]:
    """A player and a country with three pages of one session each, in every state."""
    for age in range(1, 4):
        ended, open_ = uuid.uuid4(), uuid.uuid4()
        record_events([Event("start", player, ended, now_ms - age * 1_000, country)], now_ms=now_ms)
        record_events([Event("end", player, ended, now_ms - age * 1_000 + 1, None)], now_ms=now_ms)
        record_events([Event("start", player, open_, now_ms - age * 1_000 - 500, country)], now_ms=now_ms)
    return player, country


def asked(path: str, **query: object) -> str:
    named = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
    return f"{path}?{named}" if named else path


def body_of(api, address: str, form: str | None) -> dict:
    """The reply, which must be in this form; of a page for people the JSON that it shows."""
    assert parse_qs(urlsplit(address).query).get("format") == (form and [form])
    reply = api.get(address)
    assert reply.status_code == 200, address
    assert reply["Content-Type"].startswith("text/html" if form == "api" else "application/json")
    return shown_on(reply.content.decode()) if form == "api" else reply.json()


def shown_on(page: str) -> dict:
    """What the browsable API shows as JSON."""
    [shown] = re.findall(r'class="response-info".*?\n\n</span>(.*?)</pre>', page, flags=re.DOTALL)
    return json.loads(unescape(re.sub(r"<[^>]+>", "", shown)))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"{STARTS}COUNTRY/", {"limit": 1, "hours": 2}),
        ("/api/v1/reports/players/PLAYER/sessions/", {"limit": 1}),
        ("/api/v1/reports/players/PLAYER/sessions/", {"limit": 1, "state": "completed", "overlaps": "true"}),
        ("/api/v1/reports/players/PLAYER/sessions/", {"limit": 1, "state": "open"}),
        ("/api/v1/reports/players/PLAYER/sessions/", {"limit": 1, "state": "all"}),
    ],
)
def test_a_walk_over_the_pages_has_the_same_form(api, paged, form, path, query):
    player, country = paged
    address: str | None = asked(path.replace("COUNTRY", country).replace("PLAYER", player), **query, format=form)
    seen = []
    while address:
        page = body_of(api, address, form)
        seen += [(row["session_id"], row.get("ts", row.get("started_at"))) for row in page["results"]]
        address = page["next"]
    assert len(seen) == len(set(seen)) >= 3


@pytest.mark.parametrize("form", FORMATS)
def test_the_report_of_countries_links_to_each_in_the_same_form(api, paged, form):
    _, country = paged
    report = body_of(api, asked(STARTS, hours=2, format=form), form)
    [link] = [one["url"] for one in report["countries"] if one["country"] == country]
    assert body_of(api, link, form)["starts"] == 6


@pytest.mark.parametrize("form", [None, "json"])
def test_the_legacy_address_links_to_the_rest_in_the_same_form(api, paged, form, monkeypatch):
    monkeypatch.setattr("reports.views.LEGACY_LIMIT", 4)
    _, country = paged
    reply = api.get(asked(f"/by-country/{country}/2", format=form))
    [link] = re.findall(r'^<([^>]+)>; rel="next"$', reply["Link"])
    assert (len(reply.json()), len(body_of(api, link, form)["results"])) == (4, 2)


@pytest.mark.parametrize("form", FORMATS)
def test_the_root_links_to_every_address_in_the_same_form(api, paged, form):
    player, country = paged
    addresses = body_of(api, asked("/api/v1/", format=form), form)
    assert set(addresses) == {
        *("events", "starts", "starts_of_country", "starts_timeline", "measures", "player_sessions", "player"),
        *("player_export", "schema", "docs", "redoc"),
    }
    for name, address in addresses.items():
        filled_in = address.replace("{country}", country).replace("{player_id}", player)
        if form and name not in ("player_export", "schema", "docs", "redoc"):
            assert filled_in.endswith(f"?format={form}")
        is_form = form == "api"  # a browser sees the form of what takes posts
        assert api.get(filled_in).status_code == (405 if name == "events" and not is_form else 200), name


def test_the_root_is_a_page_of_links_to_a_browser(api):
    page = api.get("/api/v1/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page["Content-Type"].startswith("text/html")
    assert '<a href="http://testserver/api/v1/reports/starts/"' in page.content.decode()


def test_a_link_is_put_together_properly_whatever_the_player_is_called(api, now_ms):
    player = f"a.b:c@d-{uuid.uuid4().hex[:8]}"
    for _ in range(2):
        record_events([Event("end", player, uuid.uuid4(), now_ms, None)], now_ms=now_ms)
    page = api.get(f"/api/v1/reports/players/{player}/sessions/?limit=1&format=json").json()
    assert len(api.get(page["next"]).json()["results"]) == 1
