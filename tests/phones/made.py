"""Contacts and requests made by hand, to look at the formats alone: without a server, a database or cards."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from radicale_shared.access import Scope
from radicale_shared.devices import Device
from radicale_shared.entries import Kind
from radicale_shared.phone_profiles import Profile
from radicale_shared.phones.asking import Asked, Found, Setup
from radicale_shared.phones.contacts import Contact, Line

URL = "https://contacts.example.org/p/rs-secret/"


def contact(at: int = 1, *numbers: str | Line, **parts: Any) -> Contact:
    """The contact of a number. numbers: of work, where they say nothing else; none: one that it makes up"""
    lines = [Line(Kind.WORK, one) if isinstance(one, str) else one for one in numbers or (f"+4930231250{at:05}",)]
    told = {
        "name": f"Muster {at:05}, Eva",
        "family": f"Muster {at:05}",
        "given": "Eva",
        "org": "Muster GmbH",
        "title": "",
        "email": "",
        "group": "Leads",
        **parts,
    }
    return Contact(key=str(at), lines=tuple(lines), **told)


def company(name: str, at: int = 1) -> Contact:
    """A contact whose name has no parts."""
    return contact(at, name=name, family="", given="")


def profile(make: str = "yealink", **choices: Any) -> Profile:
    """A profile as ``phone add`` makes it."""
    device = Device(
        id=1,
        principal_id=1,
        slug="ada",
        login="ada",
        label="Reception",
        scope=Scope(read_only=True),
        phones_only=True,
        merged=None,
        **_UNUSED,
    )
    return Profile(device=device, own_region="", **{"make": make, **choices})


_UNUSED: dict[str, Any] = {
    name: None
    for name in Device.__dataclass_fields__
    if name not in {"id", "principal_id", "slug", "login", "label", "scope", "phones_only", "merged"}
}


def asked(
    path: str, contacts: Sequence[Contact] = (), parameters: Mapping[str, Any] | None = None, **choices: Any
) -> Asked:
    """A request of a phone that shows ``contacts``, in this order. choices: of its profile"""

    def search(text: str, offset: int, limit: int) -> Found:
        folded = text.casefold()
        found = [
            one
            for one in contacts
            if any(word.startswith(folded) for word in one.name.casefold().replace(",", " ").split() or [""])
            or any(folded in line.number for line in one.lines)
            or not folded
        ]
        return Found(found[offset : offset + limit], len(found) > offset + limit)

    return Asked(
        path=path,
        parameters={name: str(value) for name, value in (parameters or {}).items()},
        headers={},
        url=URL,
        profile=profile(path.partition("/")[0].partition(".")[0], **choices),
        everyone=lambda: list(contacts),
        search=search,
        called=lambda number: [one for one in contacts if any(line.number.endswith(number) for line in one.lines)],
        contact=lambda key: next((one for one in contacts if one.key == key), None),
    )


def for_setup(*, by_basic: bool = False, **choices: Any) -> Setup:
    """What the lines for a phone are made of."""
    if by_basic:
        return Setup("https://contacts.example.org/p/-/", "ada", "rs-pass&word", profile(**choices))
    return Setup(URL, "", "", profile(**choices))


def shown(text: str, most_bytes: int = 128) -> str:
    """How a phone shows a text: on one line, without what can't be shown, and no longer than it takes."""
    seen = " ".join("".join(" " if unshown(char) else char for char in text).split())
    size, kept = 0, ""
    for char in seen:
        size += len(char.encode())
        if size > most_bytes:
            break
        kept += char
    return kept.rstrip()


def unshown(char: str) -> bool:
    """Whether a character is left out: controls, and what XML 1.0 can't have."""
    return unicodedata.category(char) in ("Cc", "Cs") or char in "\ufffe\uffff"


# What cards hold: all that XML has to escape, what it can't hold, right to left, beyond the first plane, and too much.
_ODD = ["<", ">", "&", '"', "'", "]]>", "&amp;", "\x00", "\x07", "\x1b", "\x85", "\x9f", "\u200f", "\u2028", "\ufffe"]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(
        st.sampled_from([*_ODD, "Müller", "שלום", "مرحبا", "😀", "👩‍👩‍👧", " ", "a", "%41", "#"]), max_size=12
    ).map("".join),
    st.sampled_from(["x" * 10_000, "ü" * 5_000, "😀" * 2_500, "&" * 3_000]),
)
NAMES = TEXTS.filter(bool)
NUMBERS = st.from_regex(r"\+?[0-9*#]{1,45}", fullmatch=True)
LINES = st.lists(
    st.builds(Line, st.sampled_from(Kind), NUMBERS), min_size=1, max_size=12, unique_by=lambda line: line.number
).map(tuple)
CONTACTS = st.lists(
    st.builds(
        Contact,
        key=st.integers(0, 2**64 - 1).map(str),
        name=NAMES,
        family=TEXTS,
        given=TEXTS,
        org=TEXTS,
        title=TEXTS,
        email=TEXTS,
        lines=LINES,
        group=TEXTS,
    ),
    max_size=6,
)
