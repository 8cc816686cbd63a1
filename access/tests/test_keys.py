"""A key can be told from other text, and is known by its digest alone."""

import pytest

from access.keys import ERASE, FORM, LENGTH, READ, SCOPES, WRITE, Key, is_whole, new_key, stored_form


def stored(text: str, **more: float) -> Key:
    return stored_form(text, scopes=(), name="somebody", created_ms=0, **more)


@pytest.mark.parametrize(("scopes", "kind"), [([WRITE], "w"), ([READ], "r"), ([ERASE], "a"), (SCOPES, "a")])
def test_a_key_says_what_it_is_for(scopes: list[str], kind: str) -> None:
    text = new_key(scopes)
    assert text.startswith(f"pss_{kind}_")
    assert FORM.match(text)
    assert len(text) == LENGTH
    assert is_whole(text)


def test_no_two_keys_are_alike() -> None:
    assert len({new_key([READ])[6:] for _ in range(100)}) == 100


def test_a_key_with_any_other_letter_is_not_whole() -> None:
    text = new_key([READ])
    for at in range(LENGTH):
        other = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
        assert not is_whole(other)
        assert not stored(text).is_of(other)
    assert stored(text).is_of(text)


def test_a_key_is_over_from_its_moment_on() -> None:
    key = stored("x", expires_ms=1_000)
    assert not key.is_over(999)
    assert key.is_over(1_000)
    assert not stored("x").is_over(1e15)


def test_a_key_that_was_revoked_is_over_also_where_the_clock_is_behind() -> None:
    assert stored("x", revoked_ms=1_000).is_over(0)
