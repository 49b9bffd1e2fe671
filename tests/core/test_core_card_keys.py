"""The numbers that stand for cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.card_keys import card_of, key_of

secrets = st.binary(min_size=32, max_size=32)


@given(st.integers(0, (1 << 62) - 1), secrets)
def test_a_contacts_number_is_its_cards(card_id, secret):
    key = key_of(card_id, secret)

    assert key.isdigit()
    assert card_of(key, secret) == card_id


@given(st.sets(st.integers(0, 1000), min_size=2), secrets)
def test_no_two_contacts_have_one_number(ids, secret):
    assert len({key_of(card_id, secret) for card_id in ids}) == len(ids)


@pytest.mark.parametrize("key", ["", "x", "-1", "1" * 21, "99999999999999999999", "\u0661", " 1"])
def test_what_is_no_number_is_no_contacts(key):
    assert card_of(key, bytes(32)) is None


@given(st.text(st.sampled_from("0123456789"), max_size=25), secrets)
def test_whatever_number_is_asked_for_can_be_asked_of_a_database(key, secret):
    found = card_of(key, secret)

    assert found is None or 0 <= found < 1 << 62
