"""Radicale's Item of a stored card: its text is the stored bytes, and it is parsed only where Radicale looks inside."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Any

import vobject
from radicale import item as radicale_item
from radicale import storage
from radicale.item import filter as radicale_filter

from radicale_shared import vcard
from radicale_shared.reading import Stored


class _Etag(str):
    """The ETag that a client sees, which also equals the stored one.

    Radicale compares If-Match with ``item.etag`` and nothing else. A device that hasn't synced since a write of another
    device of its kind was refused names the stored ETag, and is right: the card is the same. For comparing only:
    servers insist on headers that are plain strings.
    """

    _stored: str

    def __new__(cls, shown: str, stored: str) -> _Etag:
        self = super().__new__(cls, shown)
        self._stored = stored
        return self

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or self._stored == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class CardItem(radicale_item.Item):
    """One card. Reads no database: reports are written after the lock is released."""

    def __init__(
        self, collection: storage.BaseCollection, stored: Stored, shown: str, *, is_compared: bool = False
    ) -> None:
        """``shown``: the ETag that this reader's client sees, without quotes; ``is_compared``: with If-Match."""
        super().__init__(
            collection=collection,
            href=stored.href,
            last_modified=http_date(stored.modified_at),
            text=stored.data.decode(),
            etag=_Etag(quoted(shown), quoted(stored.etag)) if is_compared else quoted(shown),
            name="VCARD",
            component_name="",  # Radicale's own for a VCARD; anything else turns up in the content type
            time_range=(radicale_filter.TIMESTAMP_MIN, radicale_filter.TIMESTAMP_MAX),
        )
        self._seen: Any = None

    @property
    def vobject_item(self) -> Any:
        """The card as vobject reads it, else with its lines as plain texts.

        A card that vobject can't read may be here by import or by the other server; a search over the book must pass
        it, not fail.
        """
        if self._seen is None:
            self._seen = _read(self.serialize())
        return self._seen

    @property
    def uid(self) -> str:
        """The UID as Radicale sees it: compared with the one of a new version that came through the same parser."""
        return radicale_item.get_uid(self.vobject_item)


def quoted(etag: str) -> str:
    """An ETag as it stands in headers and properties (RFC 9110, section 8.8.3)."""
    return f'"{etag}"'


def http_date(moment: datetime) -> str:
    """RFC 9110, section 5.6.7."""
    return format_datetime(moment, usegmt=True)


def _read(text: str) -> Any:
    try:
        (found,) = radicale_item.read_components(text)
    except Exception:  # noqa: BLE001  # vobject raises nearly anything on odd cards
        found = None
    if found is not None and found.name == "VCARD":
        return found
    plain = vobject.base.Component("VCARD")
    for line in vcard.Card.parse(text.encode()).lines:
        if line.name:
            plain.add(vobject.base.ContentLine(line.name, [], line.text))
    return plain
