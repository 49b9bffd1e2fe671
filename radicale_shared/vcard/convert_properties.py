"""What properties are in the other version: media, numbers, dates, places, kinds, relations (RFC 6350, appendix A).

``to_4`` and ``to_3`` take a line and give what it is there, by itself. They need not be exact: ``translate`` sees where
one isn't the other's way back, and marks the line.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace

from radicale_shared.vcard.convert_dates import NO_YEAR, moment, offset_basic, offset_extended
from radicale_shared.vcard.convert_lines import (
    FROM_3,
    FROM_4,
    OLD_TYPES,
    Line,
    Rule,
    clean,
    general_to_3,
    general_to_4,
    plain_uri,
)
from radicale_shared.vcard.meaning import BASE64, MEDIA, URIS
from radicale_shared.vcard.values import escape, percent_decoded

# Gone in 4.0 (RFC 6350, appendix A), and unknown to 3.0 (RFC 6350; RFC 6474; RFC 6715).
OLD = frozenset({"NAME", "MAILER", "LABEL", "CLASS", "PROFILE", "SORT-STRING", "AGENT"})
NEW = frozenset(
    {"KIND", "XML", "GENDER", "LANG", "RELATED", "CLIENTPIDMAP", "ANNIVERSARY", "BIRTHPLACE", "DEATHPLACE"}
    | {"DEATHDATE", "EXPERTISE", "HOBBY", "INTEREST", "ORG-DIRECTORY"}
)

ANNIVERSARY_LABEL = "_$!<Anniversary>!$_"
# RFC 6350, section 6.6.6; Apple's words that it hasn't are extensions of it.
_APPLE_RELATIONS = {"child": "Child", "friend": "Friend", "parent": "Parent", "spouse": "Spouse"} | {
    f"x-{word.lower()}": word for word in ("Assistant", "Brother", "Father", "Manager", "Mother", "Partner", "Sister")
}
_RELATIONS = {kind: f"_$!<{word}>!$_" for kind, word in _APPLE_RELATIONS.items()} | {
    word: word
    for word in (
        *("contact", "acquaintance", "met", "co-worker", "colleague", "co-resident", "neighbor", "sibling", "kin"),
        *("muse", "crush", "date", "sweetheart", "me", "agent", "emergency"),
    )
}
_RELATIONS_BY_LABEL = {label.lower(): kind for kind, label in _RELATIONS.items()}

_MEDIA_TREES = {"PHOTO": "image", "LOGO": "image", "SOUND": "audio"}
_KEYS = {"pgp": "application/pgp-keys", "x509": "application/pkix-cert"}
# How base64 of such files begins, for the photos whose type nobody wrote.
_BEGINNINGS = {"/9j/": "image/jpeg", "iVBORw0KGgo": "image/png", "R0lGOD": "image/gif"}
_NO_MEDIA_TYPES = frozenset({"home", "work", "pref", "base64", "b"})
_PLAIN_SUBTYPE = re.compile(r"[a-z0-9.+-]+", re.ASCII)
_GEO_3 = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:;|\\;|,)\s*([+-]?\d+(?:\.\d+)?)\s*", re.ASCII)
_GEO_4 = re.compile(r"geo:([+-]?\d+(?:\.\d+)?),([+-]?\d+(?:\.\d+)?)(?:[,;].*)?", re.ASCII | re.IGNORECASE)
_TEL = re.compile(r"tel:([^;]+)(.*)", re.IGNORECASE | re.DOTALL)
_EXTENSION = re.compile(r";ext=([^;]+)", re.IGNORECASE)


def to_4(line: Line) -> Line:
    """``line`` of a 3.0 card as 4.0 has it."""
    result = general_to_4(line)
    name = line.name.removeprefix(FROM_4)
    if name != line.name and name:
        return replace(result, name=name)
    if line.name in OLD:
        return replace(result, name=FROM_3 + line.name, value=_inline(line.value))
    rule = _TO_4.get(line.name)
    return rule(result) if rule else result


def to_3(line: Line) -> Line:
    """``line`` of a 4.0 card as 3.0 has it."""
    result = general_to_3(line)
    name = line.name.removeprefix(FROM_3)
    if name != line.name and name:
        return replace(result, name=name)
    rule = _TO_3.get(line.name)
    if rule:
        return rule(result)
    return replace(result, name=FROM_4 + line.name) if line.name in NEW else result


def _inline(value: str) -> str:
    """A nested card of 2.1 as the text that 3.0 has instead; every other value as it is."""
    return escape(value.lstrip("\r\n")) if "\n" in value or "\r" in value else value


def _media_to_4(line: Line) -> Line:
    encoding = line.first(f"{FROM_3}ENCODING")
    bare = encoding not in BASE64 and bool(BASE64.intersection(line.types()))
    if encoding not in BASE64 and not bare:
        uri = replace(line, value=plain_uri(line.value))
        return uri.without("VALUE") if line.first("VALUE") in {"uri", "url"} else uri
    kinds = [one for one in line.types() if one not in _NO_MEDIA_TYPES]
    written = kinds[0] if kinds else ""
    media_type = _media_type(line.name, written) or _guessed(line.value)
    data = next((values[0] for key, values in line.params if key == f"{FROM_4}DATA" and values), "")
    if not data or _type_of(line.name, data) != written:
        data = f"data:{media_type};base64"
    params = tuple(
        (key, tuple(one for one in values if one.lower() != written and one.lower() not in BASE64))
        if key == "TYPE"
        else (key, values)
        for key, values in line.without(f"{FROM_3}ENCODING", f"{FROM_4}DATA", "VALUE").params
    )
    params = tuple(one for one in params if one != ("TYPE", ()))
    return replace(line, params=params, value=f"{data},{line.value}")


def _media_to_3(line: Line) -> Line:
    line = _plain(line)
    if line.value[:5].lower() != "data:" or "," not in line.value:
        if line.first("VALUE") or line.first("ENCODING") or ":" not in line.value[:40]:
            return line
        return line.with_param("VALUE", "uri")
    data, _, content = line.value.partition(",")
    if not data.lower().endswith(";base64"):
        content = base64.b64encode(percent_decoded(content)).decode()
        data += ";base64"
    written = _type_of(line.name, data)
    result = replace(line.without("VALUE"), value=content).with_param("ENCODING", "b")
    if written:
        result = result.with_param("TYPE", written.upper())
    if data != f"data:{_media_type(line.name, written)};base64":
        result = result.with_param(f"{FROM_4}DATA", data)
    return result


def _media_type(name: str, written: str) -> str:
    """The media type that a TYPE of 3.0 means, ``image/jpeg`` for ``jpeg``; empty for none."""
    if "/" in written or not written:
        return written
    if name == "KEY":
        return _KEYS.get(written, f"application/{written}")
    return f"{_MEDIA_TREES[name]}/{written}"


def _type_of(name: str, data: str) -> str:
    """The TYPE of 3.0, in lower case, that a ``data:`` URI's beginning means; empty if it has none."""
    media_type = data[5:].partition(";")[0].lower()
    tree, _, subtype = media_type.partition("/")
    if name == "KEY":
        for short, long in _KEYS.items():
            if long == media_type:
                return short
    expected = _MEDIA_TREES.get(name, "application")
    if media_type == "application/octet-stream" or tree != expected or not _PLAIN_SUBTYPE.fullmatch(subtype):
        return ""
    return "" if subtype in _NO_MEDIA_TYPES else subtype


