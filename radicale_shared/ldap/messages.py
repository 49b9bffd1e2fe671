"""LDAP messages (RFC 4511), to octets and back.

The encoding is ldap3's; its connections aren't used: their time-outs bound a single read, not an answer, and they hold
a whole answer in memory, decoded twice. It is imported where it is used: it takes five megabytes of every process, and
a server without directories never comes here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LARGEST = 64 * 1024 * 1024  # of one message; a group of 500,000 people has less

START_TLS = "1.3.6.1.4.1.1466.20037"  # RFC 4511, section 4.14.1
PAGED = "1.2.840.113556.1.4.319"  # RFC 2696
POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # draft-behera-ldap-password-policy-10, section 6
DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"  # MS-ADTS, section 3.1.1.3.4.1.4: no references to other naming contexts

_BIND_RESPONSE, _ENTRY, _DONE, _REFERENCE, _EXTENDED_RESPONSE, _INTERMEDIATE = 1, 4, 5, 19, 24, 25
_RESULTS = {_BIND_RESPONSE, _DONE, _EXTENDED_RESPONSE}

Control = tuple[str, bool, bytes | None]


class Scope(enum.Enum):
    """How far below the base a search reaches (RFC 4511, section 4.5.1.2); values are ldap3's."""

    BASE = "BASE"
    SUBTREE = "SUBTREE"


class ResultCode(enum.IntEnum):
    """The results that are told from others here (RFC 4511, appendix A)."""

    SUCCESS = 0
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    CONFIDENTIALITY_REQUIRED = 13
    CONSTRAINT_VIOLATION = 19
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53


class PolicyError(enum.IntEnum):
    """What the password policy control says of a bind (draft-behera-ldap-password-policy-10, section 6.2)."""

    PASSWORD_EXPIRED = 0
    ACCOUNT_LOCKED = 1
    CHANGE_AFTER_RESET = 2


class NotLdapError(Exception):
    """Octets that are no message of LDAP, or none that may be here."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a search's answer, as it was sent."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A part of the answer is elsewhere (RFC 4511, section 4.5.3)."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended; ``controls`` by their OIDs."""

    code: int
    text: str
    controls: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """What the server said, for administrators, on one line."""
        if self.code in {ResultCode.STRONGER_AUTH_REQUIRED, ResultCode.CONFIDENTIALITY_REQUIRED}:
            return f"result {self.code}: it takes passwords over TLS only, use ldaps:// or start_tls"
        text = "".join(one if one.isprintable() else " " for one in self.text[:200]).strip()
        return f"result {self.code}: {text}" if text else f"result {self.code}"

    @property
    def cookie(self) -> bytes:
        """What the next page is asked for with; empty: there is none, or the server knows no pages (RFC 2696)."""
        value = self.controls.get(PAGED, b"")
        return bytes(_sequence(value)[1][3]) if value else b""

    @property
    def policy_error(self) -> int | None:
        """The password policy's error, if it told one."""
        from ldap3.utils.asn1 import decode_octet_string

        value = self.controls.get(POLICY, b"")
        kinds = {0: decode_octet_string, 1: decode_octet_string}
        told = [part[3] for part in _sequence(value, kinds) if part[2] == 1] if value else []
        return int.from_bytes(told[0], "big") if told else None


def bind(message_id: int, dn: str, password: str, controls: Sequence[Control] = ()) -> bytes:
    """A simple bind (RFC 4511, section 4.2); without ``dn`` an anonymous one."""
    from ldap3.operation.bind import bind_operation

    if not dn:
        return _message(message_id, "bindRequest", bind_operation(3, "ANONYMOUS"), controls)
    # As octets, the password goes as it was typed: ldap3 would prepare it, and refuse what it doesn't know.
    return _message(message_id, "bindRequest", bind_operation(3, "SIMPLE", dn, password.encode()), controls)


def start_tls(message_id: int) -> bytes:
    """A StartTLS request (RFC 4511, section 4.14)."""
    from ldap3.operation.extended import extended_operation

    return _message(message_id, "extendedReq", extended_operation(START_TLS))


