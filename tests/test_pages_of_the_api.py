"""What a browser gets beside the page at ``/``: errors that lead on, and the browsable API."""

import re
from html import unescape

import pytest
from rest_framework.test import APIClient

from reports import player_sessions
from reports.views import StartsViewSet
from web.rendering import FastJSONRenderer

EVENTS = "/api/v1/events/"
STARTS = "/api/v1/reports/starts/"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
BROWSER = {"accept": CHROME}


def page_of(reply, status: int) -> str:
    """The page of a reply, which must be one for people."""
    assert (reply.status_code, reply["Content-Type"].split(";")[0]) == (status, "text/html")
    page = reply.content.decode()
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert page.count('<html lang="en">') == 1
    assert len(re.findall(r"<main\b|role=\"main\"", page)) == 1
    return page


def problem_of(reply, status: int) -> dict:
    assert (reply.status_code, reply["Content-Type"]) == (status, "application/problem+json")
    return reply.json()


# --- Addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "to"),
    [
        ("/api", "/api/"),
        ("/api/", "/api/v1/"),
        ("/api/?format=json", "/api/v1/?format=json"),
        ("/api/v1", "/api/v1/"),
        (f"{STARTS.rstrip('/')}?hours=3&format=csv", f"{STARTS}?hours=3&format=csv"),
        ("/api/v1/reports/players/a:b@c/sessions", "/api/v1/reports/players/a:b@c/sessions/"),
    ],
)
def test_who_reads_is_led_to_the_address_that_is_meant(api, address, to):
    for reply in (api.get(address), api.head(address)):
        assert reply.status_code in (301, 302)
        assert reply["Location"] == to


def test_who_sends_more_than_fits_into_a_redirection_is_told_so(api, caplog):
    long = f"format={'x' * 17_000}"
    assert f"Did you mean {STARTS} ?" in problem_of(api.get(f"{STARTS.rstrip('/')}?{long}"), 404)["detail"]
    assert "too long" in problem_of(api.get(f"/api/?{long}"), 400)["detail"]
    assert caplog.messages == []


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_what_has_a_body_is_never_led_elsewhere(api, method):
    reply = getattr(api, method)("/api/v1/events", [], format="json")
    assert "Did you mean /api/v1/events/ ?" in problem_of(reply, 404)["detail"]
    assert "GET" in problem_of(getattr(api, method)("/api/"), 405)["detail"]


def test_no_address_of_another_host_is_led_to(api):
    assert api.get("/", PATH_INFO="//elsewhere.example/api/v1").status_code == 404


def test_the_icon_is_where_browsers_look_for_it(api):
    reply = api.get("/favicon.ico", follow=True)
    icon = b"".join(reply.streaming_content)
    reply.close()
    assert (reply.status_code, reply["Content-Type"]) == (200, "image/x-icon")
    assert icon.startswith(b"\x00\x00\x01\x00")


# --- Errors -----------------------------------------------------------------------------------------------------------


def test_an_unknown_address_is_a_page_that_leads_on(api):
    reply = api.get("/nowhere/", headers=BROWSER)
    page = page_of(reply, 404)
    assert "<h1>404 Not Found</h1>" in page
    assert reply["Vary"].startswith("Accept")
    assert reply["Content-Security-Policy"].startswith("default-src 'none'")
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    assert {"/", "/api/v1/", "/api/v1/docs/"} <= set(links)
    for link in links:
        found = api.get(link, headers=BROWSER)
        assert found.status_code == 200, link
        found.close()


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("*/*", ""),
        ("application/json", ""),
        ("application/json, text/plain, */*", ""),
        ("application/problem+json, text/html", ""),
        ("image/png", ""),
        ("text/html;q=0.5, application/json", ""),
        (CHROME, "?format=json"),
        (CHROME, "?format=csv"),
    ],
)
def test_a_program_gets_a_problem(api, accept, query):
    reply = api.get(f"/nowhere/{query}", headers={"accept": accept})
    assert problem_of(reply, 404)["title"] == "Not Found"
    assert reply["Vary"] == "Accept"


