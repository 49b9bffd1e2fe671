"""How results are written: tables and sentences for people, JSON for programs.

A table that goes to a file or a pipe has no colours and is as wide as its content: names are never cut there.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_WIDE = 1_000_000
# What could steer a terminal: names in the database and in files come from anybody.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def print_json(value: Any) -> None:
    """``value`` as JSON; times as ISO 8601, sets sorted."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def print_json_list(values: Iterable[Any]) -> None:
    """As ``print_json`` of a list, a value at a time: as long as it may be, it is never in memory."""
    started = False
    for value in values:
        written = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
        click.echo((",\n" if started else "[\n") + textwrap.indent(written, "  "), nl=False)
        started = True
    click.echo("\n]" if started else "[]")


def print_wrapped(pieces: Iterable[str], *, indent: int = 0) -> None:
    """The pieces that aren't empty, one behind the other and never broken; on a terminal as many a line as fit.

    indent: of the first line; the others have 4 at least
    """
    width = shutil.get_terminal_size().columns if _is_terminal() else _WIDE
    line = ""
    for piece in (safe(one) for one in pieces if one):
        if line and indent + cell_len(line) + 2 + cell_len(piece) > width:
            click.echo((" " * indent + line).rstrip())
            line, indent = "", max(indent, 4)
        line += f"  {piece}" if line else piece
    if line:
        click.echo((" " * indent + line).rstrip())


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, empty: str = "None."
) -> None:
    """Rows as JSON with all their keys, else as a table.

    columns: which keys the table shows -> its headings
    empty: what to say to people where there are no rows
    """
    if as_json:
        print_json(list(rows))
    elif not rows:
        click.echo(empty)
    else:
        print_table(columns.values(), ([row[key] for key in columns] for row in rows))


def print_table(headings: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people. Where it is too wide for the terminal, columns of texts are wrapped, of numbers never."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    content = list(rows)
    for index, heading in enumerate(headings):
        is_number = all(type(row[index]) is int or row[index] == "" for row in content)
        table.add_column(heading, overflow="fold", no_wrap=is_number, justify="right" if is_number else "left")
    for row in content:
        table.add_row(*(Text(text(cell)) for cell in row))
    if _is_terminal():
        Console().print(table)
        return
    written = io.StringIO()
    Console(file=written, width=_WIDE, color_system=None, force_terminal=False).print(table, soft_wrap=False)
    for line in written.getvalue().splitlines():
        click.echo(line.rstrip())


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: JSON, else a line for each fact."""
    if as_json:
        print_json(facts)
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {text(value)}".rstrip())


def tell(facts: Mapping[str, Any], *sentences: str, as_json: bool) -> None:
    """What a command did: the facts as JSON, else the sentences; empty ones are left out."""
    if as_json:
        print_json(facts)
        return
    for sentence in sentences:
        if sentence:
            click.echo(safe(sentence))


def text(value: Any) -> str:
    """A value as people read it in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(text(one) for one in (sorted(value) if isinstance(value, (set, frozenset)) else value))
    return safe(str(value))


def counted(number: int, what: str) -> str:
    """``1 card``, ``2 cards``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def safe(written: str) -> str:
    """Text from anybody with its control characters shown as U+FFFD."""
    return _CONTROLS.sub("\ufffd", written)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs; nothing at all unless that is a terminal.

    Yields what to call with the amount done since the last call.
    """
    if not sys.stderr.isatty() or total <= 0:
        yield lambda _amount: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.advance(task, amount)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
