"""Messages of LDAP in bytes (RFC 4511, section 4): requests read, answers written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from . import ber, filters
from .ber import BerError, Element
from .requests import Scope, SearchRequest
from .results import Code

LONGEST = 65536
MOST_CONTROLS = 16
_MOST_ID = 2**31 - 1
_MOST_NUMBER = 2**31 - 1

START_TLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
_NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"


class Operation(IntEnum):
    """Tags of requests (RFC 4511, section 4.2 and on)."""

    BIND = 0x60
    UNBIND = 0x42
    SEARCH = 0x63
    MODIFY = 0x66
    ADD = 0x68
    DELETE = 0x4A
    MODIFY_DN = 0x6C
    COMPARE = 0x6E
    ABANDON = 0x50
    EXTENDED = 0x77


# The tag of the answer that ends an operation; Unbind and Abandon have none.
ANSWERS: Mapping[int, int] = {
    Operation.BIND: 0x61,
    Operation.SEARCH: 0x65,
    Operation.MODIFY: 0x67,
    Operation.ADD: 0x69,
    Operation.DELETE: 0x6B,
    Operation.MODIFY_DN: 0x6D,
    Operation.COMPARE: 0x6F,
    Operation.EXTENDED: 0x78,
}
_WITHOUT_ANSWER = (Operation.UNBIND, Operation.ABANDON)
_ENTRY = 0x64
_CONTROLS = 0xA0
_SIMPLE, _SASL = 0x80, 0xA3


class Control(NamedTuple):
    """A control (RFC 4511, section 4.1.11). value: None for none at all"""

    oid: str
    critical: bool
    value: bytes | None


class Message(NamedTuple):
    """A request as it came; its content isn't read yet. operation: a tag of ``Operation``"""

    id: int
    operation: int
    content: bytes
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class BindRequest:
    """Who wants to sign in. password: None for a way to authenticate other than a simple one"""

    version: int
    name: str
    password: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """Whether an entry has a value."""

    dn: str
    attribute: str
    value: bytes


def length(received: bytes | bytearray) -> int | None:
    """How many octets the message has that begins here; None where too few have come to tell.

    Raises BerError for what is no message, and for one that is too long, as soon as that can be told.
    """
    if received and received[0] != ber.SEQUENCE:
        raise BerError("this is not LDAP")
    found = ber.header(received)
    if found is None:
        return None
    _, begin, octets = found
    if begin + octets > LONGEST:
        raise BerError(f"a message of more than {LONGEST} octets")
    return begin + octets


def read(data: bytes) -> Message:
    """A whole message. Raises BerError where nobody can tell what to answer, so that the connection has to end."""
    parts = ber.children(ber.sequence(ber.only(data)), most=3)
    if len(parts) < 2:
        raise BerError("a message of one element")
    message_id = ber.number(parts[0])
    operation = parts[1]
    if not 0 < message_id <= _MOST_ID:
        raise BerError("a message without a number of its own")
    if operation.tag not in ANSWERS and operation.tag not in _WITHOUT_ANSWER:
        raise BerError(f"tag {operation.tag:#x} is no request")
    controls: tuple[Control, ...] = ()
    if len(parts) == 3:
        found = ber.children(ber.of(parts[2], _CONTROLS), most=MOST_CONTROLS)
        controls = tuple(_control(one) for one in found)
    return Message(message_id, operation.tag, operation.content, controls)


def _control(element: Element) -> Control:
    parts = ber.children(ber.sequence(element), most=3)
    if not parts:
        raise BerError("a control without a name")
    oid, rest = ber.text(parts[0]), parts[1:]
    critical = bool(rest) and rest[0].tag == ber.BOOLEAN and ber.boolean(rest[0])
    if rest and rest[0].tag == ber.BOOLEAN:
        rest = rest[1:]
    if len(rest) > 1:
        raise BerError("a control with two values")
    return Control(oid, critical, ber.octets(rest[0]) if rest else None)


# -- requests ----------------------------------------------------------------------------------------------------------


def bind(content: bytes) -> BindRequest:
    """RFC 4511, section 4.2."""
    version, name, authentication = ber.exactly(content, 3)
    if authentication.tag not in {_SIMPLE, _SASL}:
        return BindRequest(ber.number(version), ber.text(name), None)
    password = authentication.content if authentication.tag == _SIMPLE else None
    return BindRequest(ber.number(version), ber.text(name), password)


