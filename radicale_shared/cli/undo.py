"""``history undo``: taking back what was done, and nothing of what others did since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import click

from radicale_shared import changes, personal
from radicale_shared import undo as core
from radicale_shared.cli import moments
from radicale_shared.cli.context import (
    Context,
    dry_run_option,
    json_option,
    live_book,
    login_of,
    require_written_here,
)
from radicale_shared.cli.deeds import print_differences
from radicale_shared.cli.output import print_json, print_wrapped, safe, text
from radicale_shared.selections import Selection, one_device
from radicale_shared.undo_plan import Step, What

# Steps of which people are shown nothing but how many there were: beyond so many.
_MOST_SHOWN = 200
_DONE = {
    What.RESTORED: ("brought back", "to be brought back"),
    What.CHANGED: ("changed back", "to be changed back"),
    What.DELETED: ("deleted", "to be deleted"),
    What.NOTHING: ("as they were already", "as they were already"),
    What.CONFLICT: ("left as they are", "to be left as they are"),
    What.IMPOSSIBLE: ("of which no earlier state is kept", "of which no earlier state is kept"),
}


@click.command()
@click.argument("act_ids", metavar="[ACT]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--book", "address", metavar="BOOK", help="Only in BOOK.")
@click.option("--card", "href", metavar="HREF", default="", help="Only of this card of BOOK.")
@click.option("--device", metavar="TEXT", default="", help="What the device did that has TEXT in its name.")
@click.option("--person", metavar="LOGIN", default="", help="What this person did.")
@click.option("--since", metavar="T", default="", help="What was done since T: 2h, 3d (ago), or a date or time.")
@click.option("--until", metavar="T", default="", help="What was done until T.")
@click.option("--as-of", metavar="T", default="", help="Everything after T, whoever did it: BOOK as it was then.")
@click.option(
    "--property", "properties", metavar="NAME", multiple=True, help="Only of this property, e.g. TEL; several times."
)
@click.option("--finish", metavar="ACT", type=click.IntRange(min=1), help="Go on with this undo that was interrupted.")
@click.option("--list-unfinished", is_flag=True, help="List undos that were interrupted, and do nothing.")
@dry_run_option
@json_option
@click.pass_obj
def undo(
    context: Context,
    act_ids: tuple[int, ...],
    address: str | None,
    href: str,
    device: str,
    person: str,
    since: str,
    until: str,
    as_of: str,
    properties: tuple[str, ...],
    finish: int | None,
    list_unfinished: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take back deeds: by their numbers (ACT), or what a device or a person did, in a book, to a card, in some time.

    Nothing that was done since is overwritten: of a card that others changed meanwhile, only what they didn't touch is
    taken back, and the rest is told. Deleted cards come back byte for byte, under their names. The deed that deleted a
    book brings it back out of the trash. An undo is a deed of its own, one in each book: it reaches every device by the
    ordinary sync, and can be taken back by its number. If it is interrupted, the same command goes on with it, and so
    does --finish. Cards of personal books are taken back unseen.

    JSON: dry_run, act (the undo's number; null for none or several), acts, resumed (those that went on), counts
    (restored, changed, deleted, nothing, conflict, impossible), skipped (book, why), steps (book, href, name, what,
    why, differences, conflicts: name, kept, lost). With --list-unfinished a list of act, at, actor, book, reason. Exit
    status: 0 done, also where later work was kept, 1 nothing to take back, or refused, 2 wrong usage.
    """
    db = context.db
    steps: list[Step] = []
    if list_unfinished:
        with db.read() as session:
            _print_unfinished(core.unfinished(session), as_json=as_json)
        return
    if finish is not None:
        with db.read() as session:
            unread = personal.all_ids(session)
        outcome = core.finish(
            db, finish, by=changes.command_line(), seen=lambda step: steps.append(shown(step, unread))
        )
        tell_outcome(outcome, steps, dry_run=False, as_json=as_json)
        return
    timed = {"since": since, "until": until, "as_of": as_of}
    if as_of and (since or until or device or person or act_ids):
        raise click.UsageError("--as-of takes everything back; it stands with --book, --card and --property only.")
    if href and address is None:
        raise click.UsageError("--card needs --book.")
    if not (act_ids or href or since or as_of):
        raise click.UsageError("Say what to take back: ACT, --card, --since or --as-of.")
    if as_of and address is None:
        raise click.UsageError("--as-of needs --book.")
    selection = Selection(
        href=href,
        acts=frozenset(act_ids),
        person=login_of(person),
        since=moments.past(since) if since else None,
        until=moments.past(until, until=True) if until else None,
        as_of=moments.past(as_of) if as_of else None,
        properties=frozenset(name.upper() for name in properties),
        typed=" ".join(f"{key} {value}" for key, value in timed.items() if moments.counts_from_now(value)),
    )
    with db.read() as session:
        if address is not None:
            book = live_book(session, address)
            require_written_here(book)
            selection = replace(selection, book_id=book.id)
        if device:
            selection = replace(selection, device=one_device(session, selection, device))
        unread = personal.all_ids(session)
    outcome = core.Outcome()
    if dry_run:
        with db.snapshot() as session:
            for step in core.plan(session, selection, outcome=outcome):
                steps.append(shown(step, unread))
    else:
        outcome = core.run(
            db, selection, by=changes.command_line(), seen=lambda step: steps.append(shown(step, unread))
        )
    tell_outcome(outcome, steps, dry_run=dry_run, as_json=as_json)


