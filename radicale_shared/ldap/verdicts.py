"""What a directory says to a password: the result of a bind, in one word (RFC 4511, section 4.2.2)."""

from __future__ import annotations

import enum
import re

from ..directory_settings import DirectorySettings
from ..errors import DirectoryUnavailableError
from . import messages
from .line import Line, LineError
from .messages import NotLdapError, PolicyError, Result, ResultCode


class Verdict(enum.Enum):
    """RIGHT lets in. LOCKED, DISABLED, NOT_NOW and PASSWORD_EXPIRED mostly say nothing of the password itself."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    DISABLED = "disabled"
    NOT_NOW = "not at this time, or not from here"
    PASSWORD_EXPIRED = "password expired"  # noqa: S105


# Active Directory answers 49 to all of these; the number of Windows' error is in the text (MS-ERREF, section 2.2).
_DATA = {
    "525": Verdict.WRONG,  # no such user
    "52e": Verdict.WRONG,
    "530": Verdict.NOT_NOW,
    "531": Verdict.NOT_NOW,
    "532": Verdict.PASSWORD_EXPIRED,
    "533": Verdict.DISABLED,
    "701": Verdict.DISABLED,  # the account expired
    "773": Verdict.PASSWORD_EXPIRED,  # must be changed
    "775": Verdict.LOCKED,
}
_POLICY = {
    PolicyError.PASSWORD_EXPIRED: Verdict.PASSWORD_EXPIRED,
    PolicyError.ACCOUNT_LOCKED: Verdict.LOCKED,
    PolicyError.CHANGE_AFTER_RESET: Verdict.PASSWORD_EXPIRED,
}
_WRONG = {
    ResultCode.NO_SUCH_OBJECT,
    ResultCode.INVALID_DN_SYNTAX,
    ResultCode.INAPPROPRIATE_AUTHENTICATION,  # the entry has no password
    ResultCode.INVALID_CREDENTIALS,
    ResultCode.INSUFFICIENT_ACCESS,
}


def bound(line: Line, settings: DirectorySettings, name: str, password: str) -> Verdict:
    """The verdict of a bind. Raises LineError and DirectoryUnavailableError."""
    policy = (messages.POLICY, False, None)
    result = line.result(lambda message_id: messages.bind(message_id, name, password, [policy]))
    if result.code in {ResultCode.BUSY, ResultCode.UNAVAILABLE}:
        raise LineError(f"{line.server.url} is busy ({result.said})")
    try:
        verdict = of(result)
    except NotLdapError as error:
        raise LineError(f"{line.server.url}: {error}") from error
    if verdict is None:
        raise DirectoryUnavailableError(settings.name, f"{line.server.url} checks no password ({result.said})")
    return verdict


def of(result: Result) -> Verdict | None:
    """The verdict that a bind's result means; None: the server judged nothing. Raises NotLdapError."""
    if result.code == ResultCode.INVALID_CREDENTIALS and (found := re.search(r"\bdata ([0-9a-f]+)\b", result.text)):
        return _DATA.get(found[1], Verdict.WRONG)
    policy = result.policy_error
    if result.code == ResultCode.SUCCESS:  # with an expired password too, where there are grace logins left
        return Verdict.PASSWORD_EXPIRED if policy == PolicyError.CHANGE_AFTER_RESET else Verdict.RIGHT
    if policy in _POLICY:
        return _POLICY[PolicyError(policy)]
    # 389 Directory Server: an inactivated account, and one with too many wrong passwords.
    if result.code == ResultCode.UNWILLING_TO_PERFORM and "inactivated" in result.text.lower():
        return Verdict.DISABLED
    if result.code == ResultCode.CONSTRAINT_VIOLATION and "retry limit" in result.text.lower():
        return Verdict.LOCKED
    return Verdict.WRONG if result.code in _WRONG else None
