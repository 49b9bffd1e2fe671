"""BER as LDAP restricts it (RFC 4511, section 5.1; X.690): definite lengths and tags of one octet, nothing else.

Linear in the octets, whatever they say: nothing is read twice but by going deeper, and who goes deeper counts.
"""

from __future__ import annotations

from typing import NamedTuple

BOOLEAN, INTEGER, OCTET_STRING, NULL, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x05, 0x0A, 0x30, 0x31

_HIGH_TAG = 0x1F
_LONG = 0x80
_MOST_LENGTH_OCTETS = 4
_MOST_INTEGER_OCTETS = 8
_MOST_CHILDREN = 1000


class BerError(ValueError):
    """The octets are not what LDAP sends."""


class Element(NamedTuple):
    """A value with its tag."""

    tag: int
    content: bytes


def header(data: bytes | bytearray | memoryview, at: int = 0) -> tuple[int, int, int] | None:
    """(tag, where the content begins, its length) of the element that begins at ``at``; None for too few octets."""
    if len(data) < at + 2:
        return None
    tag, length = data[at], data[at + 1]
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise BerError("a tag of several octets")
    if length < _LONG:
        return tag, at + 2, length
    octets = length - _LONG
    if not 0 < octets <= _MOST_LENGTH_OCTETS:
        raise BerError("an indefinite length, or one of more than four octets")
    begin = at + 2 + octets
    if len(data) < begin:
        return None
    return tag, begin, int.from_bytes(data[at + 2 : begin], "big")


def children(content: bytes, *, most: int = _MOST_CHILDREN) -> list[Element]:
    """The elements that a content is made of. Raises BerError for others, and for more than ``most``."""
    found: list[Element] = []
    at, end = 0, len(content)
    while at < end:
        read = header(content, at)
        if read is None or read[1] + read[2] > end:
            raise BerError("an element is longer than what it is in")
        if len(found) == most:
            raise BerError(f"more than {most} elements")
        tag, begin, length = read
        at = begin + length
        found.append(Element(tag, content[begin:at]))
    return found


def only(content: bytes) -> Element:
    """The one element that a content is made of."""
    return exactly(content, 1)[0]


def exactly(content: bytes, count: int) -> list[Element]:
    """The elements of a content, of which there have to be ``count``."""
    found = children(content, most=count)
    if len(found) != count:
        raise BerError(f"{len(found)} elements instead of {count}")
    return found


def of(element: Element, tag: int) -> bytes:
    """The content of an element, which has to have this tag."""
    if element.tag != tag:
        raise BerError(f"tag {element.tag:#x} instead of {tag:#x}")
    return element.content


def octets(element: Element) -> bytes:
    """An octet string."""
    return of(element, OCTET_STRING)


def text(element: Element) -> str:
    """A string of LDAP (RFC 4511, section 4.1.2). Raises BerError for what is not UTF-8."""
    try:
        return octets(element).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BerError("a string is not UTF-8") from error


def sequence(element: Element) -> bytes:
    """What a sequence is made of."""
    return of(element, SEQUENCE)


def boolean(element: Element) -> bool:
    """A truth value."""
    content = of(element, BOOLEAN)
    if len(content) != 1:
        raise BerError("a truth value of several octets")
    return content != b"\0"


def number(element: Element, tag: int = INTEGER) -> int:
    """An integer, or an enumerated value."""
    content = of(element, tag)
    if not 0 < len(content) <= _MOST_INTEGER_OCTETS:
        raise BerError("an integer without octets, or with too many")
    return int.from_bytes(content, "big", signed=True)


def written(tag: int, *parts: bytes) -> bytes:
    """An element of its parts."""
    content = b"".join(parts)
    length = len(content)
    if length < _LONG:
        return bytes((tag, length)) + content
    octets_of_length = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(octets_of_length))) + octets_of_length + content


def written_number(value: int, tag: int = INTEGER) -> bytes:
    """An integer, or an enumerated value, in as few octets as possible."""
    return written(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def written_text(value: str, tag: int = OCTET_STRING) -> bytes:
    """A string; what no UTF-8 can say becomes a question mark."""
    return written(tag, value.encode("utf-8", "replace"))
