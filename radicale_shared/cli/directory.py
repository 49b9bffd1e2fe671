"""``directory``: LDAP servers and Active Directory that people come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from radicale_shared import accounts, directories, ldap, people
from radicale_shared.cli.context import Context, dry_run_option, json_option, login_of, password_from_stdin
from radicale_shared.cli.output import print_json, print_rows, safe, text
from radicale_shared.directories import State
from radicale_shared.errors import DirectoryUnavailableError, NotAllowedHereError, NotFoundError
from radicale_shared.ldap import Directory, mirror, sign_in
from radicale_shared.ldap.check import Checked, check
from radicale_shared.ldap.follow import Report, follow
from radicale_shared.reasons import role_of

_directory_option = click.option("--directory", "name", metavar="NAME", help="Only this one. Without: all.")


@click.group()
def directory() -> None:
    """Check, read and list the directories (LDAP, Active Directory) that people come from."""


@directory.command("check")
@click.argument("login", metavar="USER", callback=lambda _context, _option, given: login_of(given))
@click.option("--directory", "name", metavar="NAME", help="Only this one. Without: those the login may belong to.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Try the password on standard input, once; one line break at its end is dropped.",
)
@json_option
@click.pass_context
def check_(ctx: click.Context, login: str, name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Try, step by step, what happens when USER signs in: servers, TLS, the entry, groups, books. Changes nothing.

    JSON: a list of directory, steps (a list of step, ok, said, advice), login, slug, groups (a list of level, name, dn,
    slug, remark), books (a list of book, role, url). Exit status: 0 all is well, 1 something isn't.
    """
    context: Context = ctx.obj
    chosen = _chosen(context, name)
    password = password_from_stdin(is_new=False) if password_stdin else None
    place = sign_in.place(chosen, login)
    with context.db.read() as session:
        account = accounts.find(session, login, name=people.folded(place.name), directories=place.names)
    if account is not None and account.directory:
        place = sign_in.narrowed(place, account)
    found: list[Checked] = []
    for one in place.directories:
        found.append(check(one, context.db, place, password))
        if found[-1].person is not None:
            break  # without an account here, the first one that has the entry decides
    has_entry = any(one.person is not None for one in found)
    if as_json:
        print_json([_checked_facts(one) for one in found])
    else:
        for line in _checked_lines(found):
            click.echo(safe(line))
    if not has_entry or not found[-1].is_well:
        ctx.exit(1)


@directory.command()
@_directory_option
@click.option(
    "--accept", is_flag=True, help="Believe what the directory has now, however many people or groups it lost."
)
@dry_run_option
@json_option
@click.pass_context
def sync(ctx: click.Context, name: str | None, accept: bool, dry_run: bool, as_json: bool) -> None:
    """Read groups and people now, and the mirrored address book. 'serve' does so by itself; a plain Radicale doesn't.

    Refused where very many would be gone at once: then nothing is changed, until --accept says that it is true.
    JSON: a list of directory, people, groups, new_groups, gone_groups, changed, disabled, enabled, joined, left,
    problems, mirror (book, new, changed, removed, unchanged, left_out, or null), guard, failure, dry_run. Exit status:
    0 done, 1 a directory could not be read or was not believed.
    """
    context: Context = ctx.obj
    if name is not None and name not in {one.name for one in context.settings.file.directories}:
        _abandon(context, name, accept=accept, dry_run=dry_run, as_json=as_json)
        return
    done = [_synced(context, one, accept=accept, dry_run=dry_run) for one in _chosen(context, name)]
    if as_json:
        print_json(done)
    else:
        for facts in done:
            _tell_synced(facts)
    if any(facts["failure"] or facts["guard"] for facts in done):
        ctx.exit(1)


