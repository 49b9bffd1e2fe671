"""``guard``: what was stopped, letting it go on, bringing back what it destroyed; rules of books; notices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from radicale_shared import blocks, changes, notices, personal, policies, telling, undo
from radicale_shared import guard_rules as rules
from radicale_shared.access import Role
from radicale_shared.blocks import Block
from radicale_shared.cli.context import Context, dry_run_option, json_option, live_book, person
from radicale_shared.cli.output import print_json, print_rows, print_wrapped, safe, tell
from radicale_shared.cli.undo import shown, tell_outcome
from radicale_shared.errors import NotAllowedHereError, NotSentError
from radicale_shared.guard_rules import OwnRule
from radicale_shared.models import now
from radicale_shared.notices import MAIL, WEBHOOK, Notice
from radicale_shared.settings_file import NotifySettings
from radicale_shared.undo_plan import Step

_RULES = {"role": "Role", "guard": "Guard", "cards": "Cards", "percent": "Percent", "from": "Said by"}
_EVERYBODY = "everybody"


@click.group()
def guard() -> None:
    """See which devices were stopped as they destroyed cards, let them go on, bring back what they destroyed."""


@guard.command("list")
@click.option("--all", "all_", is_flag=True, help="Also those that have ended.")
@json_option
@click.pass_obj
def list_(context: Context, all_: bool, as_json: bool) -> None:
    """List the devices that are stopped, the latest first.

    JSON: a list of block, book, person, device, address, user_agent, destroyed (cards that it deleted or emptied
    before), of_cards, began_at, at, until_at, stands, released_at, released_by, reverted_act (which brought the cards
    back).
    """
    with context.db.read() as session:
        found = blocks.all_blocks(session) if all_ else blocks.standing(session)
    if as_json:
        print_json([blocks.facts(one) for one in found])
        return
    if not found:
        click.echo("No device is stopped.")
    for one in found:
        print_wrapped([f"Block {one.id}", one.book, _whose(one), f"{one.destroyed} of {one.of_cards} cards destroyed"])
        print_wrapped([f"{one.at:%Y-%m-%d %H:%M} UTC", _state(one)], indent=4)


@guard.command()
@click.argument("number", metavar="BLOCK", type=click.IntRange(min=1))
@json_option
@click.pass_obj
def release(context: Context, number: int, as_json: bool) -> None:
    """Let the device of BLOCK delete again; what it destroyed before doesn't count any more.

    JSON: the keys of 'guard list'.
    """
    with context.db.read() as session:
        book_id = blocks.find(session, number).book_id
    with context.db.write(book_id) as session:
        block = blocks.release(session, number, by=changes.command_line())
    tell(blocks.facts(block), f"{_whose(block)} may delete in {block.book} again.", as_json=as_json)


@guard.command()
@click.argument("number", metavar="BLOCK", type=click.IntRange(min=1))
@click.option("--release", "releases", is_flag=True, help="Let the device go on too.")
@dry_run_option
@json_option
@click.pass_obj
def revert(context: Context, number: int, releases: bool, dry_run: bool, as_json: bool) -> None:
    """Bring back what the device of BLOCK deleted or emptied before it was stopped.

    What others did since stays. It is an undo: it can be interrupted and repeated, and can itself be undone.

    JSON: block, released, and the keys of 'history undo'.
    """
    with context.db.read() as session:
        block = blocks.find(session, number)
        live_book(session, block.book)
        unread = personal.all_ids(session)
    steps: list[Step] = []
    outcome = undo.Outcome()
    if dry_run:
        with context.db.snapshot() as session:
            for step in undo.plan(session, blocks.selection(session, block), outcome=outcome):
                steps.append(shown(step, unread))
    else:
        by = changes.command_line()
        outcome = blocks.revert(context.db, block, by=by, seen=lambda step: steps.append(shown(step, unread)))
    released = False
    if releases and not dry_run and block.stands:
        with context.db.write(block.book_id) as session:
            blocks.release(session, number, by=changes.command_line())
        released = True
    more = {"block": number, "released": released}
    tell_outcome(outcome, steps, dry_run=dry_run, as_json=as_json, more=more)
    if released and not as_json:
        click.echo(f"{_whose(block)} may delete in {block.book} again.")


@guard.command()
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def show(context: Context, address: str, as_json: bool) -> None:
    """Show what the guard lets through in BOOK, who cleans it up, and which devices are stopped there.

    JSON: book, minutes, rules (a list of role, null for everybody; guard: on or off; cards; percent; from: book or
    settings), clean_ups (a list of user, until, said_by), blocks (the keys of 'guard list').
    """
    policy = policies.guard(context.settings.file)
    with context.db.read() as session:
        book = live_book(session, address)
        own = rules.rules(session, book.id, policy)
        cleaning = [one.facts() for one in rules.announced(session, book.id)]
        found = blocks.standing(session, [book.id])
    told = [{**one.facts(), "from": "book"} for one in own]
    said = {one.role for one in own}
    if "" not in said:  # a book's rule for all goes before the settings' for a role
        rest = [OwnRule(role, rule) for role, rule in policy.roles.items() if role not in said]
        of_settings = [{**one.facts(), "from": "settings"} for one in (OwnRule("", policy.rule), *rest)]
        told = [of_settings[0], *told, *of_settings[1:]]
    if as_json:
        facts = {"book": book.address, "minutes": policy.minutes, "rules": told, "clean_ups": cleaning}
        print_json({**facts, "blocks": [blocks.facts(one) for one in found]})
        return
    click.echo(
        f"Of {book.card_count} cards of {book.address} one device may delete or empty in {policy.minutes} minutes:"
    )
    print_rows([{**one, "role": one["role"] or _EVERYBODY} for one in told], _RULES, as_json=False)
    if cleaning:
        print_rows(cleaning, {"user": "Cleans up", "until": "Until", "said_by": "Said by"}, as_json=False)
    for one in found:
        click.echo(f"Block {one.id}: {_whose(one)} is stopped until {one.until_at:%Y-%m-%d %H:%M} UTC.")


@guard.command("set")
@click.argument("address", metavar="BOOK")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), help="For people of this role; without: for everybody."
)
@click.option("--cards", type=click.IntRange(0, rules.MOST_CARDS), help="How many cards a device may destroy.")
@click.option("--percent", type=click.IntRange(0, 100), help="Which part of the book, if that is more cards.")
@click.option("--off", is_flag=True, help="Let everything through.")
@click.option("--default", "default", is_flag=True, help="What the settings say.")
@json_option
@click.pass_obj
def set_(
    context: Context,
    address: str,
    role: str | None,
    cards: int | None,
    percent: int | None,
    off: bool,
    default: bool,
    as_json: bool,
) -> None:
    """Let the guard of BOOK let more or less through than the settings say: for everybody, or for one role.

    JSON: book, role (null for everybody), guard (on, off or default), cards, percent (null: as the settings say).
    """
    numbers = cards is not None or percent is not None
    if numbers + off + default != 1:
        raise click.UsageError("Say --cards or --percent or both, or --off, or --default.")
    with context.db.write() as session:
        book = live_book(session, address)
        by = changes.command_line()
        if default:
            rules.drop_rule(session, book, role or "", by=by)
        else:
            rules.set_rule(session, book, role or "", cards=cards, percent=percent, off=off, by=by)
    state = "default" if default else "off" if off else "on"
    facts = {"book": book.address, "role": role, "guard": state, "cards": cards, "percent": percent}
    said = {"default": "is as the settings say", "off": "is off", "on": "has a rule of its own"}[state]
    tell(facts, f"The guard of {book.address} {said} for {role or _EVERYBODY}.", as_json=as_json)


@guard.command()
@click.argument("address", metavar="BOOK")
@click.argument("login", metavar="USER")
@click.option("--hours", type=click.IntRange(1, 24), default=1, show_default=True, help="For how long.")
@json_option
@click.pass_obj
def announce(context: Context, address: str, login: str, hours: int, as_json: bool) -> None:
    """Say that USER is going to delete many cards of BOOK: until then their devices aren't stopped there.

    JSON: book, user, until.
    """
    with context.db.write() as session:
        book, whose = live_book(session, address), person(session, login)
        until = now() + timedelta(hours=hours)
        rules.announce(session, book, whose.id, whose.login, until, by=changes.command_line())
    facts = {"book": book.address, "user": whose.login, "until": until}
    tell(facts, f"{whose.login} may clean up {book.address} until {until:%Y-%m-%d %H:%M} UTC.", as_json=as_json)


@guard.command()
@click.option("--test", "tests", is_flag=True, help="Send a test notice to everybody who is told of everything.")
@json_option
@click.pass_obj
def notify(context: Context, tests: bool, as_json: bool) -> None:
    """Send the notices that are due; 'serve' does that by itself, a plain Radicale needs a timer.

    JSON: sent, failed, waiting, problems (a list of channel, recipient, made_at, next_at: null where it was given up,
    tries, failure); with --test a list of channel, recipient, problem (null where it was sent). Exit status: 0, 1
    where a notice could not be sent, 2 wrong usage.
    """
    settings = context.settings.file.notify
    if tests:
        _test(settings, as_json=as_json)
        return
    done, failed = telling.send_due(context.db, settings)
    with context.db.read() as session:
        problems = notices.failing(session)
        left = notices.waiting(session)
    rows = [
        {
            "channel": one.channel,
            "recipient": one.recipient,
            "made_at": one.made_at,
            "next_at": one.next_at,
            "tries": one.tries,
            "failure": one.failure,
        }
        for one in problems
    ]
    tell(
        {"sent": done, "failed": failed, "waiting": left, "problems": rows},
        f"{done} notices were sent, {failed} were not; {left} wait.",
        *(f"{one['recipient'] or one['channel']}: {one['failure']}" for one in rows),
        as_json=as_json,
    )
    if failed:
        raise click.exceptions.Exit(1)


def _test(settings: NotifySettings, *, as_json: bool) -> None:
    meant = [(MAIL, one) for one in settings.mail_to] + ([(WEBHOOK, "")] if settings.webhook_url else [])
    if not meant:
        raise NotAllowedHereError("Nobody is told: the settings file has neither mail_to nor webhook_url in [notify].")
    told: list[dict[str, Any]] = []
    for channel, recipient in meant:
        text = "This is a test of the notices of radicale-shared. Nothing has happened."
        notice = Notice(0, channel, recipient, "A test of radicale-shared", text, {"test": True}, now(), 1)
        problem = None
        try:
            telling.send(notice, settings)
        except NotSentError as error:
            problem = error.reason
        told.append({"channel": channel, "recipient": recipient, "problem": problem})
    if as_json:
        print_json(told)
    else:
        for one in told:
            click.echo(f"{one['recipient'] or one['channel']}: {one['problem'] or 'sent'}")
    if any(one["problem"] for one in told):
        raise click.exceptions.Exit(1)


def _whose(block: Block) -> str:
    """The device, and whose it is."""
    device = changes.device_of(block.actor, block.device, block.user_agent)
    return safe(f"{device} of {block.actor}" if device else block.actor)


def _state(block: Block) -> str:
    if block.stands:
        state = f"stopped until {block.until_at:%Y-%m-%d %H:%M} UTC"
    elif block.released_by:
        state = f"released by {block.released_by}"
    else:
        state = "over"
    return f"{state}, reverted" if block.reverted_act_id is not None else state
