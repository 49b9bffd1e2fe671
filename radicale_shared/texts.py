"""Text that people type, or directories have: what XML can carry of it, and how long it may be."""

from __future__ import annotations

import re
import unicodedata

from .errors import NotAllowedHereError

# XML 1.0, section 2.2: these can't stand in an answer, not even as references.
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def checked(text: str, most: int, *, what: str = "text", one_line: bool = True) -> str:
    """``text`` in NFC without surrounding space.

    most: characters
    what: how to call it in the error
    one_line: whether line breaks and tabs are refused too

    Raises NotAllowedHereError.
    """
    text = text.strip()
    if ILLEGAL.search(text) or (one_line and _CONTROL.search(text)):
        raise NotAllowedHereError(f"The {what} has characters that can't be shown.")
    text = unicodedata.normalize("NFC", text)
    if len(text) > most:
        raise NotAllowedHereError(f"The {what} has more than {most} characters.")
    return text


def cleaned(text: str, most: int) -> str:
    """``text`` of somewhere else in one line of NFC: what can't be shown is a space, and what is too long is cut.

    most: characters
    """
    return unicodedata.normalize("NFC", " ".join(_CONTROL.sub(" ", ILLEGAL.sub(" ", text)).split()))[:most].strip()
