"""Keys are made, listed, rotated and revoked by a command, for people and for programs."""

import json
import uuid
from typing import Any

import pytest

from access import key_store
from access.keys import ID, NEVER, READ, WRITE, Key, is_whole
from conftest import manage
from store import cassandra


@pytest.fixture
def name() -> str:
    return f"game-{uuid.uuid4().hex[:8]}"


def ran(*arguments: str) -> str:
    """What a command wrote that succeeded."""
    ended = manage("api_keys", *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def stored(name: str) -> list[Key]:
    return sorted((key for key in key_store.stored_keys() if key.name == name), key=lambda key: key.created_ms)


def listed(name: str) -> list[dict[str, Any]]:
    return [row for row in json.loads(ran("list", "--json")) if row["name"] == name]


def test_a_new_key_is_all_that_is_printed_and_its_digest_all_that_is_stored(name: str) -> None:
    text = ran("create", "--scope", WRITE, "--name", name).strip()
    assert is_whole(text)
    (key,) = stored(name)
    assert key.is_of(text)
    assert (key.key_id, key.scopes, key.expires_ms) == (text[ID], {WRITE}, NEVER)
    everything = str(cassandra.execute("SELECT * FROM {keyspace}.api_key WHERE bucket = 0", ()))
    assert text[19:62] not in everything


def test_a_program_gets_the_same_as_json(name: str) -> None:
    made = json.loads(
        ran("create", "--scope", WRITE, "--scope", READ, "--name", name, "--expires", "90d", "--json",
            "--events-per-second", "500")
    )  # fmt: skip
    (row,) = listed(name)
    assert is_whole(made.pop("key"))
    assert made == row
    assert (row["state"], row["scopes"], row["events_per_second"]) == ("valid", [WRITE, READ], 500)
    (key,) = stored(name)
    assert key.expires_ms - key.created_ms == 90 * 86_400_000


def test_a_list_for_people_has_a_line_for_each_key_and_no_secret(name: str) -> None:
    text = ran("create", "--scope", READ, "--name", name).strip()
    heading, *lines = ran("list").splitlines()
    assert heading.split()[:3] == ["name", "id", "state"]
    (line,) = (line for line in lines if line.startswith(name))
    assert line.split()[:4] == [name, text[ID], "valid", READ]
    assert text[19:62] not in line


def test_after_a_rotation_both_keys_hold_until_the_overlap_is_over(name: str) -> None:
    ran("create", "--scope", WRITE, "--name", name, "--events-per-second", "7")
    text = ran("rotate", name, "--overlap", "1h").strip()
    former, latter = stored(name)
    assert latter.is_of(text)
    assert (latter.scopes, latter.events_per_second, latter.expires_ms) == ({WRITE}, 7, NEVER)
    assert former.expires_ms - latter.created_ms == 3_600_000
    ran("rotate", name, "--overlap", "2h")
    assert stored(name)[0].expires_ms == former.expires_ms  # an overlap is never made longer


def test_a_revoked_key_stays_revoked(name: str) -> None:
    ran("create", "--scope", WRITE, "--name", name)
    ran("revoke", name)
    (key,) = stored(name)
    assert listed(name)[0]["state"] == "revoked"
    refused = manage("api_keys", "rotate", name)
    assert refused.returncode == 1
    key_store.expire(key, at_ms=int(key.revoked_ms) + 10**9)
    assert stored(name)[0].revoked_ms == key.revoked_ms


def test_one_key_of_several_can_be_revoked_by_its_id(name: str) -> None:
    ran("create", "--scope", WRITE, "--name", name)
    ran("rotate", name, "--overlap", "1h")
    former, _ = stored(name)
    assert json.loads(ran("revoke", former.key_id, "--json")) == {"revoked": [former.key_id]}
    assert [row["state"] for row in sorted(listed(name), key=lambda row: row["id"] != former.key_id)] == [
        "revoked",
        "valid",
    ]


def test_a_clock_that_is_behind_loses_no_rotation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran("create", "--scope", WRITE, "--name", name, "--expires", "90d")
    (key,) = stored(name)
    monkeypatch.setattr(key_store, "_now_us", lambda: 1)
    key_store.expire(key, at_ms=5_000)
    assert stored(name)[0].expires_ms == 5_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--scope", "all", "--name", "x"], "invalid choice"),
        (["create", "--name", "x"], "--scope"),
        (["create", "--scope", READ, "--name", "a b"], "1 to 64 of"),
        (["create", "--scope", READ, "--name", "x", "--expires", "soon"], "such as 90d"),
        (["create", "--scope", READ, "--name", "x", "--events-per-second", "-1"], "0 to 1000000"),
        (["rotate", "nobody"], "no valid key of nobody"),
        (["revoke", "nobody"], "no key nobody"),
        ([], "ACTION"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments: list[str], said: str) -> None:
    ended = manage("api_keys", *arguments)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_name_has_one_key_that_is_not_being_rotated(name: str) -> None:
    ran("create", "--scope", WRITE, "--name", name)
    again = manage("api_keys", "create", "--scope", READ, "--name", name)
    assert again.returncode == 1
    assert "Rotate it" in again.stderr
