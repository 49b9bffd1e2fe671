"""``history diff``: what differs between two states of a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from radicale_shared import history, personal
from radicale_shared.acts import Which
from radicale_shared.cli.context import Context, any_book, json_option, read_cards, split_card
from radicale_shared.cli.deeds import print_differences
from radicale_shared.cli.output import print_json, safe
from radicale_shared.errors import NotFoundError, WrongValueError
from radicale_shared.vcard import Difference


@click.command()
@click.argument("what", metavar="[BOOK/HREF]", required=False)
@click.option("--from", "from_", metavar="REV", type=click.IntRange(min=1), help="As after this revision.")
@click.option("--to", metavar="REV", type=click.IntRange(min=1), help="As after this revision; without, as it is now.")
@click.option("--act", metavar="N", type=click.IntRange(min=1), help="What the deed with this number changed.")
@json_option
@click.pass_obj
def diff(context: Context, what: str | None, from_: int | None, to: int | None, act: int | None, as_json: bool) -> None:
    """Tell what differs between two states of the card HREF of BOOK, or what a deed changed.

    Without --from it is what the last change up to --to did. Revisions are those of 'history show'. Refused for cards
    of personal books, unless administrators_read_personal_books lets you.

    JSON: a list of book, href, name, from, to (revisions; with --act both null), change (added, changed, deleted, null
    for none), differences (change, name, before, after; null where a state is kept no longer).
    """
    if (what is None) == (act is None) or (act is not None and (from_ or to)):
        raise click.UsageError("Name BOOK/HREF, or --act N.")
    told = _of_act(context, act) if act is not None else [_of_card(context, str(what), from_, to)]
    if as_json:
        print_json([one.facts() for one in told])
        return
    for one in told:
        click.echo(safe(f"{one.book}/{one.href}" + (f"  {one.name}" if one.name else "")))
        if one.differences is None:
            click.echo("    A state of it is kept no longer.")
        elif not one.differences:
            click.echo("    Nothing that people see.")
        print_differences(one.differences or (), indent=4)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two states of a card."""

    book: str
    href: str
    name: str
    change: str | None
    differences: Sequence[Difference] | None
    from_: int | None = None
    to: int | None = None

    def facts(self) -> dict[str, Any]:
        differences = self.differences
        return {
            "book": self.book,
            "href": self.href,
            "name": self.name,
            "from": self.from_,
            "to": self.to,
            "change": self.change,
            "differences": None if differences is None else [asdict(one) for one in differences],
        }


def _of_act(context: Context, act: int) -> list[_Compared]:
    with context.db.snapshot() as session:
        entries = [one for one in history.entries(session, which=Which(acts=frozenset({act}))) if one.revision]
        unread = personal.all_ids(session)
        looked_at = {one.book_id: one.book for one in entries if one.book_id in unread}
    if not entries:
        raise NotFoundError(
            "act", str(act), "It changed no card, or there never was one; see: radicale-shared history show"
        )
    for address in looked_at.values():
        with context.db.read() as session:
            book = any_book(session, address)
        read_cards(context, book, "history diff")
    with context.db.snapshot() as session:
        return [
            _Compared(one.book, one.href, one.name, one.change, history.differences(session, one)) for one in entries
        ]


def _of_card(context: Context, what: str, from_: int | None, to: int | None) -> _Compared:
    address, href = split_card(what)
    if href is None:
        raise WrongValueError("Name a card as BOOK/HREF.")
    with context.db.read() as session:
        book = any_book(session, address)
    read_cards(context, book, "history diff")
    with context.db.snapshot() as session:
        past = [one for one in history.entries(session, book_id=book.id, href=href) if one.revision is not None]
        if not past:
            raise NotFoundError("card", href, f"See: radicale-shared history show {book.address}")
        revisions = [one.revision or 0 for one in past]
        newest = next((at for at, one in enumerate(revisions) if to is None or one <= to), None)
        if newest is None:
            raise NotFoundError("state", f"{href} after revision {to}", f"Its oldest one is of {revisions[-1]}.")
        span = past[newest]
        if from_ is not None:
            # A state is what the last change up to its revision made; before the oldest one, what that one found.
            oldest = next((one.after_id for one in past if (one.revision or 0) <= from_), past[-1].before_id)
            span = replace(span, before_id=oldest)
        differences = history.differences(session, span)
    shown = from_ if from_ is not None else revisions[newest] - 1
    return _Compared(book.address, href, span.name, span.change, differences, from_=shown, to=revisions[newest])
