"""Which form a reply has: an explicit format, else what Accept prefers by RFC 9110."""

import pytest
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer

from reports.spreadsheets import CsvRenderer
from web.rendering import FastJSONRenderer, preferred

STARTS = "/api/v1/reports/starts/"
JSON, HTML, CSV = FastJSONRenderer(), BrowsableAPIRenderer(), CsvRenderer()
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("text/html", HTML),
        (CHROME, HTML),
        ("application/json, text/plain, */*", JSON),
        ("text/csv, */*", CSV),
        ("text/csv, application/json", JSON),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("application/json;q=0, text/csv", CSV),
        ("application/json;q=0, */*", HTML),
        ("*/*, text/html;q=0, application/json;q=0", CSV),
        ("text/*;q=0.3, text/csv;q=0.7, application/json;q=0.5", CSV),
        ("*/*;q=0.1, application/json;q=0.0", HTML),
        ("text/csv;q=0.001, */*;q=0", CSV),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", HTML),
        ("text/csv;q=oops, application/json;q=0.9", CSV),
        ("TEXT/CSV", CSV),
        ("application/json;indent=4", JSON),
        ("image/png", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("nonsense", None),
    ],
)
def test_the_preferred_form_is_chosen(api, accept, form):
    found = preferred([JSON, HTML, CSV], accept.split(","))
    assert (found and found[0]) is form
    reply = api.get(STARTS, headers={"accept": accept})
    expected = form.media_type if form else "application/problem+json"
    assert (reply.status_code, reply["Content-Type"].split(";")[0]) == (200 if form else 406, expected)


@pytest.mark.parametrize("accept", ["application/json", "image/png", "text/csv", CHROME, "*/*;q=0"])
@pytest.mark.parametrize(
    ("form", "media_type"), [("json", "application/json"), ("csv", "text/csv"), ("api", "text/html")]
)
def test_an_explicit_format_wins_over_accept(api, accept, form, media_type):
    for path in (STARTS, f"{STARTS}FI/", f"{STARTS}timeline/"):
        reply = api.get(f"{path}?format={form}", headers={"accept": accept})
        assert (reply.status_code, reply["Content-Type"].split(";")[0]) == (200, media_type)
        reply.close()


def test_an_explicit_format_may_come_with_an_indentation(api):
    plain, wide = (
        api.get(f"{STARTS}?format=json&as_of=2016-12-02T00:00:00Z", headers={"accept": accept}).content
        for accept in ("application/json", "application/json; indent=4")
    )
    assert b"\n" not in plain
    assert wide.startswith(b'{\n    "hours": 24,')


def test_the_schema_comes_in_the_form_that_is_asked_for(api):
    for accept, media_type in {
        "application/json": "application/json",
        "application/yaml, application/json;q=0.5": "application/yaml",
        "*/*": "application/vnd.oai.openapi",
    }.items():
        assert api.get("/api/v1/schema/", headers={"accept": accept})["Content-Type"].split(";")[0] == media_type
    reply = api.get("/api/v1/schema/?format=json", headers={"accept": "text/html"})
    assert reply["Content-Type"].startswith("application/vnd.oai.openapi+json")


def test_an_empty_accept_is_none(api):
    assert api.get(STARTS, headers={"accept": ""})["Content-Type"] == "application/json"


def test_a_report_of_one_form_is_cached_by_accept_too(api, settings, monkeypatch):
    """What is refused without a cache must not be answered from it."""
    monkeypatch.setattr("reports.views.PlayerSessionsViewSet.renderer_classes", [JSONRenderer])
    assert api.get("/api/v1/reports/players/ada/sessions/")["Vary"] == "Accept"