def _guessed(value: str) -> str:
    return next((kind for start, kind in _BEGINNINGS.items() if value.startswith(start)), "application/octet-stream")


def _tel_to_4(line: Line) -> Line:
    if line.first("VALUE") == "uri":
        return _plain(line)
    return line.without("VALUE") if line.first("VALUE") == "phone-number" else line


def _tel_to_3(line: Line) -> Line:
    found = _TEL.fullmatch(plain_uri(line.value))
    if not found or line.first("VALUE") != "uri":
        return line
    extension = _EXTENSION.search(found[2])
    number = percent_decoded(found[1]).decode("utf-8", "replace") if "%" in found[1] else found[1]
    text = f"{number} ext. {extension[1]}" if extension else number
    return replace(line.without("VALUE"), value=clean(escape(text)))


def _date_to_4(line: Line) -> Line:
    when = moment(line.value)
    if when is None:
        return line if line.first("VALUE") == "text" else replace(line.without("VALUE").with_param("VALUE", "text"))
    if line.first("VALUE") == "text":
        return line
    if when.year == NO_YEAR == line.first("X-APPLE-OMIT-YEAR"):
        line, when = line.without("X-APPLE-OMIT-YEAR"), replace(when, year="")
    return replace(line.without("VALUE"), value=when.basic())


