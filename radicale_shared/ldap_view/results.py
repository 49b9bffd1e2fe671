"""How operations end: result codes (RFC 4511, appendix A), and the errors that carry one."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Result codes of this server."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class ResultError(Exception):
    """An operation ends with this result; what a search has given before remains given.

    text: for people (diagnosticMessage)
    matched: the DN of what was found of the way to an entry that isn't there
    """

    def __init__(self, code: Code, text: str = "", matched: str = "") -> None:
        super().__init__(text or code.name)
        self.code = code
        self.text = text
        self.matched = matched


class AbandonedError(Exception):
    """Nobody waits for this search any more: it ends without a result (RFC 4511, section 4.11)."""


class CannotSortError(Exception):
    """A search can't be sorted by these keys; raised before its first entry."""
