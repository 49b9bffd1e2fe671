"""The fields of a card that can be hidden from readers, as people name them: ``note``, ``tel``, ``tel:home``.

A field is all lines of some properties; or, with types behind a colon, those of its lines that have all these types:
``tel:cell+home``. A set of fields hides each line that any of them stands for. People name one type at most; more of
them come from ``common``: a line that two sets both hide has the types of a field in each. Which lines of a card that
are is ``visible``'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from radicale_shared.errors import WrongValueError

OTHER = "other"

# Field -> the properties it stands for. Programs write one thing under several names, and who hides it means the thing.
PROPERTIES: dict[str, frozenset[str]] = {
    "adr": frozenset({"ADR", "LABEL", "X-ABADR", "GEO", "TZ"}),
    "anniversary": frozenset(
        {
            *("ANNIVERSARY", "DEATHDATE", "DEATHPLACE", "X-ABDATE", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"),
            *("X-KADDRESSBOOK-X-ANNIVERSARY", "X-MS-ANNIVERSARY"),
        }
    ),
    "bday": frozenset({"BDAY", "BIRTHPLACE", "X-ALTBDAY"}),
    "categories": frozenset({"CATEGORIES"}),
    "email": frozenset({"EMAIL"}),
    "gender": frozenset({"GENDER", "GRAMGENDER", "PRONOUNS", "X-GENDER", "X-WAB-GENDER"}),
    "impp": frozenset(
        {
            *("IMPP", "SOCIALPROFILE", "X-SOCIALPROFILE", "X-SERVICE-TYPE"),
            *("X-AIM", "X-DISCORD", "X-FACEBOOK", "X-GADUGADU", "X-GOOGLE-TALK", "X-GROUPWISE", "X-GTALK", "X-ICQ"),
            *("X-INSTAGRAM", "X-IRC", "X-JABBER", "X-KADDRESSBOOK-X-IMADDRESS", "X-LINKEDIN", "X-MASTODON", "X-MATRIX"),
            *("X-MS-IMADDRESS", "X-MSN", "X-QQ", "X-SIGNAL", "X-SIP", "X-SKYPE", "X-SKYPE-USERNAME", "X-TELEGRAM"),
            *("X-THREEMA", "X-TWITTER", "X-WECHAT", "X-WHATSAPP", "X-YAHOO", "X-YAHOO-ID"),
        }
    ),
    "key": frozenset({"KEY"}),
    "nickname": frozenset({"NICKNAME"}),
    "note": frozenset({"NOTE"}),
    "org": frozenset({"ORG", "ORG-DIRECTORY", "LOGO", "X-PHONETIC-ORG"}),
    "photo": frozenset({"PHOTO", "X-IMAGEHASH", "X-IMAGETYPE", "X-MS-CARDPICTURE"}),
    "related": frozenset(
        {
            *("AGENT", "RELATED", "X-ABRELATEDNAMES", "X-ASSISTANT", "X-MANAGER", "X-SPOUSE"),
            *("X-EVOLUTION-ASSISTANT", "X-EVOLUTION-MANAGER", "X-EVOLUTION-SPOUSE", "X-KADDRESSBOOK-X-ASSISTANTSNAME"),
            *("X-KADDRESSBOOK-X-MANAGERSNAME", "X-KADDRESSBOOK-X-SPOUSENAME"),
            *("X-MS-ASSISTANT", "X-MS-CHILD", "X-MS-MANAGER", "X-MS-SPOUSE"),
        }
    ),
    "tel": frozenset({"TEL", "X-MS-TEL"}),
    "title": frozenset({"ROLE", "TITLE"}),
    "url": frozenset(
        {
            *("CALADRURI", "CALURI", "CONTACT-URI", "FBURL", "URL"),
            *("X-EVOLUTION-BLOG-URL", "X-EVOLUTION-VIDEO-URL", "X-KADDRESSBOOK-BLOGFEED"),
        }
    ),
}
# What makes a card a card, and names it: readers always see these. All else that is no field above is ``other``.
ALWAYS_SHOWN = frozenset(
    {
        *("BEGIN", "END", "VERSION", "UID", "FN", "N", "KIND", "MEMBER", "REV", "PRODID", "PROFILE", "SORT-STRING"),
        *("X-ADDRESSBOOKSERVER-KIND", "X-ADDRESSBOOKSERVER-MEMBER", "X-ABSHOWAS"),
        *("X-PHONETIC-FIRST-NAME", "X-PHONETIC-MIDDLE-NAME", "X-PHONETIC-LAST-NAME"),
    }
)
_KDE_MESSENGERS = "X-MESSAGING/"  # X-messaging/aim-All and the like
_FIELD_OF = {name: field for field, names in PROPERTIES.items() for name in names}
_MEANT = {"business": "work", "iphone": "cell", "mobile": "cell", "private": "home"}
_TYPE = re.compile(r"[a-z0-9-]{1,40}")


def field_of(name: str) -> str:
    """The field that a property (in upper case) belongs to, ``"other"`` for any unknown one; empty: always shown."""
    if name.startswith(_KDE_MESSENGERS):
        return "impp"
    return _FIELD_OF.get(name) or ("" if name in ALWAYS_SHOWN else OTHER)


def parsed(text: str) -> str:
    """A field as it is kept, of ``FIELD`` or ``FIELD:TYPE`` in any case; ``mobile`` is ``cell``, ``private`` ``home``.

    Raises WrongValueError for what can't be hidden.
    """
    name, colon, kind = text.strip().lower().partition(":")
    if name not in PROPERTIES and name != OTHER:
        known = ", ".join([*PROPERTIES, OTHER])
        raise WrongValueError(f"{text!r} is no field that can be hidden; write one of {known}, or tel:home.")
    if not colon:
        return name
    if not _TYPE.fullmatch(kind) or name == OTHER:
        raise WrongValueError(f"{text!r}: behind the colon stands one type, as in tel:home or email:work.")
    return f"{name}:{meant(kind)}"


def meant(kind: str) -> str:
    """The type, in lower case, that a word (in lower case) stands for; people and programs have several for one."""
    return _MEANT.get(kind, kind)


def split(field: str) -> tuple[str, frozenset[str]]:
    """(name, types) of a field as it is kept."""
    name, _, kinds = field.partition(":")
    return name, frozenset(kinds.split("+")) if kinds else frozenset()


def common(one: Iterable[str], other: Iterable[str]) -> frozenset[str]:
    """The fields that stand for the lines which both sets hide."""
    found: set[tuple[str, frozenset[str]]] = set()
    for name, kinds in map(split, one):
        found.update((name, kinds | more) for again, more in map(split, other) if again == name)
    return reduced(found)


def reduced(fields: Iterable[tuple[str, frozenset[str]]]) -> frozenset[str]:
    """The same set without the fields that a wider one of them covers: beside ``tel``, ``tel:home`` says nothing."""
    every = set(fields)
    widest = [(name, kinds) for name, kinds in every if not any(n == name and k < kinds for n, k in every)]
    return frozenset(f"{name}:{'+'.join(sorted(kinds))}" if kinds else name for name, kinds in widest)


def covers(hiding: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a set of fields hides every line that ``others`` hide."""
    wide = list(map(split, hiding))
    return all(any(n == name and k <= kinds for n, k in wide) for name, kinds in map(split, others))
