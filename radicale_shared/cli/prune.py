"""``history prune``: removing what was kept for long enough."""

from __future__ import annotations

from dataclasses import asdict

import click

from radicale_shared import retention
from radicale_shared.cli.context import Context, dry_run_option, json_option
from radicale_shared.cli.output import tell


@click.command()
@click.option("--clock-is-right", is_flag=True, help="Also if nothing was removed for more than 30 days.")
@dry_run_option
@json_option
@click.pass_obj
def prune(context: Context, clock_is_right: bool, dry_run: bool, as_json: bool) -> None:
    """Remove for good what is older than books are to be kept: their history, and books of the trash.

    How long that is, says [history] of the settings file, or 'book retention'. 'serve' does this by itself once a day.
    After more than 30 days without, this machine's clock is doubted: one that jumped ahead would remove everything.

    Devices notice nothing: no sync needs the history. Several at a time do no harm, and what was interrupted goes on
    with the next.

    JSON: changes (what deeds did to cards), deeds (others, such as grants), states (of cards), large (photos and other
    long lines of these alone), bytes (of both), books (of the trash), dry_run.
    """
    kept = context.settings.file.history
    pruned = retention.prune(
        context.db, kept.keep_days, kept.trash_days, dry_run=dry_run, clock_is_right=clock_is_right
    )
    tell(
        {**asdict(pruned), "dry_run": dry_run},
        f"{'Would be removed' if dry_run else 'Removed'}: {pruned.changes} changes of cards and {pruned.deeds} other "
        f"deeds, with {pruned.states} states of cards ({pruned.bytes} bytes).",
        f"Of the trash: {', '.join(pruned.books)}." if pruned.books else "",
        as_json=as_json,
    )
