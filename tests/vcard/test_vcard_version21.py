"""Cards of 2.1 as 3.0."""

from __future__ import annotations

import pytest
import vobject
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, build_line, check, upgrade
from tests.vcard.examples import stored_cards


def old(*lines: bytes | str, eol: bytes = b"\r\n") -> bytes:
    content = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return eol.join([b"BEGIN:VCARD", b"VERSION:2.1", *content, b"END:VCARD", b""])


def upgraded(*lines: bytes | str, eol: bytes = b"\r\n") -> list[str]:
    """The lines of the card as 3.0, without VERSION and those that were made."""
    card = Card.parse(upgrade(old(*lines, "FN:Ada", "N:Lovelace;Ada", eol=eol)))
    assert card.version == "3.0"
    text = b"".join(line.raw for line in card.lines).replace(b"\r\n ", b"").decode()
    return [line for line in text.splitlines() if line not in ("VERSION:3.0", "FN:Ada", "N:Lovelace;Ada")]


RULES: dict[str, tuple[bytes | str, str]] = {
    "types without name": ("TEL;WORK;VOICE;PREF:1", "TEL;TYPE=WORK,VOICE,PREF:1"),
    "types with and without": ("TEL;TYPE=CELL;HOME:1", "TEL;TYPE=CELL,HOME:1"),
    "quoted-printable": ("FN;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen", "FN:Jürgen"),
    "quoted-printable without name": ("FN;QUOTED-PRINTABLE:J=C3=BCrgen", "FN:Jürgen"),
    "soft line break": ("NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n b=0D=0Ac=\r\nd", "NOTE:a b\\ncd"),
    "quoted-printable in Latin 1": ("FN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:J=FCrgen", "FN:Jürgen"),
    "quoted-printable in nobody knows what": ("FN;ENCODING=QUOTED-PRINTABLE:J=FCrgen =80", "FN:Jürgen €"),
    "charset": (b"FN;CHARSET=ISO-8859-2:Ji\xf8\xed", "FN:Jiří"),
    "Shift JIS": ("FN;CHARSET=SHIFT_JIS:表示".encode("shift_jis"), "FN:表示"),
    "wrong charset": ("FN;CHARSET=ISO-8859-1:Jürgen", "FN:Jürgen"),
    "no charset": (b"FN:J\xfcrgen", "FN:Jürgen"),
    "charset nobody has": (b"FN;CHARSET=x-mine:J\xfcrgen", "FN:J\ufffdrgen"),
    "a fold inside of a character": (b"FN:J\xc3\r\n \xbcrgen", "FN:Jürgen"),
    "base64": ("PHOTO;ENCODING=BASE64;JPEG:\r\n /9j/\r\n 4AAQ\r\n", "PHOTO;TYPE=JPEG;ENCODING=b:/9j/4AAQ"),
    "base64 that isn't folded": (
        "PHOTO;JPEG;BASE64:/9j/\r\n4AAQ\r\nAA==\r\n",
        "PHOTO;TYPE=JPEG;ENCODING=b:/9j/4AAQAA==",
    ),
    "an address of a picture": ("PHOTO;VALUE=URL:http://x.example/a.jpg", "PHOTO;VALUE=uri:http://x.example/a.jpg"),
    "commas, which 2.1 doesn't escape": ("NOTE:a, b; c", "NOTE:a\\, b\\; c"),
    "escaped semicolon": ("N:a\\;b;c,d;", "N:a\\;b;c\\,d;"),
    "address": ("ADR;HOME:;;1 Mill, left;x;;;", "ADR;TYPE=HOME:;;1 Mill\\, left;x;;;"),
    "lists": ("CATEGORIES:a,b\\,c;d", "CATEGORIES:a,b\\,c\\;d"),
    "address of a page": ("URL:http://x.example/?a,b;c", "URL:http://x.example/?a,b;c"),
    "somebody's own": ("X-ANDROID-CUSTOM:a/b;Nick;;1", "X-ANDROID-CUSTOM:a/b;Nick;;1"),
    "group": ("a.TEL;HOME:1", "a.TEL;TYPE=HOME:1"),
    "no content line": ("only text, =", "only text, "),
    "blank line": ("", ""),
    "control characters": ("NOTE;ENCODING=QUOTED-PRINTABLE:a=00=0C=EF=BF=BFb", "NOTE:ab"),
    "language": ("NOTE;LANGUAGE=de:x", "NOTE;LANGUAGE=de:x"),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_holds(rule):
    written, expected = RULES[rule]

    assert upgraded(written) == ([expected] if expected else [])


@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r"])
def test_any_line_end_is_read(eol):
    assert upgraded("TEL;CELL:1", b"NOTE:a" + eol + b" b", eol=eol) == ["TEL;TYPE=CELL:1", "NOTE:ab"]


def test_a_card_inside_of_a_card_is_its_text(corpus):
    card = Card.parse(upgrade(corpus("agent-2.1")))

    inner = Card.parse(card.text("AGENT").encode())

    assert (inner.version, inner.text("FN"), inner.text("N")) == ("3.0", "Arne Assistent", "Assistent;Arne")
    assert (card.uid, card.text("FN")) == ("chef-1", "Carla Chef")


def test_names_that_3_needs_are_made():
    only_number = Card.parse(upgrade(old("TEL:+49 30 1")))
    only_n = Card.parse(upgrade(old("N:Lovelace;Ada;;Countess;")))

    assert (only_number.text("FN"), only_number.text("N")) == ("+49 30 1", "+49 30 1;;;;")
    assert only_n.text("FN") == "Countess Ada Lovelace"
    assert [line.name for line in only_n.lines] == ["VERSION", "FN", "N"]
    assert only_n.uid == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n",
        b"BEGIN:VCARD\r\nEND:VCARD\r\n",
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nFN:x\r\n",
        old("FN:x") * 2,
        old("AGENT:\r\nBEGIN:VCARD\r\nAGENT:\r\nBEGIN:VCARD\r\nEND:VCARD\r\n"),
        b"BEGIN:VCARD\r\nVERSION:2.1\r\n" + b"AGENT:\r\nBEGIN:VCARD\r\n" * 3000 + b"END:VCARD\r\n" * 3001,
    ],
    ids=["empty", "3.0", "no version", "no end", "two", "agent without end", "deep"],
)
def test_what_is_no_card_of_2_is_refused(data):
    with pytest.raises(NotAVCardError):
        upgrade(data)