def _date_to_3(line: Line) -> Line:
    if line.first("VALUE") == "text":
        return line
    when = moment(line.value)
    line = line.without("VALUE")
    if when is None:
        return line.with_param("VALUE", "text")
    if when.time:
        line = line.with_param("VALUE", "date-time")
    if not when.year:
        line = line.with_param("X-APPLE-OMIT-YEAR", NO_YEAR)
    return replace(line, value=when.extended())


def _anniversary_to_4(line: Line) -> Line:
    return replace(_date_to_4(line), name="ANNIVERSARY")


def _apple_date_to_4(line: Line) -> Line:
    if line.label.lower() != ANNIVERSARY_LABEL.lower():
        return line
    return replace(_date_to_4(line), name="ANNIVERSARY", label="")


def _anniversary_to_3(line: Line) -> Line:
    if line.label and line.label != ANNIVERSARY_LABEL:
        return replace(line, name=f"{FROM_4}ANNIVERSARY")
    return replace(_date_to_3(line), name="X-ABDATE", label=ANNIVERSARY_LABEL)


def _revision_to_4(line: Line) -> Line:
    when = moment(line.value)
    if when is None:
        return line
    return replace(line.without("VALUE"), value=replace(when, time=when.time or ("00", "00", "00")).basic())


def _revision_to_3(line: Line) -> Line:
    when = moment(line.value)
    return replace(line.without("VALUE"), value=when.extended()) if when is not None and when.year else line


def _geo_to_4(line: Line) -> Line:
    found = _GEO_3.fullmatch(line.value)
    return replace(line, value=f"geo:{found[1]},{found[2]}") if found else line


def _geo_to_3(line: Line) -> Line:
    found = _GEO_4.fullmatch(plain_uri(line.value))
    if not found:
        return line if _GEO_3.fullmatch(line.value) else replace(line, name=f"{FROM_4}GEO")
    return replace(line.without("VALUE"), value=f"{found[1]};{found[2]}")


def _zone_to_4(line: Line) -> Line:
    if line.first("VALUE") == "text":
        return line.without("VALUE")
    offset = offset_basic(line.value)
    return replace(line.without("VALUE").with_param("VALUE", "utc-offset"), value=offset) if offset else line


def _zone_to_3(line: Line) -> Line:
    if line.first("VALUE") == "uri":
        return replace(line, name=f"{FROM_4}TZ")
    offset = offset_extended(line.value)
    if offset:
        return replace(line.without("VALUE"), value=offset)
    return line.without("VALUE").with_param("VALUE", "text")


def _kind_to_4(line: Line) -> Line:
    return replace(line, name="KIND", value="group") if line.value.strip().lower() == "group" else line


def _company_to_4(line: Line) -> Line:
    return replace(line, name="KIND", value="org") if line.value.strip().lower() == "company" else line


