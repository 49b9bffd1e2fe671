"""Which properties each kind of program has ever sent: what one never sends it can't mean to delete.

Many programs write of a card only what they have fields for. Where such a program sends a card back, the properties it
never sends stay (``vcard.kept``); those that it has sent once, in any card, are its user's to delete from then on. So
are always those that every program has (ALWAYS_MEANT), and the fields that well-known programs let their users edit.

A kind of program is ``changes.client_of`` a User-Agent, whoever uses it and with whatever password.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from threading import Lock
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, bindparam, func, select, text
from sqlalchemy.orm import Session

from .models import ClientProperty, table
from .statements import Statement

# LABEL says an ADR in other words (RFC 2426, section 3.2.2): who deletes the one doesn't want to find the other.
ALWAYS_MEANT = frozenset({"FN", "N", "TEL", "EMAIL", "ADR", "NOTE", "BDAY", "PHOTO", "ORG", "URL", "LABEL"})
# Of a program; what it sends beyond is not learned.
MOST_NAMES = 300
# Of all programs together: whoever invents some, which costs no more than a User-Agent, ends it for new ones.
MOST_ROWS = 100_000
_MOST_REMEMBERED = 1000
_LONGEST_NAME = 100

# Written by the server's own conversion (``vcard.returned``), or by programs for themselves at every save.
_NOT_OURS = ("X-VCARD3-", "X-VCARD4-")
_UNMINDED = frozenset({"VERSION", "UID", "REV", "PRODID", "BEGIN", "END"})

# Programs that send back every line they don't know, by a part of their User-Agents: what is missing was deleted.
_KEEP_EVERYTHING = ("DAVx", "RCMCardDAV", "vdirsyncer", "radicale-shared")
# How chats were written before IMPP (RFC 4770), and still are beside it: who deletes the one sees the other again.
_CHATS = frozenset({"IMPP", "X-AIM", "X-ICQ", "X-JABBER", "X-MSN", "X-YAHOO"})
_EVOLUTION = frozenset(
    f"X-EVOLUTION-{one}" for one in ("ANNIVERSARY", "ASSISTANT", "BLOG-URL", "MANAGER", "SPOUSE", "VIDEO-URL")
)
_APPLE = _CHATS | {
    *("NICKNAME", "TITLE", "X-SOCIALPROFILE", "X-ABDATE", "X-ABRELATEDNAMES", "X-ABLABEL", "X-ABSHOWAS", "X-ABORDER"),
    *("X-MAIDENNAME", "X-PHONETIC-FIRST-NAME", "X-PHONETIC-MIDDLE-NAME", "X-PHONETIC-LAST-NAME", "X-PHONETIC-ORG"),
    *("X-PRONUNCIATION-FIRST-NAME", "X-PRONUNCIATION-LAST-NAME", "X-ADDRESSING-GRAMMAR", "X-ALTBDAY", "CALURI"),
    *("X-ACTIVITY-ALERT", "X-ADDRESSBOOKSERVER-MEMBER"),
}
# The fields that programs let people edit, beside those in ALWAYS_MEANT, under all names by which they show them. What
# a program doesn't show has no place here: leaving it out would delete what others typed.
_FIELDS: Mapping[str, frozenset[str]] = {
    "Thunderbird": frozenset(
        [
            *("NICKNAME", "TITLE", "ROLE", "ANNIVERSARY", "TZ", "IMPP", "X-CUSTOM1", "X-CUSTOM2", "X-CUSTOM3"),
            *("X-CUSTOM4", "X-MOZILLA-HTML"),
        ]
    ),
    "dataaccessd": _APPLE,
    "AddressBookCore": _APPLE,
    "Evolution": _CHATS
    | _EVOLUTION
    | {
        *("NICKNAME", "TITLE", "ROLE", "CATEGORIES", "CALURI", "FBURL", "ANNIVERSARY", "X-SKYPE", "X-GROUPWISE"),
        "X-GADUGADU",
    },
    "KIO": _CHATS
    | _EVOLUTION
    | {
        *("NICKNAME", "TITLE", "ROLE", "CATEGORIES", "GEO", "ANNIVERSARY", "RELATED"),
        *("X-ANNIVERSARY", "X-ASSISTANT", "X-MANAGER", "X-SPOUSE"),
        *("X-KADDRESSBOOK-BLOGFEED", "X-KADDRESSBOOK-X-ANNIVERSARY", "X-KADDRESSBOOK-X-ASSISTANTSNAME"),
        *("X-KADDRESSBOOK-X-IMADDRESS", "X-KADDRESSBOOK-X-MANAGERSNAME", "X-KADDRESSBOOK-X-OFFICE"),
        *("X-KADDRESSBOOK-X-PROFESSION", "X-KADDRESSBOOK-X-SPOUSESNAME"),
    },
    "CalDavSynchronizer": frozenset({"NICKNAME", "TITLE", "ROLE", "CATEGORIES", "IMPP", "ANNIVERSARY", "CLASS", "KEY"}),
}

_columns = table(ClientProperty).c
_NAMES = Statement(select(_columns.name).where(_columns.client == bindparam("client")))
# Both databases know this form; two devices may send a property for the first time at the same moment.
_LEARN = text("INSERT INTO client_properties (client, name) VALUES (:client, :name) ON CONFLICT DO NOTHING")

# {the engine: {kind of program: names that are noted}}: what the processes need not write again.
_memory: WeakKeyDictionary[Engine, dict[str, frozenset[str]]] = WeakKeyDictionary()
_guard = Lock()


def forget() -> None:
    """Forget what this process remembers of all databases; what is noted in these stays."""
    with _guard:
        _memory.clear()


def unmeant(session: Session, client: str, missing: Set[str]) -> frozenset[str]:
    """Those of the names that are missing in what a program sent, and that it can't have meant to delete.

    Asks the database only where this process knows nothing of a name.
    """
    if not missing <= ALWAYS_MEANT:
        left = _minded(missing) - ALWAYS_MEANT - _remembered(session, client)
        if left and not any(part in client for part in _KEEP_EVERYTHING):
            left -= frozenset().union(*(fields for part, fields in _FIELDS.items() if part in client))
            return frozenset(left - _noted(session, client)) if left else frozenset()
    return frozenset()


def learned(session: Session, client: str, names: Set[str]) -> None:
    """Note that a program sent these properties; no statement where that is known."""
    known = _remembered(session, client)
    if names <= known:
        return
    new = sorted(one for one in _minded(names) - known if len(one) <= _LONGEST_NAME)
    if not new:
        return
    noted = _noted(session, client)
    rows = [{"client": client, "name": one} for one in new if one not in noted][: max(0, MOST_NAMES - len(noted))]
    if rows and (session.scalar(select(func.count()).select_from(table(ClientProperty))) or 0) < MOST_ROWS:
        session.execute(_LEARN, rows)
        noted |= {one["name"] for one in rows}
        _remember(session, client, noted)


def _minded(names: Set[str]) -> frozenset[str]:
    return frozenset(one for one in names if not one.startswith(_NOT_OURS)) - _UNMINDED


def _noted(session: Session, client: str) -> frozenset[str]:
    """What the database knows of a program."""
    found = frozenset(str(name) for (name,) in _NAMES.rows(session, client=client))
    _remember(session, client, found)
    return found


def _remembered(session: Session, client: str) -> frozenset[str]:
    return _memory.get(session.get_bind().engine, {}).get(client, frozenset()) | _UNMINDED


def _remember(session: Session, client: str, names: frozenset[str]) -> None:
    with _guard:
        of_database = _memory.setdefault(session.get_bind().engine, {})
        if len(of_database) >= _MOST_REMEMBERED and client not in of_database:
            of_database.clear()
        of_database[client] = of_database.get(client, frozenset()) | names
