"""Replies are what the OpenAPI schema says."""

import time
import uuid
from functools import cache

import jsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from reports import player_sessions
from store import cassandra

EVENTS = "/api/v1/events/"
STARTS = "/api/v1/reports/starts/"


@cache
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def check(reply, path: str, method: str = "get") -> None:
    """The reply's status, media type, headers and body are documented for this operation."""
    responses = schema()["paths"][path][method]["responses"]
    assert str(reply.status_code) in responses
    documented = responses[str(reply.status_code)]
    if "content" in documented:
        media_type = reply["Content-Type"].split(";")[0]
        body = {**documented["content"][media_type]["schema"], "components": schema()["components"]}
        jsonschema.Draft202012Validator(body, format_checker=jsonschema.FormatChecker()).validate(reply.json())
    else:
        assert not reply.content
    for header in ("X-Request-ID", "Retry-After", "Preference-Applied", "Cache-Control"):
        if header in reply:
            assert header in documented.get("headers", {}), header


def test_the_schema_is_valid_and_knows_the_sizes_of_a_batch():
    validate_schema(schema())
    paths = schema()["paths"]
    assert "413" in paths[EVENTS]["post"]["responses"]
    [_, named] = schema()["components"]["schemas"]["EventOrBatchRequest"]["oneOf"]
    assert named == {"$ref": "#/components/schemas/BatchRequest"}
    sizes = schema()["components"]["schemas"]["BatchRequest"]
    assert (sizes["minItems"], sizes["maxItems"]) == (1, 10)
    batch = paths[EVENTS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert batch["$ref"].endswith("EventOrBatchRequest")


def test_names_read_well_in_a_client():
    names = set(schema()["components"]["schemas"])
    assert not [name for name in names if name.endswith("Enum") or name[-1].isdigit()]
    assert {"BatchRequest", "EventKind", "EventStatus", "Interval", "StartsOfCountry", "TimelinePoint"} <= names
    used = {tag for path in schema()["paths"].values() for operation in path.values() for tag in operation["tags"]}
    assert used == {tag["name"] for tag in schema()["tags"]}


@pytest.mark.parametrize(
    ("event", "country", "valid"),
    [("end", None, True), ("end", "FI", True), ("start", "FI", True), ("start", None, False)],
)
def test_null_is_absent_in_the_schema_too(api, player, event, country, valid):
    body = {"event": event, "player_id": player, "session_id": None, "ts": None, "country": country}
    described = {**schema()["components"]["schemas"]["EventRequest"], "components": schema()["components"]}
    assert jsonschema.Draft202012Validator(described).is_valid(body) is valid
    assert (api.post(EVENTS, body, format="json").status_code == 201) is valid


def test_the_replies_to_events_are_documented(api, player):
    event = {"event": "start", "player_id": player, "country": "FI", "session_id": str(uuid.uuid4())}
    check(api.post(EVENTS, [event], format="json"), EVENTS, "post")
    check(api.post(EVENTS, [event, 5], format="json"), EVENTS, "post")
    check(api.post(EVENTS, [event, 5], format="json", headers={"prefer": "handling=lenient"}), EVENTS, "post")
    check(api.post(EVENTS, b"x" * 300_000, content_type="application/json"), EVENTS, "post")
    check(api.post(EVENTS, b"x", content_type="text/plain"), EVENTS, "post")
    check(api.post("/event-handler", event, format="json"), "/event-handler", "post")
    check(api.post("/event-handler", {}, format="json"), "/event-handler", "post")


def test_the_replies_of_the_reports_are_documented(api, player, country):
    session = str(uuid.uuid4())
    for event in ("start", "end"):
        body = {"event": event, "player_id": player, "country": country, "session_id": session}
        api.post(EVENTS, [body], format="json")
    reports = {
        "/api/v1/": "/api/v1/",
        STARTS: STARTS,
        f"{STARTS}{country}/": f"{STARTS}{{country}}/",
        f"{STARTS}timeline/": f"{STARTS}timeline/",
        "/api/v1/reports/measures/": "/api/v1/reports/measures/",
        f"/api/v1/reports/measures/?country={country}": "/api/v1/reports/measures/",
        f"/api/v1/reports/players/{player}/sessions/": "/api/v1/reports/players/{player_id}/sessions/",
        f"/api/v1/reports/players/{player}/sessions/?state=all": "/api/v1/reports/players/{player_id}/sessions/",
        f"/by-country/{country}/1": "/by-country/{country}/{hours}",
        f"/by-player/{player}": "/by-player/{player_id}",
    }
    for address, path in reports.items():
        check(api.get(address), path)
        check(api.get(address, headers={"accept": "image/png"}), path)
    for wrong, path in {
        f"{STARTS}?hours=0": STARTS,
        f"{STARTS}?contry=FI": STARTS,
        "/api/v1/?x=1": "/api/v1/",
        f"{STARTS}x/": f"{STARTS}{{country}}/",
        "/by-country/FI/x": "/by-country/{country}/{hours}",
    }.items():
        check(api.get(wrong), path)


@pytest.mark.parametrize("path", ["/api/v1/docs/", "/api/v1/redoc/"])
def test_a_page_in_another_form_is_a_problem_too(api, path):
    reply = api.get(path, headers={"accept": "application/json"})
    assert (reply.status_code, reply["Content-Type"]) == (406, "application/problem+json")
    assert "text/html" in reply.json()["detail"]


@pytest.mark.parametrize("query", ["format=nope", "format="])
def test_a_form_that_nobody_knows_is_a_problem_too(api, query):
    for path, forms in {"/api/v1/schema/": "yaml", STARTS: "csv", "/by-player/ada": "json"}.items():
        reply = api.get(f"{path}?{query}", headers={"accept": "*/*"})
        assert (reply.status_code, reply["Content-Type"]) == (406, "application/problem+json")
        assert forms in reply.json()["detail"]


def test_the_schema_refuses_other_methods_with_a_problem(api):
    reply = api.post("/api/v1/schema/")
    assert (reply.status_code, reply["Content-Type"]) == (405, "application/problem+json")
    assert reply.json()["status"] == 405


def test_an_unexpected_error_is_a_problem_without_its_reason(settings, monkeypatch):
    def fail(**_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(player_sessions, "player_sessions", fail)
    reply = APIClient(raise_request_exception=False).get("/api/v1/reports/players/ada/sessions/")
    assert (reply.status_code, reply["Content-Type"]) == (500, "application/problem+json")
    assert "secret" not in reply.content.decode()


@pytest.mark.parametrize("path", ["/nowhere", "/api/v2/", "/event-handler/"])
def test_an_unknown_address_is_a_problem_too(api, path):
    reply = api.get(path)
    assert (reply.status_code, reply["Content-Type"]) == (404, "application/problem+json")


# Of each operation a question that is refused, as the example of its schema says.
WRONG = {
    "/api/v1/": "/api/v1/?page=2",
    STARTS: f"{STARTS}?hours=0",
    f"{STARTS}{{country}}/": f"{STARTS}US/?hours=0",
    f"{STARTS}timeline/": f"{STARTS}timeline/?hours=0",
    "/api/v1/reports/players/{player_id}/sessions/": "/api/v1/reports/players/ada/sessions/?state=closed",
    "/by-country/{country}/{hours}": "/by-country/US/0",
    "/by-player/{player_id}": "/by-player/a b",
}


def problem_examples(path: str, method: str) -> dict[str, dict]:
    """By status, what the schema shows as an error of this operation; those of keys are in access/tests."""
    responses = schema()["paths"][path][method]["responses"]
    problems = {
        status: one["content"].get("application/problem+json") for status, one in responses.items() if "content" in one
    }
    return {
        status: example["value"]
        for status, problem in problems.items()
        if problem
        for example in problem.get("examples", {}).values()
    }


@pytest.mark.parametrize("path", WRONG)
def test_every_example_of_a_problem_is_what_a_reader_gets(api, path):
    shown = problem_examples(path, "get")
    assert shown.keys() == {"400", "406", "503"}
    assert api.get(WRONG[path]).json() == shown["400"]
    assert api.get(WRONG[path], headers={"accept": "image/png"}).json() == shown["406"]


@pytest.mark.parametrize("path", [EVENTS, "/event-handler"])
def test_every_example_of_a_problem_is_what_a_sender_gets(api, player, path):
    shown = problem_examples(path, "post")
    start = {"event": "start", "player_id": player}
    large = api.post(path, b"x" * 300_000, content_type="application/json")
    got = {
        "400": api.post(path, [start] if path == EVENTS else start, format="json"),
        "406": api.post(path, start, format="json", headers={"accept": "image/png"}),
        "413": large,
        "415": api.post(path, b"x", content_type="text/plain"),
    }
    cassandra._writes.failed(asked_at=time.monotonic() + 1)  # as if nothing had been answered for long
    try:
        got["503"] = api.post(path, {**start, "country": "FI"}, format="json")
    finally:
        cassandra._writes.succeeded()
    assert {status: reply.json() for status, reply in got.items()} == shown


def test_what_is_to_be_filled_in_has_a_value_that_works(api):
    """And nothing is chosen that a client may leave out."""
    for path, operations in schema()["paths"].items():
        for method, operation in operations.items():
            asked = {
                one["name"]: next(iter(one["examples"].values()))["value"]
                for one in operation.get("parameters", [])
                if "examples" in one
            }
            needed = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
            assert asked.keys() == needed, path
            if method == "get":
                assert api.get(path.format(**asked)).status_code == 200
