"""Text that people type, or directories have: what XML can carry of it, and how long it may be."""

from __future__ import annotations

import re
import unicodedata

from .errors import WrongValueError

# XML 1.0, section 2.2: these can't stand in an answer, not even as references.
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_LONGEST_FORM = 4  # characters of one that is written apart, base and marks; more than that no script needs


def checked(text: str, most: int, *, what: str = "text", one_line: bool = True) -> str:
    """``text`` in NFC without surrounding space.

    most: characters
    what: how to call it in the error
    one_line: whether line breaks and tabs are refused too

    Raises WrongValueError.
    """
    text = text.strip()
    if len(text) > _LONGEST_FORM * most:
        # Before anything looks at it: composing a hundred thousand marks takes seconds.
        raise WrongValueError(f"The {what} has more than {most} characters.")
    if ILLEGAL.search(text) or (one_line and _CONTROL.search(text)):
        raise WrongValueError(f"The {what} has characters that can't be shown.")
    text = unicodedata.normalize("NFC", text)
    if len(text) > most:
        raise WrongValueError(f"The {what} has more than {most} characters.")
    return text


def cleaned(text: str, most: int) -> str:
    """``text`` of somewhere else in one line of NFC: what can't be shown is a space, and what is too long is cut.

    most: characters
    """
    text = _CONTROL.sub(" ", ILLEGAL.sub(" ", text[: _LONGEST_FORM * most]))
    return unicodedata.normalize("NFC", " ".join(text.split()))[:most].strip()
