"""What all formats hold to, whatever the make: valid documents within the vendor's limits, whatever cards hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked, Document, Found
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import FORMATS
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

ANSWERS = [(make, path) for make, format_ in FORMATS.items() for path in format_.answers]
# (make, path, what the text is called) of the lists that a search ends in
LISTS = [("cisco", "cisco/list", "q"), ("snom", "snom/list", "term"), ("fanvil", "fanvil/list", "q")]
_MAC = "0004f2000001"
_MANY = [
    made.contact(at, Line(Kind.WORK, f"+4930231250{at:05}"), Line(Kind.MOBILE, f"+4917105{at:05}"))
    for at in range(10_000)
]


def answered(make: str, path: str, contacts: Iterable[Contact] = (), **choices: int) -> tuple[Asked, Document]:
    """(the request, its answer)"""
    sample = path.replace("*", _MAC) + (_MAC if path.endswith("/") else "")
    asked = made.asked(sample, list(contacts), **choices)
    return asked, FORMATS[make].answers[path](asked)


def test_every_answer_has_a_table_of_elements() -> None:
    assert {(make, path) for make, tables in DOCUMENTS.items() for path in tables} == set(ANSWERS)


@pytest.mark.parametrize(("make", "path"), ANSWERS)
@examples(10)
@given(contacts=made.CONTACTS)
def test_whatever_cards_hold_an_answer_agrees_with_its_table(make: str, path: str, contacts: list[Contact]) -> None:
    _, document = answered(make, path, contacts)

    checked(document.body, *DOCUMENTS[make][path])
    assert document.status == 200


@pytest.mark.parametrize(("make", "path"), ANSWERS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_nobody_is_a_valid_answer(make: str, path: str, language: str) -> None:
    sample = path.replace("*", _MAC)
    asked = made.asked(sample, [], language=language)

    checked(FORMATS[make].answers[path](asked).body, *DOCUMENTS[make][path])
    assert asked.left_out.all == ()


@pytest.mark.parametrize(("make", "path"), ANSWERS)
def test_ten_thousand_contacts_stay_within_the_limits_of_the_make(make: str, path: str) -> None:
    asked, document = answered(make, path, _MANY)

    checked(document.body, *DOCUMENTS[make][path], most_bytes=FORMATS[make].most_bytes)
    for told in asked.left_out.all:
        assert 0 < told.contacts < 10_000
        assert told.reason
        assert told.example.startswith("Muster")


@pytest.mark.parametrize(("make", "path"), ANSWERS)
@pytest.mark.parametrize("most", [1, 700, 5000])
def test_a_profile_limits_the_bytes_of_a_file(make: str, path: str, most: int) -> None:
    _, unlimited = answered(make, path, _MANY[:50])
    _, nobody = answered(make, path)
    asked, document = answered(make, path, _MANY[:50], max_bytes=most)

    if any("bytes" in told.reason for told in asked.left_out.all):
        assert len(document.body) <= max(most, len(nobody.body))
        assert len(unlimited.body) > most
    else:
        assert document.body == unlimited.body
    checked(document.body, *DOCUMENTS[make][path])


@pytest.mark.parametrize("make", FORMATS)
def test_what_a_phone_is_told_to_ask_for_is_answered(make: str) -> None:
    format_ = FORMATS[make]
    path, parameters = format_.preview
    asked = made.asked(path, _MANY[:3], parameters)
    by_url, by_basic = format_.setup(made.for_setup(make=make)), format_.setup(made.for_setup(make=make, by_basic=True))

    assert path in format_.answers or any(known.endswith("/") or "*" in known for known in format_.answers)
    assert answer_of(make, path)(asked).status == 200
    assert made.URL.partition("://")[2] in by_url
    assert "contacts.example.org/p/-/" in by_basic.replace("ada:rs-pass%26word@", "")
    assert "ada" in by_basic
    assert "rs-secret" not in by_basic


@pytest.mark.parametrize(("make", "path", "name"), LISTS)
@examples(20)
@given(text=made.TEXTS)
def test_whatever_was_typed_the_next_page_is_of_the_same_search(make: str, path: str, name: str, text: str) -> None:
    asked = made.asked(path, [], {name: text})
    asked = replace(
        asked, search=lambda sought, at, most: Found(_MANY[at : at + most] if sought == text.strip() else [], True)
    )
    root = checked(FORMATS[make].answers[path](asked).body, *DOCUMENTS[make][path])

    pages = [url for node in root.iter() if (url := (node.text or "").strip()).startswith(made.URL + path)]
    assert len(pages) == 1
    assert dict(parse_qsl(urlsplit(pages[0]).query)).get(name, "") == text.strip()


def answer_of(make: str, path: str) -> Callable[[Asked], Document]:
    """Who answers a path, as it is asked for."""
    answers = FORMATS[make].answers
    return answers.get(path) or next(
        answer for known, answer in answers.items() if path.startswith(known.partition("*")[0].rstrip("/"))
    )