_PIECES = [
    b"TEL;CELL",
    b"NOTE",
    b";ENCODING=QUOTED-PRINTABLE",
    b";BASE64",
    b";CHARSET=UTF-8",
    b";CHARSET=utf-16",
    b":",
    b"=C3",
    b"=\r\n",
    b"=",
    b"\r\n",
    b"\r\n ",
    b"\n",
    b"\xc3\xa4",
    b"\xff",
    b"\x00",
    b"AGENT:\r\n",
    b"BEGIN:VCARD\r\n",
    b"END:VCARD\r\n",
    b"VERSION:2.1\r\n",
    b'"',
    b"AAAA",
    b"PHOTO",
    b".",
    b",",
    b"\\",
    b"UID:u\r\n",
    b"N:a;b",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map(b"".join))
def test_any_bytes_are_refused_or_become_a_card_of_3_with_names(content):
    try:
        made = upgrade(b"BEGIN:VCARD\r\nVERSION:2.1\r\n" + content + b"\r\nEND:VCARD\r\n")
    except NotAVCardError:
        return
    card = Card.parse(made)
    assert card.version == "3.0"
    assert card.first("FN") is not None
    assert card.first("N") is not None
    assert not any(line.param("ENCODING") == ("QUOTED-PRINTABLE",) for line in card.lines if line.name != "AGENT")
    made.decode()


@pytest.mark.parametrize("data", stored_cards("2.1"))
def test_a_card_of_a_phone_may_be_stored_and_says_what_it_said(data):
    before = Card.parse(data)
    card = Card.parse(upgrade(data))
    card = check((card if card.uid else card.append(build_line("UID", "u1"))).serialise())

    # Photos of real cards may be cut short, which vobject refuses.
    lines = [line.raw for line in card.lines if line.name not in {"PHOTO", "KEY"}]
    second = vobject.readOne(b"".join((card.head, *lines, card.tail)).decode())

    assert second.version.value == "3.0"
    for name in ("TEL", "EMAIL", "BDAY", "UID"):
        if before.all(name):
            assert card.texts(name) == before.texts(name)
    numbers = {line.name: len(before.all(line.name)) for line in before.lines if line.name}
    assert {name: len(card.all(name)) for name in numbers} == numbers
