"""What desk phones don't show of a book, for those who manage it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .. import phone_books
from ..access import Access, Verb
from .asking import Asking, Reply, UnreadableError


def show(asking: Asking, name: str) -> Reply:
    """Whether a book is hidden from phones, and which of its cards are."""
    with asking.db.read() as session:
        told = _told(session, _managed(asking, session, name))
    return Reply(200, told)


def put(asking: Asking, name: str) -> Reply:
    """Hide a book, or one card of it, from phones, or show it on them again."""
    asking.require_own_password()
    asking.require_keys("hidden", "href")
    if "hidden" not in asking.sent:
        raise UnreadableError("'hidden' must be true or false.")
    hidden = asking.flag("hidden")
    href = None if asking.sent.get("href") is None else asking.text("href")
    with asking.db.read() as session:
        book_id = _managed(asking, session, name).book.id
    with asking.db.write(book_id) as session:
        person, found = asking.person(session), _managed(asking, session, name)
        by = asking.actor(person)
        if href is None:
            phone_books.hide(session, found.book, hidden=hidden, by=by)
        else:
            phone_books.hide_card(session, found.book, href, hidden=hidden, by=by)
        told = _told(session, _managed(asking, session, name))
    return Reply(200, told)


def _managed(asking: Asking, session: Session, name: str) -> Access:
    found = asking.book(session, name)
    found.require(Verb.MANAGE)
    return found


def _told(session: Session, found: Access) -> dict[str, object]:
    return {
        "hidden": found.book.hidden_from_phones,
        "cards": phone_books.hidden_cards(session, found.book.id),
    }
