"""``group``: groups of users and groups, and who owns them."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import books, group_owners, people
from radicale_shared.cli.context import Context, json_option, login_of
from radicale_shared.cli.output import print_facts, print_rows, tell
from radicale_shared.errors import NotAllowedHereError
from radicale_shared.people import Group


@click.group()
def group() -> None:
    """Make groups and say who is in them. GROUP is a group's slug or name."""


@group.command()
@click.argument("name")
@json_option
@click.pass_obj
def add(context: Context, name: str, as_json: bool) -> None:
    """Make the group NAME. Its slug, made from the name, never changes.

    The slug ends in -2, -3 ... where a user or group has it already, or had it before they were removed.
    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        made = people.add_group(session, name)
    hint = f"Next: radicale-shared group member add {made.slug} LOGIN"
    tell(
        {"slug": made.slug, "name": made.name, "members": [], "owners": [], "directory": ""},
        f"Group {made.slug} is made. {hint}",
        as_json=as_json,
    )


@group.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all groups.

    JSON: a list of slug, name, members, owners, directory.
    """
    with context.db.read() as session:
        found = people.groups(session)
        rows = [_facts(session, one) for one in found]
    for row, one in zip(rows, found, strict=True):
        if one.state == "disabled" and not as_json:
            row["directory"] += " (gone)"  # grants to it give nothing until the directory has it again
    columns = {"slug": "Group", "name": "Name", "members": "Members", "owners": "Owners"}
    if any(row["directory"] for row in rows):
        columns["directory"] = "Directory"
    print_rows(rows, columns, as_json=as_json, empty="There is no group. Make one: radicale-shared group add NAME")


@group.command()
@click.argument("name", metavar="GROUP")
@json_option
@click.pass_obj
def show(context: Context, name: str, as_json: bool) -> None:
    """Show GROUP: who is in it, who owns it, which groups it is in, which books it owns.

    JSON: slug, name, members, owners, directory, groups, books.
    """
    with context.db.read() as session:
        found = people.group(session, name)
        facts = _facts(session, found)
        facts["groups"] = [one.slug for one in people.groups_of(session, found.id)]
        facts["books"] = [book.address for book in books.owned_by(session, found.id)]
    print_facts(facts, as_json=as_json)


@group.command()
@click.argument("name", metavar="GROUP")
@click.argument("new")
@json_option
@click.pass_obj
def rename(context: Context, name: str, new: str, as_json: bool) -> None:
    """Give GROUP the name NEW; its slug, members, grants and books stay.

    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        renamed = people.rename_group(session, name, new)
        facts = _facts(session, renamed)
    tell(facts, f"The group {renamed.slug} is called {renamed.name!r} now.", as_json=as_json)


@group.command()
@click.argument("name", metavar="GROUP")
@json_option
@click.pass_obj
def remove(context: Context, name: str, as_json: bool) -> None:
    """Remove GROUP with its memberships and grants. Refused while it owns books.

    JSON: slug, name.
    """
    with context.db.write() as session:
        owned = [book.address for book in books.owned_by(session, people.group(session, name).id)]
        if owned:
            raise NotAllowedHereError(
                f"The group {name!r} owns {', '.join(owned)}. First, for each: "
                f"radicale-shared book give {owned[0]} OWNER, or book delete {owned[0]}"
            )
        removed = people.remove_group(session, name)
    tell({"slug": removed.slug, "name": removed.name}, f"Group {removed.slug} is removed.", as_json=as_json)


@group.group()
def member() -> None:
    """Put users and groups into groups. MEMBER is a login, or group:NAME."""


@member.command("add")
@click.argument("name", metavar="GROUP")
@click.argument("who", metavar="MEMBER")
@json_option
@click.pass_obj
def member_add(context: Context, name: str, who: str, as_json: bool) -> None:
    """Put MEMBER into GROUP: all grants of the group count for them at once.

    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        people.add_member(session, name, login_of(who))
        facts = _facts(session, people.group(session, name))
    tell(facts, f"{who} is in {facts['slug']}.", as_json=as_json)


@member.command("remove")
@click.argument("name", metavar="GROUP")
@click.argument("who", metavar="MEMBER")
@json_option
@click.pass_obj
def member_remove(context: Context, name: str, who: str, as_json: bool) -> None:
    """Take MEMBER out of GROUP; what only this group gave them ends at once.

    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        people.remove_member(session, name, login_of(who))
        facts = _facts(session, people.group(session, name))
    tell(facts, f"{who} is no longer in {facts['slug']}.", as_json=as_json)


@group.group()
def owner() -> None:
    """Say who owns a group: its owners make books for it, and own its books. OWNER is a login, or group:NAME."""


@owner.command("add")
@click.argument("name", metavar="GROUP")
@click.argument("who", metavar="OWNER")
@json_option
@click.pass_obj
def owner_add(context: Context, name: str, who: str, as_json: bool) -> None:
    """Let OWNER own GROUP. That alone does not put them into it.

    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        group_owners.add(session, name, login_of(who))
        facts = _facts(session, people.group(session, name))
    hint = f"They make books for it: radicale-shared book add {facts['slug']}/SLUG --as {who}"
    tell(facts, f"{who} owns {facts['slug']}.", "" if who.startswith(people.GROUP_PREFIX) else hint, as_json=as_json)


@owner.command("remove")
@click.argument("name", metavar="GROUP")
@click.argument("who", metavar="OWNER")
@json_option
@click.pass_obj
def owner_remove(context: Context, name: str, who: str, as_json: bool) -> None:
    """Let OWNER own GROUP and its books no longer; the books stay the group's.

    JSON: slug, name, members, owners, directory.
    """
    with context.db.write() as session:
        group_owners.remove(session, name, login_of(who))
        facts = _facts(session, people.group(session, name))
    tell(facts, f"{who} no longer owns {facts['slug']}.", as_json=as_json)


def _facts(session: Session, found: Group) -> dict[str, Any]:
    return {
        "slug": found.slug,
        "name": found.name,
        "members": list(people.members(session, found.id)),
        "owners": list(group_owners.of_group(session, found.id)),
        "directory": found.directory,
    }