def search(content: bytes) -> SearchRequest:
    """RFC 4511, section 4.5.1. Raises BerError, and ResultError where the filter is more than is allowed."""
    base, scope, aliases, size, seconds, types_only, wanted, attributes = ber.exactly(content, 8)
    ber.number(aliases, ber.ENUMERATED)  # there are none
    found = ber.number(scope, ber.ENUMERATED)
    if found not in set(Scope):
        raise BerError(f"{found} is no scope")
    return SearchRequest(
        ber.text(base),
        Scope(found),
        _limit(size),
        _limit(seconds),
        ber.boolean(types_only),
        filters.read(wanted),
        tuple(ber.text(one) for one in ber.children(ber.sequence(attributes))),
    )


def _limit(element: Element) -> int:
    found = ber.number(element)
    if not 0 <= found <= _MOST_NUMBER:
        raise BerError("a limit below zero, or beyond what a number may be")
    return found


def compare(content: bytes) -> CompareRequest:
    """RFC 4511, section 4.10."""
    dn, assertion = ber.exactly(content, 2)
    attribute, value = ber.exactly(ber.sequence(assertion), 2)
    return CompareRequest(ber.text(dn), ber.text(attribute), ber.octets(value))


def abandoned(content: bytes) -> int:
    """The number of the message that nobody waits for any more (RFC 4511, section 4.11)."""
    return ber.number(Element(ber.INTEGER, content))


def extended(content: bytes) -> str:
    """The OID of what is asked for (RFC 4511, section 4.12); its value is nobody's business here."""
    parts = ber.children(content, most=2)
    if not parts:
        raise BerError("an extended request without a name")
    name = ber.of(parts[0], 0x80)
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as error:
        raise BerError("a name that is no OID") from error


# -- answers -----------------------------------------------------------------------------------------------------------


def result(
    message_id: int,
    tag: int,
    code: Code,
    text: str = "",
    *,
    matched: str = "",
    controls: Iterable[bytes] = (),
    more: bytes = b"",
) -> bytes:
    """An answer that ends an operation (RFC 4511, section 4.1.9).

    tag: one of ANSWERS; controls: each as ``control`` writes it; more: what this kind of answer has beside a result
    """
    said = ber.written_text(matched) + ber.written_text(text)
    answer = ber.written(tag, ber.written_number(code, ber.ENUMERATED), said, more)
    return _message(message_id, answer, controls)


def entry(message_id: int, dn: str, attributes: Iterable[tuple[str, Sequence[str]]], *, types_only: bool) -> bytes:
    """An entry that a search has found (RFC 4511, section 4.5.2)."""
    written = [
        ber.written(
            ber.SEQUENCE,
            ber.written_text(name),
            ber.written(ber.SET, *([] if types_only else map(ber.written_text, values))),
        )
        for name, values in attributes
    ]
    return _message(message_id, ber.written(_ENTRY, ber.written_text(dn), ber.written(ber.SEQUENCE, *written)))


def extended_result(message_id: int, code: Code, text: str = "", *, name: str = "", value: str | None = None) -> bytes:
    """The answer to an extended request (RFC 4511, section 4.12)."""
    more = ber.written_text(name, 0x8A) if name else b""
    if value is not None:
        more += ber.written_text(value, 0x8B)
    return result(message_id, ANSWERS[Operation.EXTENDED], code, text, more=more)


def notice_of_disconnection(code: Code, text: str) -> bytes:
    """What is said before a connection ends (RFC 4511, section 4.4.1)."""
    return extended_result(0, code, text, name=_NOTICE_OF_DISCONNECTION)


def control(oid: str, value: bytes) -> bytes:
    """A control of an answer."""
    return ber.written(ber.SEQUENCE, ber.written_text(oid), ber.written(ber.OCTET_STRING, value))


def _message(message_id: int, answer: bytes, controls: Iterable[bytes] = ()) -> bytes:
    found = b"".join(controls)
    return ber.written(
        ber.SEQUENCE, ber.written_number(message_id), answer, ber.written(_CONTROLS, found) if found else b""
    )