def test_every_error_of_the_framework_has_both_forms(settings):
    client = APIClient(raise_request_exception=False)
    errors = [
        ("post", "/", {}, 405),
        ("put", "/api/v1/docs/", {}, 405),
        ("get", "/nowhere/", {"host": "elsewhere.example"}, 400),
    ]
    for method, address, headers, status in errors:
        asked = getattr(client, method)
        page_of(asked(address, headers={**headers, **BROWSER}), status)
        problem_of(asked(address, headers=headers), status)


@pytest.mark.parametrize(("address", "status"), [("/nowhere/", 404), (STARTS, 400)])
def test_a_query_of_too_many_parameters_is_an_error_as_any_other(address, status):
    client = APIClient(raise_request_exception=False)
    query = "&".join(f"a{number}=1" for number in range(1_001))
    page_of(client.get(f"{address}?{query}", headers=BROWSER), status)
    problem_of(client.get(f"{address}?{query}"), status)


@pytest.mark.parametrize("accept", ["", "nonsense", "text/html;q=oops", ",", "text/html;q=0"])
def test_whatever_a_client_accepts_it_gets_the_error(api, accept):
    assert api.get("/nowhere/", headers={"accept": accept}).status_code == 404


def test_an_unexpected_error_is_a_page_without_its_reason(monkeypatch):
    def fail(**_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(player_sessions, "player_sessions", fail)
    client = APIClient(raise_request_exception=False)
    headers = {**BROWSER, "x-request-id": "mine-1"}
    page = page_of(client.get("/api/v1/reports/players/ada/sessions/", headers=headers), 500)
    assert "secret" not in page
    assert "<code>mine-1</code>" in page


def test_wrong_values_are_listed_and_never_read_as_html(api, monkeypatch):
    """As in production, which has no browsable API."""
    monkeypatch.setattr(StartsViewSet, "renderer_classes", [FastJSONRenderer])
    page = page_of(api.get(f"{STARTS}?hours=0", headers=BROWSER), 400)
    assert "<code>/hours</code> Ensure this value is greater than or equal to 1." in page
    assert "'errors'" not in unescape(page)
    page = page_of(api.get(f"{STARTS}?<script>alert(1)</script>=1", headers=BROWSER), 400)
    assert "&lt;script&gt;" in page
    assert "<script" not in page


# --- The browsable API ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("address", "name"), [(EVENTS, "Send events"), ("/event-handler", "Send an event (legacy)")])
def test_a_browser_opens_the_form_of_what_takes_posts(api, address, name):
    page = page_of(api.get(address, headers=BROWSER), 200)
    assert f"<title>{name.replace('&', '&amp;')} – Player sessions</title>" in page
    assert "405" not in page
    assert "player_2" in page
    problem_of(api.get(address), 405)


def test_the_form_keeps_what_was_typed(api, player):
    typed = f'[{{"event": "start", "player_id": "{player}", "country": "<b>"}}]'
    reply = api.post(EVENTS, typed, content_type="application/json", headers=BROWSER)
    [kept] = re.findall(r"<textarea[^>]*>\n?(.*?)</textarea>", page_of(reply, 400), flags=re.DOTALL)
    assert unescape(kept) == typed
    assert "<b>" not in kept


@pytest.mark.parametrize("body", [b"", b"\xff{"])
def test_a_form_that_was_not_understood_is_a_page_too(api, body):
    page_of(api.post(EVENTS, body, content_type="application/json", headers=BROWSER), 400)
    page_of(api.post(EVENTS, b"x", content_type="text/plain", headers=BROWSER), 415)


def test_a_page_of_a_report_leads_to_the_next_one(api, country, player):
    for _ in range(2):
        api.post(EVENTS, {"event": "start", "player_id": player, "country": country}, format="json")
    page = page_of(api.get(f"{STARTS}{country}/?limit=1", headers=BROWSER), 200)
    [link] = re.findall(r'rel="next" href="([^"]+)"', page)
    last = page_of(api.get(unescape(link), headers=BROWSER), 200)
    assert 'rel="next"' not in last
    assert "<title>Starts of a country – Player sessions</title>" in page
