"""XML for phones, written as text: their parsers are small, and stop at what they don't know.

What XML 1.0 can't have, and all control characters, are left out; what is cut is cut by bytes of UTF-8 before it is
escaped, and never inside of a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_LEFT_OUT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_QUOTES = {'"': "&quot;", "'": "&apos;"}


def plain(text: str, most_bytes: int = 0) -> str:
    """``text`` on one line, cut to ``most_bytes`` of UTF-8 (0: not at all), not escaped yet."""
    # Of what can be printed, nothing is left out, and a blank is the only kind of space.
    is_plain = text.isprintable() and "  " not in text
    line = text.strip(" ") if is_plain else " ".join(_LEFT_OUT.sub(" ", text).split())
    if most_bytes and len(line.encode()) > most_bytes:
        line = line.encode()[:most_bytes].decode("utf-8", "ignore").rstrip()
    return line


def escaped(text: str, most_bytes: int = 0) -> str:
    """``text`` as content of an element or of an attribute in double quotes."""
    return escape(plain(text, most_bytes), _QUOTES)


def element(name: str, text: str, most_bytes: int = 0, /, **attributes: str) -> str:
    """``<name attribute="...">text</name>``."""
    return f"<{name}{written(attributes)}>{escaped(text, most_bytes)}</{name}>"


def empty(name: str, /, **attributes: str) -> str:
    """``<name attribute="..."/>``."""
    return f"<{name}{written(attributes)}/>"


def parent(name: str, children: Iterable[str], /, **attributes: str) -> str:
    """An element around others, which are written already."""
    return f"<{name}{written(attributes)}>{''.join(children)}</{name}>"


def written(attributes: dict[str, str]) -> str:
    """Attributes, each with a blank before it."""
    return "".join(f' {name}="{escaped(value)}"' for name, value in attributes.items())
