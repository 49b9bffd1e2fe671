"""ETags of cards, and the conditions on them that a write may have (RFC 9110, section 13.1).

The stored ETag is a keyed hash of the stored bytes. A reader is shown it as it is, but where fields are hidden from
them, or where writes of theirs were refused: then it is hashed once more, with the view and the latest refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from .access import View
from .errors import PreconditionFailedError

_MARKS = 50


def etag_of(secret: bytes, data: bytes, revision: int = 0) -> str:
    """The stored ETag: 32 hexadecimal digits, a keyed hash, so that nobody can tell a content by its ETag.

    revision: of a write that left the bytes as they were and yet counts as a change (``cards.put``); else 0
    """
    salt = revision.to_bytes(8, "big") if revision else b""
    return blake2b(data, key=secret, digest_size=16, salt=salt).hexdigest()


def names_bytes(secret: bytes, etag: str, data: bytes, revision: int) -> bool:
    """Whether ``etag``, stored with a card of this revision, is of these very bytes."""
    return etag == etag_of(secret, data) or etag == etag_of(secret, data, revision)


def shown_etag(etag: str, view: View, refused: int) -> str:
    """The ETag that a reader sees, without quotes: the stored one, but for a hiding view or refused writes of theirs.

    refused: ``Refused.mark`` of the card for this client
    """
    if not refused and not view.hidden:
        return etag
    return blake2b(f"{etag}/{view.id}/{refused}".encode(), digest_size=16).hexdigest()


def named_by(etag: str, view: View, refused: int) -> set[str]:
    """The ETags by which a client may name the stored one: as it is stored, as it is shown, and as it was shown before.

    What was shown before the latest refusal names the same bytes: another device of the kind may hold it.

    refused: ``Refused.mark`` of the card for this client
    """
    marks = range(max(0, refused - _MARKS), refused + 1)
    return {etag, *(shown_etag(etag, view, mark) for mark in marks)}


@dataclass(frozen=True, slots=True)
class Conditions:
    """If-Match and If-None-Match of a write (RFC 9110, section 13.1), ETags without quotes.

    if_match: None without the header; ``("*",)`` for any existing card
    none_match: None without the header; ``("*",)``: only where there is no card
    refused: what the ETag of this client counts (``Refused.mark``)
    """

    if_match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    refused: int = 0

    def require(self, view: View, href: str, etag: str | None) -> None:
        """Raise PreconditionFailedError unless they hold. etag: the stored one of the card, None if there is none"""
        etags = {"*", *named_by(etag, view, self.refused)} if etag is not None else set()
        if self.if_match is not None and not etags.intersection(self.if_match):
            raise PreconditionFailedError(href)
        if self.none_match is not None and etags.intersection(self.none_match):
            raise PreconditionFailedError(href)


NO_CONDITIONS = Conditions()
