"""What the commands of ``phone`` tell of one phone: what was chosen, the lines for its configuration, what it gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import click

from radicale_shared import books
from radicale_shared.cli.context import Context
from radicale_shared.cli.output import counted, safe
from radicale_shared.phone_profiles import FIELDS, Profile, SignIn
from radicale_shared.phones.asking import Document, LeftOut, Setup
from radicale_shared.phones.formats import FORMATS
from radicale_shared.phones.paths import BY_BASIC, url_below

# What stands for the parts of a phone's URL that aren't known.
_NO_URL = "https://SERVER"
_NO_PASSWORD = "PASSWORD"  # noqa: S105  # nobody's


def told_of(profile: Profile, addresses: Mapping[int, str]) -> dict[str, Any]:
    """addresses: {id: address} of all live books"""
    device = profile.device
    some = device.scope.books
    return {
        "label": device.label,
        "user": device.login,
        "make": profile.make,
        "books": None if some is None else sorted(addresses[one] for one in some if one in addresses),
        "sign_in": profile.sign_in,
        "networks": list(profile.networks),
        "fields": [field for field in FIELDS if field in profile.fields],
        "order": profile.name_order,
        "dial": profile.dial,
        "region": profile.region,
        "own_region": profile.own_region,
        "outside_prefix": profile.outside_prefix,
        "trunk": profile.trunk,
        "max_entries": profile.max_entries,
        "max_bytes": profile.max_bytes,
        "language": profile.language,
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
        "last_address": device.last_address,
        "last_user_agent": device.last_user_agent,
    }


def facts_of(context: Context, profile: Profile, password: str) -> dict[str, Any]:
    """password: empty where nobody knows it any more"""
    with context.db.read() as session:
        addresses = {book.id: book.address for book in books.all_books(session)}
    known = password or _NO_PASSWORD
    base = context.settings.file.phones.url.rstrip("/") or _NO_URL + context.settings.script_name
    by_basic = profile.sign_in is SignIn.BASIC
    url = url_below(base, BY_BASIC if by_basic else known.replace("-", ""))
    setup = Setup(url, profile.device.login if by_basic else "", known if by_basic else "", profile)
    made = FORMATS.get(profile.make)
    return {**told_of(profile, addresses), "url": url, "setup": made.setup(setup) if made else ""}


def print_setup(told: Mapping[str, Any]) -> None:
    click.echo(f"\nIts address: {told['url']}")
    if told["url"].startswith(_NO_URL):
        click.echo("SERVER stands for this server as phones reach it: set url of [phones] in the settings file.")
    click.echo("\nIn the phone's configuration:\n")
    for line in str(told["setup"]).splitlines():
        click.echo(safe(line))
    click.echo()


def facts_of_answer(
    document: Document, left_out: Iterable[LeftOut], kept_back: Iterable[tuple[str, int | None]]
) -> dict[str, Any]:
    """kept_back: (address, number of cards or None for all) of each book of which something is hidden from the phone"""
    return {
        "status": document.status,
        "content_type": document.content_type,
        "headers": dict(document.headers),
        "bytes": len(document.body),
        "body": document.body.decode("utf-8", "replace"),
        "left_out": [one._asdict() for one in left_out],
        "hidden": [{"book": address, "cards": cards} for address, cards in kept_back],
    }


def tell_who_is_left_out(
    document: Document, left_out: Collection[LeftOut], kept_back: Collection[tuple[str, int | None]]
) -> None:
    """What an answer is, and who isn't in it, on standard error. kept_back: as in ``facts_of_answer``"""
    click.echo(f"{document.content_type}, {counted(len(document.body), 'byte')}.", err=True)
    if not left_out and not kept_back:
        click.echo("Nobody is left out.", err=True)
    for row in left_out:
        click.echo(safe(f"Left out: {counted(row.contacts, 'contact')}, as {row.reason}; e.g. {row.example}"), err=True)
    for address, cards in kept_back:
        how_many = "all" if cards is None else counted(cards, "card")
        click.echo(f"Hidden from phones: {how_many} of {address!r}.", err=True)
