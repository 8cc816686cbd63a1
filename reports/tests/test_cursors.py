"""Only what the service has made continues a list, whoever has signed it."""

import uuid
from typing import Any

import pytest
from django.core import signing
from rest_framework.test import APIClient

from reports.cursors import decode_cursor, encode_cursor
from reports.positions import Position
from reports.views import STARTS

SESSION = "0b2d4d5e8c5c4d0e9a533a8a4b1f2c11"


def test_a_cursor_decodes_to_the_position_that_it_was_made_of() -> None:
    position = Position(1_795_946_400_000, uuid.UUID(SESSION))
    assert decode_cursor(encode_cursor(position, report="a"), report="a") == position


@pytest.mark.parametrize(
    "content",
    [
        None,
        1,
        "ab",
        [],
        [1],
        [1, SESSION, 2],
        [1, 2],
        [1, None],
        [1, "no session"],
        ["1", SESSION],
        [1.5, SESSION],
        [None, SESSION],
        [10**30, SESSION],
        [-(10**30), SESSION],
        {"1": SESSION, "2": SESSION},
        {},
    ],
)
@pytest.mark.parametrize(
    ("address", "report"),
    [
        ("/api/v1/reports/starts/FI/", STARTS),
        ("/api/v1/reports/players/ada/sessions/", "completed"),
        ("/api/v1/reports/players/ada/sessions/?state=open", "open"),
    ],
)
def test_another_shape_is_refused(api: APIClient, address: str, report: str, content: Any) -> None:
    cursor = signing.dumps(content, salt=report)
    reply = api.get(address, {"cursor": cursor, **({"state": "open"} if "state" in address else {})})
    assert reply.status_code == 400
    assert [error["code"] for error in reply.json()["errors"]] == ["invalid_cursor"]
