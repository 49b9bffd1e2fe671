"""Cisco: menu, input and directory for phones of a Unified Communications Manager, with SIP firmware, SPA and MPP.

Checked against *Cisco Unified IP Phone Services Application Development Notes*, OL-20949-01, p. 3-6 and 3-7 (also
OL-18696-01, p. 2-6 and 2-7, and OL-5375-01): 32 entries a directory and 100 items a menu at most, names of 64
characters, the next page by the HTTP header ``Refresh``, ``text/xml`` and an ``Expires`` in the past. Soft keys take
the place of the phone's own, so ``Dial`` is among them. What ``URL Directories`` names has to answer a menu.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..paging import Place, page, screen
from ..words import words

PAGE = 32
NAME = 64  # bytes
_PAST = ("Expires", "Mon, 01 Jan 1990 00:00:00 GMT")


def menu(asked: Asked) -> Document:
    """``CiscoIPPhoneMenu``: to search, or to see everyone."""
    told = words(asked.profile.language)
    items = [(told.search, asked.to("cisco/search")), (told.everyone, asked.to("cisco/list"))]
    return _screen(
        "CiscoIPPhoneMenu",
        [
            xml.element("Title", told.contacts),
            xml.element("Prompt", told.name_or_number),
            *(xml.parent("MenuItem", [xml.element("Name", name), xml.element("URL", url)]) for name, url in items),
        ],
    )


def search(asked: Asked) -> Document:
    """``CiscoIPPhoneInput``: the phone puts what was typed behind the URL as ``q``."""
    told = words(asked.profile.language)
    return _screen(
        "CiscoIPPhoneInput",
        [
            xml.element("Title", told.contacts),
            xml.element("Prompt", told.name_or_number),
            xml.element("URL", asked.to("cisco/list")),
            xml.parent(
                "InputItem",
                [
                    xml.element("DisplayName", told.search),
                    xml.element("QueryStringParam", "q"),
                    xml.element("DefaultValue", ""),
                    xml.element("InputFlags", "A"),
                ],
            ),
        ],
    )


def directory(asked: Asked) -> Document:
    """``CiscoIPPhoneDirectory``: one page of who is found; of everyone without ``q``."""
    told, text = words(asked.profile.language), asked.text("q")
    found = page(asked, text, PAGE, lambda contact: files.dialled(asked, contact), NAME)

    def to(place: Place) -> str:
        return asked.to("cisco/list", q=text, **place.parameters)

    keys = [(told.dial, "SoftKey:Dial"), (told.edit, "SoftKey:EditDial"), (told.exit, "SoftKey:Exit")]
    if found.next:
        keys.append((told.next, to(found.next)))
    if found.previous:
        keys.append((told.previous, to(found.previous)))
    return _screen(
        "CiscoIPPhoneDirectory",
        [
            xml.element("Title", told.contacts),
            xml.element("Prompt", (text or told.everyone) if found.entries else told.nothing_found, NAME),
            *(
                xml.parent("DirectoryEntry", [xml.element("Name", name), xml.element("Telephone", number)])
                for name, number in found.entries
            ),
            *(
                xml.parent(
                    "SoftKeyItem",
                    [xml.element("Name", name), xml.element("URL", url), xml.element("Position", str(at))],
                )
                for at, (name, url) in enumerate(keys, start=1)
            ),
        ],
        # 0: the phone waits for the key.
        [("Refresh", f"0; url={to(found.next)}")] if found.next else [],
    )


def _screen(root: str, children: Iterable[str], headers: Iterable[tuple[str, str]] = ()) -> Document:
    return screen(root, children, (_PAST, *headers))


def setup(told: Setup) -> str:
    """Lines for each kind of Cisco phone."""
    url, name = f"{told.url}cisco", words(told.profile.language).contacts
    return f"""\
# Unified Communications Manager: System, Enterprise Parameters, URL Directories
{url}

<!-- Phones with SIP firmware: SEP<mac>.cnf.xml. A 7940 or 7960 appends a parameter of its own, hence the end. -->
<directoryURL>{xml.escaped(url)}?&amp;</directoryURL>

<!-- SPA and MPP (68xx, 78xx, 88xx): profile. The phone puts its MAC address in place of $MA. -->
<XML_Directory_Service_Name>{xml.escaped(name)}</XML_Directory_Service_Name>
<XML_Directory_Service_URL>{xml.escaped(url)}?mac=$MA</XML_Directory_Service_URL>
{_login(told)}"""


def _login(told: Setup) -> str:
    if not told.login:
        return ""
    return f"{xml.element('XML_User_Name', told.login)}\n{xml.element('XML_Password', told.password)}\n"


FORMAT = Format(
    name="cisco",
    title="Cisco: phones of a Unified Communications Manager, with SIP firmware, SPA and MPP",
    answers={"cisco": menu, "cisco/search": search, "cisco/list": directory},
    preview=("cisco/list", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Cisco Unified IP Phone Services Application Development Notes, OL-20949-01, p. 3-6, 3-7",
)
