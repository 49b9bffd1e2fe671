"""Days and moments as they are typed and told on the command line, in this machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import click

NEVER = "never"


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


def moment_or_never(written: str) -> datetime | str:
    """A ``moment``, or the word NEVER."""
    return NEVER if written == NEVER else moment(written)


def last_day(until: datetime | None) -> str:
    """The last day of what ends with a day, else the moment; empty for what never ends."""
    if until is None:
        return ""
    here = until.astimezone()
    return f"{here - timedelta(days=1):%Y-%m-%d}" if here.time() == time() else f"{here:%Y-%m-%d %H:%M %Z}"
