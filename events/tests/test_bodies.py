"""Bodies as clients pack them: with a byte order mark, in gzip members, under odd codings."""

import gzip
import json
import uuid
from itertools import pairwise

import pytest
from rest_framework.response import Response
from rest_framework.test import APIClient

from events.api.parsers import MOST_GZIP_MEMBERS

EVENTS = "/api/v1/events/"
BOM = b"\xef\xbb\xbf"


def batch(player: str) -> bytes:
    return json.dumps(
        [{"event": "start", "player_id": player, "session_id": str(uuid.uuid4()), "country": "fi"}]
    ).encode()


def post(api: APIClient, body: bytes, coding: str | None = None) -> Response:
    headers = {} if coding is None else {"Content-Encoding": coding}
    return api.post(EVENTS, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("path", [EVENTS, "/event-handler"])
def test_a_byte_order_mark_is_left_out(api: APIClient, player: str, path: str) -> None:
    plain = api.post(path, BOM + batch(player), content_type="application/json")
    packed = gzip.compress(BOM + batch(player))
    packed_too = api.post(path, packed, content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert plain.status_code == packed_too.status_code == (201 if path == EVENTS else 204)


@pytest.mark.parametrize("body", [BOM, "[]".encode("utf-16")])
def test_one_without_json_is_refused_in_our_words(api: APIClient, body: bytes) -> None:
    reply = post(api, body)
    assert reply.status_code == 400
    assert "utf-8-sig" not in reply.json()["detail"]


@pytest.mark.parametrize("members", [1, 2, 10, MOST_GZIP_MEMBERS])
def test_the_members_of_a_gzip_body_are_one_body(api: APIClient, player: str, members: int) -> None:
    body = batch(player)
    cuts = [len(body) * number // members for number in range(members + 1)]
    packed = b"".join(gzip.compress(body[first:last]) for first, last in pairwise(cuts))
    assert post(api, packed, "gzip").json()["stored"] == 1


@pytest.mark.parametrize(
    ("packed", "status", "said"),
    [
        (gzip.compress(b"[") + gzip.compress(b"]")[:-4], 400, "ends too early"),
        (gzip.compress(b"[]") + b"\x1f", 400, "ends too early"),
        (gzip.compress(b"[]") + b"garbage", 400, "What follows the end of the gzip body is not gzip"),
        (gzip.compress(b"[]") + b"\0" * 512, 400, "What follows the end of the gzip body is not gzip"),
        (gzip.compress(b"") * (MOST_GZIP_MEMBERS + 1), 400, "Send it as one"),
        (gzip.compress(b" " * 200_000) * 2, 413, "too large"),
        (gzip.compress(b" " * 262_144) + gzip.compress(b" "), 413, "too large"),
        (gzip.compress(b" " * 262_144) + gzip.compress(b" " * 50_000_000), 413, "too large"),
    ],
)
def test_a_gzip_body_that_is_damaged_or_too_large_is_refused(
    api: APIClient, packed: bytes, status: int, said: str
) -> None:
    reply = post(api, packed, "gzip")
    assert reply.status_code == status
    assert said in reply.json()["detail"]


@pytest.mark.parametrize("coding", ["", " ", "identity", "Identity", ",", "identity, identity"])
def test_a_body_without_a_coding_is_stored(api: APIClient, player: str, coding: str) -> None:
    assert post(api, batch(player), coding).status_code == 201


@pytest.mark.parametrize("coding", ["gzip", "GZip ", "x-gzip", "identity, gzip", "gzip,"])
def test_a_gzip_body_is_stored_whatever_the_case_of_its_coding(api: APIClient, player: str, coding: str) -> None:
    assert post(api, gzip.compress(batch(player)), coding).status_code == 201


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate, gzip", "gzipped"])
def test_another_coding_is_refused(api: APIClient, player: str, coding: str) -> None:
    assert post(api, gzip.compress(batch(player)), coding).status_code == 415
