"""XML as phones read it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.phones import xml
from tests.phones import made


@given(text=made.TEXTS, most=st.integers(0, 40))
def test_what_is_written_is_what_is_parsed(text: str, most: int) -> None:
    written = xml.element("Name", text, most, kind=text)
    node = ElementTree.fromstring(xml.DECLARATION + written)

    expected = made.shown(text, most or 1_000_000)
    assert (node.text or "") == expected
    assert node.get("kind") == made.shown(text, 1_000_000)


@given(text=st.text(max_size=60), most=st.integers(1, 40))
def test_a_text_is_cut_by_bytes_before_it_is_escaped(text: str, most: int) -> None:
    kept = xml.plain(text, most)

    assert len(kept.encode()) <= most
    assert xml.plain(text).startswith(kept)
    assert kept == kept.strip()


@pytest.mark.parametrize("char", [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), 0xD800, 0xFFFE, 0xFFFF]])
def test_a_character_that_breaks_parsers_is_a_blank(char: str) -> None:
    assert xml.plain(f"a{char}b") == "a b"


def test_all_five_characters_are_escaped_in_texts_and_attributes() -> None:
    assert xml.escaped("<&>\"'") == "&lt;&amp;&gt;&quot;&apos;"
    assert xml.empty("Unit", name="<&>\"'") == '<Unit name="&lt;&amp;&gt;&quot;&apos;"/>'
    assert xml.element("Name", "&" * 5, 3) == "<Name>&amp;&amp;&amp;</Name>"