def _kind_to_3(line: Line) -> Line:
    kind = line.value.strip().lower()
    if kind == "group":
        return replace(line, name="X-ADDRESSBOOKSERVER-KIND", value="group")
    if kind == "org":
        return replace(line, name="X-ABSHOWAS", value="COMPANY")
    return replace(line, name=f"{FROM_4}KIND")


def _member_to_4(line: Line) -> Line:
    return replace(line, name="MEMBER", value=plain_uri(line.value))


def _member_to_3(line: Line) -> Line:
    return replace(line, name="X-ADDRESSBOOKSERVER-MEMBER", value=plain_uri(line.value))


def _relation_to_4(line: Line) -> Line:
    result = replace(line, name="RELATED").with_param("VALUE", "text")
    kind = _RELATIONS_BY_LABEL.get(line.label.lower())
    return replace(result, label="").with_param("TYPE", kind) if kind else result


def _relation_to_3(line: Line) -> Line:
    if line.first("VALUE") != "text":
        return replace(line, name=f"{FROM_4}RELATED")
    result = replace(line.without("VALUE"), name="X-ABRELATEDNAMES")
    kinds = [one for one in line.types() if one in _RELATIONS]
    if line.label or not kinds:
        return result
    params = tuple(
        (key, tuple(one for one in values if one.lower() != kinds[0])) if key == "TYPE" else (key, values)
        for key, values in result.params
    )
    params = tuple(one for one in params if one != ("TYPE", ()))
    return replace(result, params=params, label=_RELATIONS[kinds[0]])


def _plain(line: Line) -> Line:
    return replace(line, value=plain_uri(line.value)) if "\\" in line.value else line


_TO_4: Mapping[str, Rule] = {
    **dict.fromkeys(URIS - {"MEMBER", "RELATED"}, _plain),
    **dict.fromkeys(MEDIA, _media_to_4),
    "TEL": _tel_to_4,
    **dict.fromkeys(("BDAY", "DEATHDATE", "ANNIVERSARY"), _date_to_4),
    "X-ANNIVERSARY": _anniversary_to_4,
    "X-ABDATE": _apple_date_to_4,
    "REV": _revision_to_4,
    "GEO": _geo_to_4,
    "TZ": _zone_to_4,
    "X-ADDRESSBOOKSERVER-KIND": _kind_to_4,
    "X-ABSHOWAS": _company_to_4,
    "X-ADDRESSBOOKSERVER-MEMBER": _member_to_4,
    "X-ABRELATEDNAMES": _relation_to_4,
}
_TO_3: Mapping[str, Rule] = {
    **dict.fromkeys(URIS - {"MEMBER", "RELATED"}, _plain),
    **dict.fromkeys(MEDIA, _media_to_3),
    "TEL": _tel_to_3,
    "BDAY": _date_to_3,
    "ANNIVERSARY": _anniversary_to_3,
    "REV": _revision_to_3,
    "GEO": _geo_to_3,
    "TZ": _zone_to_3,
    "KIND": _kind_to_3,
    "MEMBER": _member_to_3,
    "RELATED": _relation_to_3,
}
# Lines of other names, with no parameters, are the same in both versions, unless their name is a carried one.
CONCERNED = frozenset(_TO_4) | frozenset(_TO_3) | OLD | NEW
_SAME_PARAMS = frozenset({"TYPE", "LANGUAGE"})
_CHANGED_TYPES = frozenset({"pref", "internet"} | BASE64).union(*OLD_TYPES.values())


def is_the_same(line: Line) -> bool:
    """Whether both versions write ``line`` in one way. Asked first: it spares most lines the rules and their check."""
    return (
        (line.name == "TEL" or line.name not in CONCERNED)
        and not line.name.startswith("X-VCARD")
        and all(key in _SAME_PARAMS for key, _ in line.params)
        and _CHANGED_TYPES.isdisjoint(line.types())
    )
