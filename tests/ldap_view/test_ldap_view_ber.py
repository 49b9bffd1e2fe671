"""BER: what is read of octets, whatever they are, and that what is written is what others read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type.univ import Integer, OctetString

from radicale_shared.ldap_view import ber
from radicale_shared.ldap_view.ber import BerError, Element


@pytest.mark.parametrize(
    "data",
    [
        b"\x30",
        b"\x30\x80\x00\x00",  # an indefinite length
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # a length of five octets
        b"\x3f\x81\x01\x00",  # a tag of two octets
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x04\x02a",
    ],
)
def test_octets_that_ldap_doesn_t_allow_are_refused(data):
    with pytest.raises(BerError):
        ber.children(data)


def test_a_header_that_isn_t_whole_is_waited_for():
    assert [ber.header(b"\x30\x84\x00\x00\x01\x00"[:length]) for length in range(6)] == [None] * 6
    assert ber.header(b"\x30\x84\x00\x00\x01\x00") == (0x30, 6, 256)


def test_a_length_may_be_written_in_more_octets_than_it_needs():
    assert ber.children(b"\x04\x84\x00\x00\x00\x01a") == [Element(ber.OCTET_STRING, b"a")]


def test_more_elements_than_anybody_needs_are_refused():
    with pytest.raises(BerError):
        ber.children(b"\x05\x00" * 1001)


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused_and_nothing_of_them_is_lost(data):
    try:
        found = ber.children(data)
    except BerError:
        return
    assert sum(len(one.content) + 2 for one in found) <= len(data)
    assert b"".join(one.content for one in found) in data or len(found) > 1


@given(st.integers(0, 2**31))
def test_others_read_the_numbers_that_are_written(value):
    written = ber.written_number(value)
    assert decoder.decode(written) == (Integer(value), b"")
    assert ber.number(ber.only(written)) == value


@given(st.binary(max_size=70_000))
def test_others_read_the_texts_that_are_written(value):
    written = ber.written(ber.OCTET_STRING, value)
    assert decoder.decode(written) == (OctetString(value), b"")
    assert ber.octets(ber.only(written)) == value


@given(st.integers(-(2**62), 2**63 - 1))
def test_numbers_of_others_are_read(value):
    assert ber.number(ber.only(encoder.encode(Integer(value)))) == value


@pytest.mark.parametrize("content", [b"", b"\x01" * 9])
def test_a_number_without_octets_or_with_too_many_is_refused(content):
    with pytest.raises(BerError):
        ber.number(Element(ber.INTEGER, content))


def test_a_text_that_is_not_utf_8_is_refused():
    with pytest.raises(BerError):
        ber.text(Element(ber.OCTET_STRING, b"\xff"))
