"""A card takes some times its bytes of memory while it is worked on, whatever shape it has."""

import tracemalloc

import pytest

from radicale_shared.vcard import Card, check, convert, display_name, distance, is_alike, merge, returned, search_fields

MEGABYTE = 1_000_000
MOST = 40  # times the card's bytes; a text of its own for each two letters would be 100 of them


def card(line: str) -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u\r\nX-A:1\r\n{line}\r\nEND:VCARD\r\n".encode()


def merged(data: bytes) -> None:
    merge(data, data.replace(b"\r\nEND", b"ours\r\nEND"), data.replace(b"\r\nEND", b"theirs\r\nEND"))


def sent_back(data: bytes) -> None:
    shown = convert(Card.parse(data), "3.0")
    distance(shown, returned(shown, Card.parse(shown.serialise().replace(b"X-A:1", b"X-A:2"))))


WORK = {
    "check": check,
    "merge": merged,
    "is_alike": lambda data: is_alike(Card.parse(data)),
    "returned": sent_back,
    "search_fields": lambda data: search_fields(Card.parse(data)),
    "display_name": lambda data: display_name(Card.parse(data)),
}
SHAPES = {
    "components": ("N:", "ab;"),
    "items of components": ("ADR:", "ab,"),
    "units": ("ORG:", "ab;"),
    "items": ("CATEGORIES:", "ab,"),
    "nicknames": ("NICKNAME:", "ab,"),
    "escapes": ("NOTE:", "ab\\,"),
    "backslashes": ("FN:", "\\"),
    "percent": ("PHOTO:data:,", "%41"),
    "percent in a number": ("TEL;VALUE=uri:tel:", "%41"),
    "base64 in pieces": ("PHOTO;ENCODING=b:", "ab "),
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_endless_value_takes_memory_by_its_bytes_and_not_by_its_parts(shape, work):
    start, part = SHAPES[shape]
    data = card(start + part * (MEGABYTE // len(part)))

    tracemalloc.start()
    WORK[work](data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MOST * len(data)