@directory.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List the directories: when they were read, whether they fail, and what of them was not believed.

    JSON: a list of directory, kind (null: not in the settings any more), servers, people, groups, followed_at,
    mirrored_at, failing_since, failure, guard.
    """
    configured = {one.name: one for one in context.settings.file.directories}
    with context.db.read() as session:
        states = {state.name: state for state in directories.states(session)}
        names = [*configured, *sorted(directories.names(session) - configured.keys())]
        counts = {name: directories.counts(session, name) for name in names}
    rows = []
    for name in names:
        state, settings = states.get(name, State(name)), configured.get(name)
        rows.append(
            {
                "directory": name,
                "kind": settings.kind if settings else None,
                "servers": settings.servers if settings else (),
                "people": counts[name][0],
                "groups": counts[name][1],
                "followed_at": state.followed_at,
                "mirrored_at": state.mirrored_at,
                "failing_since": state.failing_since,
                "failure": state.failure,
                "guard": " ".join(sentence for _, sentence in state.guards),
                "state": _said_of(state, is_configured=settings is not None),
            }
        )
    columns = {"directory": "Directory", "kind": "Kind", "people": "People", "groups": "Groups"}
    columns |= {"followed_at": "Read", "mirrored_at": "Mirrored", "state": "State"}
    if as_json:
        print_json([{key: value for key, value in row.items() if key != "state"} for row in rows])
        return
    print_rows(rows, columns, as_json=False, empty="There is no directory. See docs/directories.md.")


def _chosen(context: Context, name: str | None) -> list[Directory]:
    """The directories of the settings, or the one that is named. Raises NotFoundError."""
    found = ldap.directories(context.settings)
    if not found:
        raise NotFoundError(
            "directory", name or "", "None is in the settings: [storage] settings_file names the file with them."
        )
    chosen = [one for one in found if name in {None, one.settings.name}]
    if not chosen:
        known = ", ".join(one.settings.name for one in found)
        raise NotFoundError("directory", name or "", f"These are in the settings: {known}.")
    return chosen


def _abandon(context: Context, name: str, *, accept: bool, dry_run: bool, as_json: bool) -> None:
    """Take a directory that left the settings for gone. Raises NotFoundError, NotAllowedHereError without --accept."""
    with context.db.write() as session:
        if name not in directories.names(session):
            raise NotFoundError("directory", name, "See: radicale-shared directory list")
        if not accept and not dry_run:
            raise NotAllowedHereError(
                f"The directory {name!r} is not in the settings any more; its people can use device passwords still. "
                f"To disable them all: radicale-shared directory sync --directory {name} --accept"
            )
        disabled, gone = directories.abandon(session, name)
        if dry_run:
            session.rollback()
    facts = {**_facts_of(Report(name, disabled=disabled, gone_groups=gone)), "dry_run": dry_run}
    if as_json:
        print_json([facts])
    else:
        _tell_synced(facts)


def _checked_facts(found: Checked) -> dict[str, Any]:
    return {
        "directory": found.directory,
        "steps": [
            {"step": step.what, "ok": step.is_well, "said": step.said, "advice": step.advice} for step in found.steps
        ],
        "login": found.login,
        "slug": found.slug,
        "groups": [
            {"level": one.level, "name": one.name, "dn": one.dn, "slug": one.slug, "remark": one.remark}
            for one in found.groups
        ],
        "books": [
            {"book": one.book.address, "role": role_of(one.verbs), "url": f"/{found.slug}/{one.name}/"}
            for one in found.books
        ],
    }


def _checked_lines(found: Sequence[Checked]) -> Iterator[str]:
    for one in found:
        yield f"Directory {one.directory}"
        for step in one.steps:
            yield f"  {'ok    ' if step.is_well else 'FAILED'}  {step.what}: {step.said}"
            if step.advice:
                yield f"          {step.advice}"
        if one.groups:
            yield "  Groups, and the groups that these are in:"
        for group in one.groups:
            remark = f"  ({group.remark})" if group.remark else ""
            yield f"  {'  ' * group.level}{group.name}  [group:{group.slug or '?'}]  {group.dn}{remark}"
        if one.slug:
            yield "  Books:" if one.books else "  No books: nothing is granted to this person or to their groups."
        for access in one.books:
            yield f"    {access.book.address} ({role_of(access.verbs)})"
    if not any(one.person is not None for one in found):
        yield "Nobody can sign in by this login."


def _synced(context: Context, one: Directory, *, accept: bool, dry_run: bool) -> dict[str, Any]:
    """What reading one directory gave; a failure is noted for all to see, and doesn't keep the next one waiting."""
    report, book, failure, guard = Report(one.settings.name), None, "", ""
    try:
        report = follow(one, context.db, everything=True, accept=accept, dry_run=dry_run)
        if one.settings.mirror.book:
            mirrored = mirror.run(one, context.db, accept=accept, dry_run=dry_run)
            keys = ("book", "new", "changed", "removed", "unchanged", "left_out")
            book = {key: getattr(mirrored, key) for key in keys}
            guard = mirrored.guard
    except DirectoryUnavailableError as error:
        failure = error.reason
        if not dry_run:
            with context.db.write() as session:
                directories.failed(session, one.settings.name, error.reason)
    except (NotAllowedHereError, NotFoundError) as error:
        failure = str(error)
    told = " ".join(sentence for sentence in (report.guard, guard) if sentence)
    return {**_facts_of(report), "mirror": book, "guard": told, "failure": failure, "dry_run": dry_run}


def _facts_of(report: Report) -> dict[str, Any]:
    keys = ("people", "groups", "new_groups", "gone_groups", "changed", "disabled", "enabled", "joined", "left")
    return {
        "directory": report.directory,
        **{key: getattr(report, key) for key in keys},
        "problems": report.problems,
        "mirror": None,
        "guard": report.guard,
        "failure": "",
    }


def _tell_synced(facts: dict[str, Any]) -> None:
    name, would = facts["directory"], "would be " if facts["dry_run"] else ""
    lines = [
        f"Directory {name} was read: {facts['groups']} groups, and {facts['people']} people who signed in here before.",
        f"  people and groups: {facts['new_groups']} {would}new, {facts['changed']} {would}changed, "
        f"{facts['gone_groups']} groups {would}emptied as they are gone",
        f"  people: {facts['disabled']} {would}disabled, {facts['enabled']} {would}enabled again",
        f"  memberships: {facts['joined']} {would}added, {facts['left']} {would}taken away",
    ]
    if facts["failure"] and (facts["people"] or facts["groups"]):
        lines.append(f"  The address book FAILED: {facts['failure']}")
    elif facts["failure"]:
        lines = [f"Directory {name} could not be read, and nothing was changed: {facts['failure']}"]
    elif book := facts["mirror"]:
        lines.append(
            f"  {book['book']}: {book['new']} cards {would}new, {book['changed']} {would}changed, "
            f"{book['removed']} {would}removed, {book['unchanged']} as they were, {book['left_out']} left out"
        )
    lines += [f"  Not taken in: {problem}" for problem in facts["problems"]]
    if facts["guard"]:
        lines.append(
            f"  NOT BELIEVED, and so nothing was changed: {facts['guard']} Look at the directory. "
            f"If it is right: radicale-shared directory sync --directory {name} --accept"
        )
    for line in lines:
        click.echo(safe(line))


def _said_of(state: State, *, is_configured: bool) -> str:
    """How a directory is, in a few words."""
    if not is_configured:
        return "not in the settings"
    if state.failing_since is not None:
        return f"failing since {text(state.failing_since)}: {state.failure}"
    if state.guards:
        return "not believed: " + " ".join(sentence for _, sentence in state.guards)
    return "ok" if state.followed_at else "never read"