def search(
    message_id: int,
    base: str,
    filter: str,
    attributes: Sequence[str],
    *,
    scope: Scope,
    most: int,
    seconds: int,
    controls: Sequence[Control] = (),
) -> bytes:
    """A search (RFC 4511, section 4.5.1); aliases are never followed.

    most: entries, 0: all; seconds: what the server may take
    """
    from ldap3.operation.search import search_operation

    request = search_operation(
        base, filter, scope.value, "NEVER", list(attributes), most, seconds, False, auto_escape=False, auto_encode=False
    )
    return _message(message_id, "searchRequest", request, controls)


def page(size: int, cookie: bytes) -> Control:
    """The control that asks for the next page (RFC 2696); who knows no pages answers without them."""
    from ldap3.protocol.rfc2696 import paged_search_control

    return (PAGED, False, bytes(paged_search_control(False, size, cookie)["controlValue"]))


def length(received: bytes | bytearray) -> int | None:
    """Octets of the first message in ``received``; None while that can't be told.

    Raises NotLdapError if it begins like none, or would be larger than any.
    """
    if not received:
        return None
    if received[0] != 0x30:  # SEQUENCE
        raise NotLdapError("what came is no LDAP")
    if len(received) < 2:
        return None
    size, header = received[1], 2
    if size > 127:
        header += size - 128
        if not 3 <= header <= 6:
            raise NotLdapError("what came is no LDAP")
        if len(received) < header:
            return None
        size = int.from_bytes(received[2:header], "big")
    if size > LARGEST:
        raise NotLdapError("an answer is larger than any may be")
    return header + size


def decoded(message: bytes) -> tuple[int, Found | Reference | Result | None]:
    """(message id, what the message says); None says nothing to us (RFC 4511, section 4.13).

    Raises NotLdapError.
    """
    from ldap3.core.exceptions import LDAPExceptionError
    from ldap3.utils.asn1 import decode_message_fast

    try:
        parts = decode_message_fast(message)
        kind, payload = parts["protocolOp"], parts["payload"]
        if kind == _ENTRY:
            return parts["messageID"], Found(payload[0][3].decode(), _attributes(payload[1][3]))
        if kind == _REFERENCE:
            return parts["messageID"], Reference(tuple(part[3].decode() for part in payload))
        if kind in _RESULTS:
            controls = {part[3][0][3].decode(): bytes(part[3][-1][3]) for part in parts["controls"] or ()}
            return parts["messageID"], Result(payload[0][3], payload[2][3].decode("utf-8", "replace"), controls)
        if kind == _INTERMEDIATE:
            return parts["messageID"], None
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError, LDAPExceptionError) as error:
        raise NotLdapError(f"an answer can't be read ({type(error).__name__})") from error
    raise NotLdapError(f"an answer of a kind that isn't asked for ({kind})")


def _attributes(listed: Sequence[Any]) -> dict[str, tuple[bytes, ...]]:
    """ldap3's (class, is constructed, tag, value) of each attribute, by names in small letters."""
    found = {}
    for part in listed:
        name, values = part[3]
        found[name[3].decode().lower()] = tuple(bytes(value[3]) for value in values[3])
    return found


def _sequence(value: bytes, kinds: Mapping[int, object] | None = None) -> list[tuple[int, bool, int, bytes]]:
    from ldap3.utils.asn1 import decode_sequence

    try:
        parts: list[tuple[int, bool, int, bytes]] = decode_sequence(value, 0, len(value), kinds)[0][3]
    except (LookupError, ValueError, TypeError) as error:
        raise NotLdapError(f"a control can't be read ({type(error).__name__})") from error
    return parts


def _message(message_id: int, name: str, request: object, controls: Sequence[Control] = ()) -> bytes:
    from ldap3.protocol.convert import build_controls_list
    from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
    from ldap3.utils.asn1 import encode

    message = LDAPMessage()
    message["messageID"] = MessageID(message_id)
    message["protocolOp"] = ProtocolOp().setComponentByName(name, request)
    if controls:
        message["controls"] = build_controls_list(list(controls))
    return bytes(encode(message))
