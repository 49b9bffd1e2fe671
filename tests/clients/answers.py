"""What the clients of this folder read out of an answer."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.dav.conftest import CARDDAV, DAV, Response

CS = "{http://calendarserver.org/ns/}"
PREFIXES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:carddav",
    "CS": "http://calendarserver.org/ns/",
    "ME": "http://me.com/_namespace/",
    "CAL": "urn:ietf:params:xml:ns:caldav",
    "P": "https://bitfire.at/webdav-push",
}
XMLNS = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in PREFIXES.items())


def named(name: str) -> str:
    """``D:owner`` as ElementTree writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


def require(answer: Response, href: str, names: str) -> None:
    for name in names.split():
        assert answer.prop(href, named(name)) is not None, f"{href} has no {name}"


def is_book(answer: Response, href: str) -> bool:
    kind = answer.prop(href, f"{DAV}resourcetype")
    return kind is not None and kind.find(f"{CARDDAV}addressbook") is not None


def etags(answer: Response) -> dict[str, str]:
    """{URL: ETag} of a multistatus, of what has one."""
    return {href: answer.text(href, f"{DAV}getetag") for href in answer.hrefs if has(answer, href, "D:getetag")}


def has(answer: Response, href: str, name: str) -> bool:
    return answer.prop(href, named(name)) is not None


def privileges(answer: Response, href: str) -> set[str]:
    found = answer.prop(href, f"{DAV}current-user-privilege-set")
    assert found is not None
    return {one[0].tag.removeprefix(DAV) for one in found}


def conditions(answer: Response) -> list[str]:
    """The names in a DAV:error; none where the body is something else."""
    try:
        return answer.conditions if answer.xml.tag == f"{DAV}error" else []
    except ET.ParseError:
        return []
