"""Mitel and Aastra 67xx, 68xx and 69xx: a search, and a menu of those who are found.

Elements, limits and commands are those of *XML API for Aastra SIP Phones*, firmware 3.3.1 SP4, PA-001011-03-04: an
object of at most 10000 bytes (p. 40), numbers in the URI of a menu's item as ``Dial:`` (p. 189, which also says that
the object named Directory can't dial, so it isn't used), at most six soft keys for phones that have them (p. 159). That
a menu has at most 30 items isn't in the pages that were read.
"""

from __future__ import annotations

import re

from .. import files, paging, xml
from ..asking import Asked, Document, Format, Setup
from ..setups import with_login
from ..words import words

_MOST_BYTES = 10_000
_MOST_ITEMS = 30
_MOST_NAME_BYTES = 64
_MOST_TITLE_BYTES = 40
_MOST_SEARCHED_BYTES = 60
# Models with soft keys; the others don't know the element, and page by items of the list (p. 40, and the models since).
_SOFT_KEYS = re.compile(r"(?:Aastra|Mitel)\s?(?:9480i|67(?:35|37|39|55|57)i|5[57]i|68(?:67|69|73)i|69[2-7]0)", re.ASCII)


def search(asked: Asked) -> Document:
    """The screen to search from."""
    told = words(asked.profile.language)
    parts = [
        xml.element("Title", told.contacts, _MOST_TITLE_BYTES),
        xml.element("Prompt", told.name_or_number, _MOST_TITLE_BYTES),
        xml.element("URL", asked.to("mitel/list")),
        xml.element("Parameter", "q"),
        xml.element("Default", ""),
    ]
    return _document(xml.parent("AastraIPPhoneInputScreen", parts, type="string", destroyOnExit="yes"))


def menu(asked: Asked) -> Document:
    """One page of those who are found; of everyone, if nothing is searched."""
    text = xml.plain(asked.text("q"), _MOST_SEARCHED_BYTES)
    most = _MOST_ITEMS - 2  # room for the way back and on
    while True:
        answer = _menu(asked, text, most)
        if len(answer.body) <= _MOST_BYTES or most == 1:
            return answer
        most = max(most // 2, 1)


def _menu(asked: Asked, text: str, most: int) -> Document:
    told = words(asked.profile.language)
    page = paging.page(asked, text, most, lambda contact: files.dialled(asked, contact), _MOST_NAME_BYTES)
    ways = {
        label: asked.to("mitel/list", q=text, **place.parameters)
        for label, place in ((told.previous, page.previous), (told.next, page.next))
        if place
    }
    items = [_item(entry.name, f"Dial:{entry.number}") for entry in page.entries]
    if not items:
        items = [_item(told.nothing_found, asked.to("mitel"))]
    keys = []
    if _SOFT_KEYS.match(asked.headers.get("user-agent", "")):
        own = {told.dial: "SoftKey:Dial", **ways, told.search: asked.to("mitel"), told.exit: "SoftKey:Exit"}
        keys = [_key(index, label, uri) for index, (label, uri) in enumerate(own.items(), 1)]
    else:
        before = [_item(label, url) for label, url in ways.items() if label == told.previous]
        behind = [_item(label, url) for label, url in ways.items() if label == told.next]
        items = [*before, *items, *behind]
    title = xml.element("Title", f"{told.contacts} {text}", _MOST_TITLE_BYTES)
    return _document(xml.parent("AastraIPPhoneTextMenu", [title, *items, *keys], style="none", destroyOnExit="yes"))


def _item(prompt: str, uri: str) -> str:
    return xml.parent("MenuItem", [xml.element("Prompt", prompt), xml.element("URI", uri)])


def _key(index: int, label: str, uri: str) -> str:
    return xml.parent("SoftKey", [xml.element("Label", label), xml.element("URI", uri)], index=str(index))


def _document(answer: str) -> Document:
    return Document(f"{xml.DECLARATION}{answer}\n".encode())


def setup(told: Setup) -> str:
    """For the phone's configuration file."""
    url = with_login(told, "mitel")
    return (
        "# 68xx and 69xx: the directory key\n"
        f"directory script: {url}\n"
        "\n"
        "# 67xx: a soft key or programmable key\n"
        "softkey1 type: xml\n"
        "softkey1 label: Contacts\n"
        f"softkey1 value: {url}\n"
    )


FORMAT = Format(
    name="mitel",
    title="Mitel and Aastra 67xx, 68xx, 69xx",
    answers={"mitel": search, "mitel/list": menu},
    preview=("mitel/list", {}),
    setup=setup,
    most_entries=_MOST_ITEMS,
    most_bytes=_MOST_BYTES,
    source="XML API for Aastra SIP Phones 3.3.1 SP4, PA-001011-03-04, p. 40, 48, 159, 189",
)