def tell_outcome(
    outcome: core.Outcome, steps: list[Step], *, dry_run: bool, as_json: bool, more: Mapping[str, Any] | None = None
) -> None:
    """Print what an undo did, or would do. more: facts beside it, of the JSON alone"""
    if as_json:
        print_json({**(more or {}), **_facts(outcome, steps, dry_run=dry_run)})
    else:
        _print(outcome, steps, dry_run=dry_run)


def shown(step: Step, unread: frozenset[int]) -> Step:
    """What may be told of a step."""
    if step.book_id not in unread or not step.href:
        return step
    return replace(step, name="", differences=(), conflicts=())


def _print(outcome: core.Outcome, steps: list[Step], *, dry_run: bool) -> None:
    telling = [one for one in steps if one.what is not What.NOTHING]
    shown = telling if dry_run else [one for one in telling if one.why or one.conflicts]
    for step in shown[:_MOST_SHOWN]:
        where = f"{step.book}/{step.href}" if step.href else step.book
        print_wrapped([f"{step.what.value:<10}", where, step.name, step.why])
        if dry_run and step.what is What.CHANGED:
            print_differences(step.differences, indent=4)
        for one in step.conflicts:
            print_wrapped([one.name, f"stays {_line(one.kept)}", f"and not {_line(one.lost)}"], indent=4)
    if len(shown) > _MOST_SHOWN:
        click.echo(f"and {len(shown) - _MOST_SHOWN} more; --json tells all.")
    for address, why in outcome.skipped:
        click.echo(safe(f"Left out: {address}, which {why}"))
    counts = [f"{count} {_DONE[what][dry_run]}" for what in What if (count := outcome.counts[what])]
    click.echo(f"Cards: {', '.join(counts)}." if counts else "Nothing is left to do.")
    if outcome.conflicts:
        click.echo(f"Of {outcome.conflicts} of them others' later work stays.")
    if outcome.resumed:
        goes_on = "It would go on" if dry_run else "It went on"
        click.echo(f"{goes_on} with act {', '.join(map(str, outcome.resumed))}, which had been interrupted.")
        click.echo("What was done since that began is left; once it is finished, the same command takes that back.")
    if outcome.acts:
        numbers = " ".join(map(str, outcome.acts))
        click.echo(f"To take this back in turn: radicale-shared history undo {numbers}")


def _line(written: str) -> str:
    return f"{written[:80]}…" if len(written) > 80 else written or "(none)"


def _facts(outcome: core.Outcome, steps: Iterable[Step], *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "act": outcome.acts[0] if len(outcome.acts) == 1 else None,
        "acts": outcome.acts,
        "resumed": outcome.resumed,
        "counts": {what.value: outcome.counts[what] for what in What},
        "skipped": [{"book": address, "why": why} for address, why in outcome.skipped],
        "steps": [_step_facts(one) for one in steps],
    }


def _step_facts(step: Step) -> dict[str, Any]:
    return {
        "book": step.book,
        "href": step.href,
        "name": step.name,
        "what": step.what.value,
        "why": step.why,
        "differences": [asdict(one) for one in step.differences],
        "conflicts": [asdict(one) for one in step.conflicts],
    }


def _print_unfinished(found: list[core.Unfinished], *, as_json: bool) -> None:
    if as_json:
        keys = ("act_id", "at", "actor", "book", "reason")
        print_json([{key.removesuffix("_id"): getattr(one, key) for key in keys} for one in found])
        return
    for one in found:
        print_wrapped([str(one.act_id), text(one.at), f"by {one.actor}", one.book, one.reason])
    if not found:
        click.echo("None.")
