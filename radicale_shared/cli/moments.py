"""Days and moments as they are typed and told on the command line, in this machine's time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

import click

NEVER = "never"

_AGO = re.compile(r"(\d{1,6}) ?([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(written: str) -> datetime:
    """When something ends, UTC: with a day, as in ``2026-12-31``, at that day's end; with a time at that moment.

    Raises click.BadParameter.
    """
    try:
        if len(written) == len("2026-12-31"):
            day = datetime.fromisoformat(written).date()
            return datetime.combine(day + timedelta(days=1), time()).astimezone().astimezone(UTC)
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{written!r} is no date: write 2026-12-31, or with a time 2026-12-31T17:00."
        raise click.BadParameter(message) from error


def past(written: str, *, until: bool = False) -> datetime:
    """When something was, UTC: ``2026-12-31T17:00``, a day, or as long ago as ``30m``, ``2h``, ``3d``, ``1w``.

    until: a day stands for its end, and not for its beginning

    Raises click.BadParameter.
    """
    try:
        if found := _AGO.fullmatch(written):
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        if len(written) == len("2026-12-31"):
            day = datetime.fromisoformat(written).date() + timedelta(days=1 if until else 0)
            return datetime.combine(day, time()).astimezone().astimezone(UTC)
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{written!r} is no moment: write 2h or 3d (ago), 2026-12-31, or 2026-12-31T17:00."
        raise click.BadParameter(message) from error


def counts_from_now(written: str) -> bool:
    """Whether a ``past`` is another one each time it is asked for."""
    return bool(_AGO.fullmatch(written))


def moment_or_never(written: str) -> datetime | str:
    """A ``moment``, or the word NEVER."""
    return NEVER if written == NEVER else moment(written)


def last_day(until: datetime | None) -> str:
    """The last day of what ends with a day, else the moment; empty for what never ends."""
    if until is None:
        return ""
    here = until.astimezone()
    return f"{here - timedelta(days=1):%Y-%m-%d}" if here.time() == time() else f"{here:%Y-%m-%d %H:%M %Z}"
