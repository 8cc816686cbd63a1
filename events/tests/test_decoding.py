"""The fast decoder accepts nothing that the serializer refuses, and gives the same events."""

import json
import random
import uuid
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from events.decoding import FastDecoder
from events.domain import NIL_SESSION_ID, Event
from events.serializers import EventSerializer

NOW_MS = 1_790_000_000_000
SESSION = uuid.UUID("4a0c43c9-c43a-42ff-ba55-67563dfa35d4")
READER = FastDecoder(now_ms=NOW_MS)
GAME = (
    b'{"event":"start","country":"fi","player_id":"0a2d12a1a7e145de8bae44c0c6e06629",'
    b'"session_id":"4a0c43c9-c43a-42ff-ba55-67563dfa35d4","ts":"2016-12-02T12:48:05.520022"}'
)

odd = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=70), st.lists(st.integers()))
good_kinds = st.sampled_from(["start", "end"])
good_players = st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True)
uuids = st.uuids() | st.just(NIL_SESSION_ID)
written_uuids = uuids.map(str) | uuids.map(lambda value: value.hex)
moments = st.datetimes().map(lambda value: value.isoformat())
# What is good, or nearly.
sessions = written_uuids | st.from_regex(r"[0-9a-f-]{30,38}")
stamps = moments | st.from_regex(
    r"20[12]\d-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d(:[0-6]\d([.,]\d{1,10})?)?(Z|[+-][0-2]\d:?[0-6]\d)?"
)
countries = st.from_regex(r"[A-Za-z]{1,3}", fullmatch=True)
good = st.fixed_dictionaries(
    {
        "event": good_kinds,
        "player_id": good_players,
        "session_id": st.none() | written_uuids,
        "ts": st.none() | moments,
        "country": st.none() | st.from_regex(r"[A-Za-z]{2}", fullmatch=True),
    }
)
fields = {
    "event": good_kinds | st.sampled_from(["start ", "END", ""]) | odd,
    "player_id": st.from_regex(r"[A-Za-z0-9_.:@-]{1,66}", fullmatch=True) | odd,
    "session_id": sessions | odd,
    "ts": stamps | odd,
    "country": countries | odd,
}
ignored = {"level": st.recursive(odd, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)}
others = st.fixed_dictionaries(fields, optional=ignored)
events = st.fixed_dictionaries({}, optional={**fields, **ignored})
# To draw values takes milliseconds, to compare a line a tenth of that: so an example is many lines.
EXAMPLES, EXAMPLES_OF_DAMAGE, LINES_OF_DAMAGE = 500, 200, 50
MOST_FIELDS_OF_OTHER = 2
SIGNS = b'"\\{},:[]-+.0129TZez \x00\x7f\x80\xc3\xff'


def mixed(good_one: dict[str, object], other: dict[str, object]) -> Iterator[dict[str, object]]:
    """The other one; and the good one with up to two fields of the other, and without each of its fields.

    An event that is wrong in many ways tells little: it is refused for any of them.
    """
    more = {field: value for field, value in other.items() if field not in good_one}
    yield other
    for number in range(MOST_FIELDS_OF_OTHER + 1):
        for fields in combinations(good_one, number):
            yield {**more, **good_one, **{field: other[field] for field in fields}}
    for left_out in good_one:
        yield {field: value for field, value in good_one.items() if field != left_out}


def validated(text: bytes) -> Event | ValidationError:
    """What the serializer says: the standard library's JSON, then the serializer."""
    try:
        item = json.loads(text.decode())
    except ValueError as error:
        return ValidationError(str(error))
    return EventSerializer().to_event(item, now_ms=NOW_MS, new_session_id=lambda: SESSION)


def check(text: bytes) -> Event | None:
    plain = READER.event(text, new_session_id=lambda: SESSION)
    expected = validated(text)
    assert isinstance(expected, Event | ValidationError)
    if plain is not None:
        assert plain == expected
    return plain


@settings(max_examples=EXAMPLES, deadline=None)
@given(good, others, odd, st.booleans())
def test_it_agrees_with_the_serializer(one: dict, other: dict, no_event: object, ascii_only: bool) -> None:
    for item in (no_event, *mixed(one, other)):
        check(json.dumps(item, ensure_ascii=ascii_only).encode(errors="replace"))


@settings(max_examples=EXAMPLES_OF_DAMAGE, deadline=None)
@given(st.randoms(use_true_random=True))
def test_it_agrees_on_damaged_lines(randomness: random.Random) -> None:
    for _ in range(LINES_OF_DAMAGE):
        check(damaged(GAME, randomness))


def damaged(line: bytes, randomness: random.Random) -> bytes:
    """The line with something else, or nothing, in one to three places."""
    text = bytearray(line)
    for _ in range(randomness.randint(1, 3)):
        first = randomness.randint(0, len(text))
        signs = bytes(randomness.choices(SIGNS, k=randomness.randint(0, 3)))
        text[first : first + randomness.randint(0, 3)] = randomness.choice((signs, randomness.randbytes(2)))
    return bytes(text)


@pytest.mark.parametrize("ending", ["", "Z", "z", "+00", "+0530", "-23:59"])
@pytest.mark.parametrize("fraction", ["", ".5", ",520", ".520022", ".9999999", ".123456789"])
def test_it_accepts_what_games_send(ending: str, fraction: str) -> None:
    text = GAME.replace(b".520022", fraction.encode() + ending.encode())
    assert isinstance(check(text), Event)


@pytest.mark.parametrize("field", ["session_id", "ts", "country"])
def test_null_is_absent(field: str) -> None:
    """As serializers of C# and Java and exports of tables write a field that has no value."""
    end = {**json.loads(GAME), "event": "end"}
    left_out = {name: value for name, value in end.items() if name != field}
    plain = check(json.dumps({**end, field: None}).encode())
    assert plain == check(json.dumps(left_out).encode()) == validated(json.dumps(left_out).encode())
    assert isinstance(plain, Event)


def test_a_start_whose_country_is_null_is_left_to_the_serializer() -> None:
    assert check(GAME.replace(b'"fi"', b"null")) is None


def test_the_nil_uuid_is_left_to_the_serializer() -> None:
    text = GAME.replace(str(SESSION).encode(), str(NIL_SESSION_ID).encode())
    assert check(text) is None
    assert isinstance(validated(text), ValidationError)


def test_what_games_send_is_this_event() -> None:
    assert check(GAME) == Event("start", "0a2d12a1a7e145de8bae44c0c6e06629", SESSION, 1_480_682_885_520, "FI")


def test_a_batch_is_accepted_whole_or_left_to_the_serializer() -> None:
    assert READER.events(b"[" + GAME + b"," + GAME + b"]") == [check(GAME)] * 2
    assert READER.events(GAME) == [check(GAME)]
    for other in (b"[]", b"[" + b",".join([GAME] * 11) + b"]", b"[" + GAME + b",{}]", b"null", b"[", b"\xff", b"{}"):
        assert READER.events(other) is None
