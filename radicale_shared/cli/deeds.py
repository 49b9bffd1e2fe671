"""Deeds of the history as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from radicale_shared import changes
from radicale_shared.cli.output import print_wrapped
from radicale_shared.history import Entry
from radicale_shared.vcard import Difference

# An entry, and what it changed: None where that isn't told, or can't be any more.
Told = tuple[Entry, "Sequence[Difference] | None"]

_DEED_WIDTH = 18
# What makes a card by these was there before.
_BRING_BACK = frozenset({"undo", "restore", "restore-book"})
_LONGEST = 200  # characters of an overwritten line that is shown whole
_MOST_DIFFERENCES = 100  # of one deed, that people are shown


def print_deeds(told: Iterable[Told], *, with_book: bool, with_href: bool) -> None:
    """Two lines a deed: when, its act, revision, deed and name; then where, who and by what; then what it changed."""
    click.echo(f"{'When (UTC)':<16}  {'Act':>5}  {'Rev':>5}  {'Deed':<{_DEED_WIDTH}}  Name")
    for entry, differences in told:
        revision = "" if entry.revision is None else str(entry.revision)
        first = f"{entry.at:%Y-%m-%d %H:%M}  {entry.act_id:>5}  {revision:>5}  {_deed(entry):<{_DEED_WIDTH}}"
        print_wrapped([first, entry.name])
        where = entry.href if with_href else ""
        if with_book and entry.book:
            where = f"{entry.book}/{where}" if where else entry.book
        print_wrapped(
            [where, f"by {entry.actor}", changes.device_of(entry.actor, entry.device, entry.user_agent), entry.reason],
            indent=4,
        )
        for one in entry.overwritten:
            print_wrapped(_overwritten(_short(one.lost), _short(one.kept)), indent=4)
        print_differences(differences or (), indent=4)


def print_differences(differences: Sequence[Difference], *, indent: int = 0) -> None:
    """A line for each: ``TEL  +49 30 1 -> +49 30 2``."""
    for one in differences[:_MOST_DIFFERENCES]:
        print_wrapped([one.name, f"{one.before or '(none)'} -> {one.after or '(none)'}"], indent=indent)
    if len(differences) > _MOST_DIFFERENCES:
        print_wrapped([f"and {len(differences) - _MOST_DIFFERENCES} more"], indent=indent)


def _deed(entry: Entry) -> str:
    """E.g. ``put (new)``; a kind that says it itself stands alone."""
    change = entry.change
    if change is None or change.startswith(entry.kind):
        return entry.kind
    if entry.received_id is not None:
        return f"{entry.kind} (merged)"
    if change == "added":
        return f"{entry.kind} ({'back' if entry.kind in _BRING_BACK else 'new'})"
    return f"{entry.kind} ({change})"


def _overwritten(lost: str, kept: str) -> list[str]:
    """What became of a property that both sides had changed. Either line is empty where one side had deleted it."""
    if not lost:
        return [f"kept {kept}, which was deleted"]
    return [f"overwrote {lost}", f"by {kept}"] if kept else [f"deleted {lost}, which was changed"]


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:40]}…"


def facts(entry: Entry, differences: Sequence[Difference] | None) -> dict[str, Any]:
    """An entry as JSON tells it."""
    return {
        "act": entry.act_id,
        "at": entry.at,
        "book": entry.book,
        "href": entry.href,
        "name": entry.name,
        "revision": entry.revision,
        "kind": entry.kind,
        "change": entry.change,
        "merged": entry.received_id is not None,
        "overwritten": [asdict(one) for one in entry.overwritten],
        "actor": entry.actor,
        "device": entry.device,
        "user_agent": entry.user_agent,
        "address": entry.address,
        "reason": entry.reason,
        "differences": None if differences is None else [asdict(one) for one in differences],
    }
