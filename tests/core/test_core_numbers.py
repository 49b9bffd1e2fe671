"""What written numbers mean, and how phones dial them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import numbers
from radicale_shared.entries import Kind, Number
from radicale_shared.numbers import Dial, Normalised
from tests.conftest import examples


def number(written, region="DE"):
    return Number(Kind.WORK, written, *numbers.normalise(written, region))


def dialled(written, dial, region="DE", **how):
    return numbers.dialled(number(written, region), dial=dial, region=region, **how)


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        ("030 1234567", "DE", "+49301234567"),
        ("(030) 12 34-567", "DE", "+49301234567"),
        ("+49 (0)711 123456", "FR", "+49711123456"),
        ("0049 711 123456", "DE", "+49711123456"),
        ("tel:+49-711-123456", "", "+49711123456"),
        ("+33(0)123456789", "DE", "+33123456789"),
        ("06 12345678", "IT", "+390612345678"),  # Italy's zero is part of the number
        ("(212) 555-0100", "US", "+12125550100"),
        ("٠٣٠١٢٣٤٥٦٧", "DE", "+49301234567"),
        ("+49 30 1234567", "", "+49301234567"),
    ],
)
def test_a_number_has_its_e164_form_in_the_region_it_is_from(written, region, e164):
    assert numbers.normalise(written, region) == Normalised(e164, e164[1:], "")


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("110", "110"),
        ("112", "112"),
        ("123", "123"),
        ("4711", "4711"),
        ("*21", "*21"),
        ("**610", "**610"),
        ("#31#", "#31#"),
        ("12345*12", "12345*12"),
        ("++49 30", "4930"),
        ("", ""),
        ("+", ""),
        ("call me", ""),
        ("030 123456789012345678", "030123456789012345678"),
    ],
)
def test_what_is_no_number_outside_keeps_its_digits_alone(written, digits):
    assert numbers.normalise(written, "DE") == Normalised("", digits, "")


def test_a_number_without_a_country_means_nothing_where_no_region_is_known():
    assert numbers.normalise("030 1234567") == Normalised("", "0301234567", "")


@pytest.mark.parametrize("written", ["+49 30 123456 ext. 12", "+49 30 123456;ext=12", "030 123456 x12"])
def test_an_extension_stands_beside_the_number(written):
    assert numbers.normalise(written, "DE") == Normalised("+4930123456", "4930123456", "12")


def test_a_direct_line_is_a_number_of_its_own():
    assert numbers.normalise("030 1234567-12", "DE").e164 == "+49301234567" + "12"


@given(st.text(max_size=400), st.sampled_from(["", "DE", "US", "IT", "AR"]))
def test_whatever_is_written_gives_digits_and_nothing_else(written, region):
    found = numbers.normalise(written, region)
    assert re.fullmatch(r"(\+[1-9][0-9]*)?", found.e164, flags=re.ASCII)
    assert re.fullmatch(r"[0-9*#]*", found.digits, flags=re.ASCII)
    if found.e164:
        assert found.digits == found.e164[1:]


# -- as they are dialled -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "region", "e164", "international", "national"),
    [
        ("030 1234567", "DE", "+49301234567", "0049301234567", "0301234567"),
        ("+33 1 23 45 67 89", "DE", "+33123456789", "0033123456789", "0033123456789"),
        ("+33(0)123456789", "DE", "+33123456789", "0033123456789", "0033123456789"),
        ("+39 06 12345678", "DE", "+390612345678", "00390612345678", "00390612345678"),
        ("+39 06 12345678", "IT", "+390612345678", "00390612345678", "0612345678"),
        ("0800 1234567", "DE", "+498001234567", "00498001234567", "08001234567"),
        ("+800 1234 5678", "DE", "+80012345678", "0080012345678", "0080012345678"),
        ("+49 30 1234567", "US", "+49301234567", "01149301234567", "01149301234567"),
        ("(212) 555-0100", "US", "+12125550100", "01112125550100", "12125550100"),
        ("+49 30 1234567", "AU", "+49301234567", "001149301234567", "001149301234567"),
        ("+49 30 1234567", "RU", "+49301234567", "81049301234567", "81049301234567"),
        # Each carrier has a prefix of its own there: a + is what stands for all of them.
        ("+49 30 1234567", "KR", "+49301234567", "+49301234567", "+49301234567"),
        # Argentina's mobiles have a 9 for callers from abroad, and a 15 at home.
        ("+54 9 11 2345-6789", "AR", "+5491123456789", "005491123456789", "0111523456789"),
        # Nobody said where the phone stands.
        ("+49 30 1234567", "", "+49301234567", "0049301234567", "0049301234567"),
    ],
)
def test_a_number_is_dialled_in_the_form_of_the_phone(written, region, e164, international, national):
    forms = {dial: dialled(written, dial, region) for dial in Dial}
    assert forms == {Dial.E164: e164, Dial.INTERNATIONAL: international, Dial.NATIONAL: national}


@pytest.mark.parametrize("written", ["110", "*21", "**610", "#31#", "4711", "17"])
def test_short_numbers_services_and_extensions_are_dialled_as_they_are_written(written):
    for dial in Dial:
        assert dialled(written, dial, outside_prefix="0", trunk="+49301234") == written


def test_the_prefix_of_an_outside_line_is_before_each_number_that_leaves_the_house():
    assert dialled("030 7654321", Dial.NATIONAL, outside_prefix="0") == "00307654321"
    assert dialled("+33 123456789", Dial.INTERNATIONAL, outside_prefix="9") == "90033123456789"
    # Not understood, but too long for an extension.
    assert dialled("030 123456789012345678", Dial.NATIONAL, outside_prefix="0") == "0030123456789012345678"
    # A phone can't dial 0+49.
    assert dialled("+49 30 1234567", Dial.NATIONAL, "KR", outside_prefix="0") == "+49301234567"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("030 1234-17", "17"),
        ("(0 30) 12 34 17", "17"),
        ("+49 30 1234-0 ext. 17", "17"),
        ("+49 30 1234-5 ext. 17", "5"),
        ("030 1234-098", "00301234098"),  # dialled, 098 would leave the house
        ("030 1234-0", "0030" + "12340"),
        ("030 1234-1234567", "0030" + "12341234567"),
        ("030 1235-17", "0030" + "123517"),
    ],
)
def test_numbers_behind_the_trunk_are_the_phone_s_own_extensions(written, told):
    assert dialled(written, Dial.NATIONAL, outside_prefix="0", trunk="+49301234") == told


@pytest.mark.parametrize("region", ["DE", "US", "IT", "RU", "AR", "KR", ""])
@given(data=st.data())
@examples(100)
def test_a_phone_never_gets_anything_it_can_t_dial(region, data):
    written = data.draw(st.text("0123456789+*# ()/-;ext.=abc", max_size=30))
    dial = data.draw(st.sampled_from(Dial))
    prefix = "" if dial is Dial.E164 else data.draw(st.sampled_from(["", "0", "9"]))
    told = dialled(written, dial, region, outside_prefix=prefix, trunk=data.draw(st.sampled_from(["", "+49301234"])))
    assert re.fullmatch(r"\+?[0-9*#]*", told)
    assert bool(told) == any(char in "0123456789*#" for char in written)


def test_a_number_is_found_by_all_of_its_forms_each_once():
    assert numbers.forms(number("030 1234567"), "DE") == ("+49301234567", "0301234567", "0049301234567")
    # The national form of another country is another number here.
    assert numbers.forms(number("+39 06 12345678"), "DE") == ("+390612345678", "00390612345678")
    assert numbers.forms(number("+49 30 1234567"), "") == ("+49301234567", "0049301234567")
    assert numbers.forms(number("**610"), "DE") == ("**610",)
    assert numbers.forms(number("+49 1"), "DE") == ("+491",)
    assert numbers.forms(number("nobody"), "DE") == ()
