"""Mitel and Aastra: the search, and the menu of who is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import mitel
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

_WITH_KEYS = ["Aastra6867i MAC:00-08-5D-00-00-01 V:3.3.1", "Aastra55i MAC:0", "Mitel6930 MAC:1", "Mitel 6873i"]
_WITHOUT_KEYS = ["", "Aastra53i MAC:0", "Aastra6863i MAC:0", "Mitel6905", "Mozilla/5.0 (Aastra6867i)"]


def menu(asked: Asked) -> Element:
    return checked(mitel.menu(asked).body, *DOCUMENTS["mitel"]["mitel/list"], most_bytes=10_000)


def links(root: Element) -> dict[str, str]:
    """{label: URL} of all that leads to another page"""
    items = [(item.findtext("Prompt"), item.findtext("URI")) for item in root.iter("MenuItem")]
    keys = [(key.findtext("Label"), key.findtext("URI")) for key in root.iter("SoftKey")]
    return {label or "": url for label, url in [*items, *keys] if url and url.startswith("http")}


def numbers(root: Element) -> list[str]:
    told = [item.findtext("URI") or "" for item in root.iter("MenuItem")]
    return [uri.removeprefix("Dial:") for uri in told if uri.startswith("Dial:")]


def following(asked: Asked, url: str) -> Asked:
    """The request of a page that another one leads to."""
    assert urlsplit(url).path.endswith("/mitel/list")
    return replace(asked, parameters=dict(parse_qsl(urlsplit(url).query)))


def walked(asked: Asked) -> tuple[list[str], Asked, int]:
    """(all numbers, the last request, how many pages) of somebody who always goes on"""
    found: list[str] = []
    pages = 0
    while True:
        root = menu(asked)
        found += numbers(root)
        pages += 1
        assert pages < 1000
        if "Next" not in links(root):
            return found, asked, pages
        asked = following(asked, links(root)["Next"])


def test_a_search_asks_for_the_list() -> None:
    screen = checked(mitel.search(made.asked("mitel")).body, *DOCUMENTS["mitel"]["mitel"])

    assert screen.findtext("URL") == f"{made.URL}mitel/list"
    assert screen.findtext("Parameter") == "q"


@pytest.mark.parametrize("agent", [*_WITH_KEYS[:1], *_WITHOUT_KEYS[:1]])
@pytest.mark.parametrize("size", [1, 27, 28, 29, 57, 300])
def test_who_goes_on_sees_every_number_once_and_comes_back(size: int, agent: str) -> None:
    people = [made.contact(at, f"0302312{at:04}", f"0171{at:04}") for at in range(size)]
    asked = replace(made.asked("mitel/list", people, {"q": "eva"}), headers={"user-agent": agent})

    found, last, pages = walked(asked)

    assert found == [line.number for one in people for line in one.lines]
    while "Back" in links(menu(last)):
        last = following(last, links(menu(last))["Back"])
        pages -= 1
    assert numbers(menu(last)) == found[:28]
    assert pages == 1


@examples(25)
@given(
    contacts=made.CONTACTS,
    text=made.TEXTS,
    offset=st.integers(0, 99),
    agent=st.sampled_from([*_WITH_KEYS, *_WITHOUT_KEYS]),
)
def test_a_page_is_never_too_long_for_the_phone(contacts: list[Contact], text: str, offset: int, agent: str) -> None:
    told: dict[str, Any] = {"q": text, "offset": offset}
    menu(replace(made.asked("mitel/list", contacts, told), headers={"user-agent": agent}))


@pytest.mark.parametrize("name", ["&" * 10_000, '"' * 64, "ü" * 64, "x"])
def test_the_longest_names_make_shorter_pages_and_lose_nobody(name: str) -> None:
    people = [made.contact(at, Line(Kind.WORK, f"{at:040}"), name=name, family=name, given=name) for at in range(100)]

    found, _, _ = walked(made.asked("mitel/list", people))

    assert found == [one.lines[0].number for one in people]


@pytest.mark.parametrize("agent", _WITH_KEYS)
def test_phones_with_soft_keys_turn_pages_by_them(agent: str) -> None:
    people = [made.contact(at) for at in range(90)]
    asked = replace(made.asked("mitel/list", people, {"offset": 28}), headers={"user-agent": agent})

    root = menu(asked)

    keys = {key.findtext("Label"): key.findtext("URI") for key in root.iter("SoftKey")}
    assert keys["Dial"] == "SoftKey:Dial"
    assert keys["Exit"] == "SoftKey:Exit"
    assert {"Back", "Next", "Search"} <= set(keys)
    assert [key.get("index") for key in root.iter("SoftKey")] == ["1", "2", "3", "4", "5"]
    assert len(numbers(root)) == len(list(root.iter("MenuItem")))


@pytest.mark.parametrize("agent", _WITHOUT_KEYS)
def test_other_phones_turn_pages_by_the_first_and_the_last_item(agent: str) -> None:
    people = [made.contact(at) for at in range(90)]
    asked = replace(made.asked("mitel/list", people, {"offset": 28}), headers={"user-agent": agent})

    root = menu(asked)

    prompts = [item.findtext("Prompt") for item in root.iter("MenuItem")]
    assert list(root.iter("SoftKey")) == []
    assert (prompts[0], prompts[-1], len(prompts)) == ("Back", "Next", 30)


def test_where_nobody_is_found_the_one_item_leads_to_a_new_search() -> None:
    root = menu(made.asked("mitel/list", [made.contact()], {"q": "nobody"}, language="de"))

    assert links(root) == {"Nichts gefunden": f"{made.URL}mitel"}
    assert root.findtext("Title") == "Kontakte nobody"
