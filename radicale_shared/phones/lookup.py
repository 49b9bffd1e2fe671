"""Who is calling: what a telephone exchange asks, by ``lookup?number=...``.

Many of them write the body of any answer on the phone's display as the caller's name. So the answer is a line of text
without its end, or nothing at all, and there is no error for a number that can't be one. Other shapes are JSON and XML,
and Gigaset's.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from .. import numbers
from ..callers import Caller
from . import xml
from .asking import Asked, Document
from .directory import Directory
from .formats import FORMATS

PATH = "lookup"

_NAMES = ("number", "exten", "phone", "cid")
_NUMBER = re.compile(r"[0-9+*# ()./-]{1,40}")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_GIGASET = "gigaset"


def answer(asked: Asked, directory: Directory) -> Document:
    """The answer in the format that is asked for, text if in none that there is."""
    number = _number(asked)
    match asked.text("format").lower():
        case "json":
            return Document(_json(_found(asked, directory, number)).encode(), _JSON)
        case "xml":
            return Document(_xml(_found(asked, directory, number)).encode())
        case "gigaset":
            sent = {"command": "get_list", "type": "pb", "hm": number, "reqsrc": "auto"}
            return FORMATS[_GIGASET].answers[_GIGASET](replace(asked, path=_GIGASET, parameters=sent))
    return Document(_text(_found(asked, directory, number)).encode(), _TEXT)


def _number(asked: Asked) -> str:
    """The number that is asked for; empty for what can be none."""
    written = next((found for name in _NAMES if (found := asked.parameters.get(name)) is not None), "")
    # A plus that nobody encoded is a blank in a URL. No country's code begins with a zero.
    if re.match(r"\s+[1-9]", written):
        written = "+" + written.strip()
    written = written.strip().removeprefix("tel:")
    return written if _NUMBER.fullmatch(written) else ""


def _found(asked: Asked, directory: Directory, number: str) -> Caller:
    if not number:
        return Caller("")
    region = asked.text("region").upper()
    return directory.caller(number, region if region in numbers.REGIONS else "")


def _text(caller: Caller) -> str:
    """``Eva Muster (Muster GmbH)``, or the company; empty for nobody."""
    name = xml.plain(caller.entry.name) if caller.entry is not None else ""
    org = xml.plain(caller.org)
    return f"{name} ({org})" if name and org and name != org else name or org


def _json(caller: Caller) -> str:
    if caller.match is None:
        return json.dumps({"match": None, "count": 0})
    entry = caller.entry
    told = {
        "number": caller.number,
        "match": caller.match,
        "count": caller.count,
        "name": entry.name if entry else caller.org,
        "first_name": entry.given if entry else "",
        "last_name": entry.family if entry else "",
        "company": caller.org,
        "title": entry.title if entry else "",
        "email": next(iter(entry.emails), "") if entry else "",
        "numbers": [{"type": one.kind, "e164": one.e164 or one.digits} for one in entry.numbers] if entry else [],
    }
    return json.dumps(told, ensure_ascii=False)


def _xml(caller: Caller) -> str:
    """An empty ``caller`` for nobody."""
    if caller.match is None:
        return xml.DECLARATION + xml.empty("caller", count="0")
    entry = caller.entry
    children = [
        xml.element("number", caller.number),
        xml.element("name", entry.name if entry else caller.org),
        xml.element("firstname", entry.given if entry else ""),
        xml.element("lastname", entry.family if entry else ""),
        xml.element("company", caller.org),
        xml.element("title", entry.title if entry else ""),
        xml.element("email", next(iter(entry.emails), "") if entry else ""),
        *(xml.element("telephone", one.e164 or one.digits, type=one.kind) for one in (entry.numbers if entry else ())),
    ]
    return xml.DECLARATION + xml.parent("caller", children, match=caller.match, count=str(caller.count))
