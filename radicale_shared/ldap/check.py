"""What happens when somebody signs in by a directory, step by step: for the administrator who sets it up.

Every server is tried by itself; then whoever has the login is searched, their groups are read, and what they may read
is worked out as at a sign-in, in a transaction that is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from .. import access, directories, people
from ..access import Access
from ..database import Database
from ..errors import AlreadyExistsError, DirectoryUnavailableError, NotAllowedHereError, NotFoundError
from .connection import Connections
from .entries import GroupEntry, PersonEntry, folded_dn
from .find import Directory
from .follow import facts_of
from .line import Line, LineError
from .sign_in import Place
from .verdicts import Verdict

_TLS_PORT = "Is it a port for TLS? ldaps:// has port 636, ldap:// with start_tls port 389."
_HOST = "Look at the host name in servers, and at the DNS."
_PORT = "Look at host and port in servers, and at the firewall."
# By words of the errors of ``line``, ``connection`` and ``search``; each has a space, and so is in no URL.
_ADVICE = (
    ("there is no", "Look at people_base and group_base, and at what the reader may see."),
    ("may not see", "Look at key_attribute and group_key_attribute, and at what the reader may see."),
    (
        "the certificate of",
        "The CA's certificate belongs into ca_file; the certificate's name must be the URL's, or server_name.",
    ),
    ("refuses StartTLS", "Use ldaps://, or give the server a certificate."),
    ("the TLS handshake", _TLS_PORT),
    ("TLS with", _TLS_PORT),
    ("the address of", _HOST),
    ("has no address", _HOST),
    ("can't be reached", _PORT),
    ("doesn't answer", _PORT),
    ("doesn't let", "Look at bind_dn and bind_password."),
)
_VERDICTS = {
    Verdict.WRONG: "Try it again; the directory counts wrong passwords.",
    Verdict.LOCKED: "Unlock the account in the directory.",
    Verdict.DISABLED: "Enable the account in the directory.",
    Verdict.NOT_NOW: "Look at the account's logon hours and workstations in the directory.",
    Verdict.PASSWORD_EXPIRED: "A new password has to be set in the directory.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. ``advice`` says what to do; it is there where ``is_well`` is False, and may be else."""

    what: str
    is_well: bool
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in the tree of the groups that a person is in.

    level: 1 for those that the person is in directly; below each are the groups that it is in
    slug: of its principal; empty where it isn't known here yet
    remark: that a circle ends here, the tree is too deep, or nothing hangs on the group
    """

    level: int
    name: str
    dn: str
    slug: str
    remark: str


@dataclass(slots=True)
class Checked:
    """What was found out of one directory.

    groups: as they are in the directory now; books: what the person may read when they sign in now
    login, slug: what they are called here then
    """

    directory: str
    steps: list[Step] = field(default_factory=list)
    person: PersonEntry | None = None
    groups: list[GroupLine] = field(default_factory=list)
    books: list[Access] = field(default_factory=list)
    login: str = ""
    slug: str = ""

    @property
    def is_well(self) -> bool:
        """Whether every step was."""
        return all(step.is_well for step in self.steps)

    def add(self, what: str, said: str, *, is_well: bool = True, advice: str = "") -> None:
        """Add a step."""
        self.steps.append(Step(what, is_well, said, advice))


def check(directory: Directory, db: Database, place: Place, password: str | None = None) -> Checked:
    """Try everything that a sign-in needs of one directory; changes nothing.

    place: the login, as ``sign_in.place`` reads it
    password: tried once if it is given; a wrong one counts at the directory
    """
    found = Checked(directory.settings.name)
    _check_servers(found, directory)
    if not any(step.is_well for step in found.steps):
        return found
    try:
        _check_local(found, db, place)
        _check_person(found, directory, place)
        if found.person is not None and password is not None:
            _check_password(found, directory, password)
        if found.person is not None:
            _check_groups(found, directory, db)
    except DirectoryUnavailableError as error:
        found.add("answers", error.reason, is_well=False, advice=_advice(error.reason))
    return found


class _Trial(Connections):
    """Connections to each server by itself, kept by nobody."""

    def tried(self) -> Iterator[tuple[str, str, str]]:
        """(a server's URL, what is secure about its connection, what is wrong with it), one after another."""
        for server in tuple(self._servers):
            secured = ""
            try:
                with closing(self._open(server)) as line:
                    secured = _secured(line)
                with closing(self._reader(server)):
                    yield server.url, secured, ""
            except LineError as error:
                yield server.url, secured, error.reason
            except DirectoryUnavailableError as error:
                self._refused = (0.0, "")  # each server is asked for itself
                yield server.url, secured, error.reason


def _check_servers(found: Checked, directory: Directory) -> None:
    reader = directory.settings.bind_dn or "nobody: the directory is read anonymously"
    trial = _Trial(directory.settings)
    for url, secured, wrong in trial.tried():
        if wrong:
            found.add(f"server {url}", wrong, is_well=False, advice=_advice(wrong))
        else:
            found.add(f"server {url}", f"{secured}; bound as {reader}")


def _secured(line: Line) -> str:
    """What protects a connection: protocol and certificate, which was verified."""
    secured = line.tls
    if secured is None:
        return "connected in plain text"
    certificate: dict[str, Any] = dict(secured.getpeercert() or {})
    names = [str(value) for _, value in certificate.get("subjectAltName", ())]
    subject, issuer = (_common_name(certificate.get(part, ())) for part in ("subject", "issuer"))
    until = certificate.get("notAfter", "")
    named = ", ".join(dict.fromkeys([*names, *([subject] if subject else [])]))
    return f"{secured.version()}; certificate of {named} by {issuer}, until {until}"


def _common_name(parts: Any) -> str:
    pairs = [pair for part in parts for pair in part]
    return next((str(value) for name, value in pairs if name == "commonName"), str(pairs[-1][1]) if pairs else "")


def _advice(reason: str) -> str:
    return next((advice for word, advice in _ADVICE if word in reason), "Look at the directory's own log.")


def _check_local(found: Checked, db: Database, place: Place) -> None:
    """Whoever was made here goes before the directories."""
    login = f"{place.name}@{place.domain}" if place.domain else place.name
    with db.read() as session, suppress(NotFoundError):
        if not people.user(session, login).directory:
            said = f"a user who was made here has {login!r}: the directory is not asked for it"
            advice = (
                "Sign in with the directory's domain, or give the other one another login: radicale-shared user rename"
            )
            found.add("login", said, is_well=False, advice=advice)


def _check_person(found: Checked, directory: Directory, place: Place) -> None:
    settings = directory.settings
    entries = directory.find(place.name, place.domain)
    where = f"{settings.people_filter} with {settings.login_attribute} below {'; '.join(settings.people_base)}"
    if not entries:
        advice = "Look at people_base, people_filter and login_attribute, and at what the reader may see."
        found.add("person", f"nobody has the login {place.name!r} ({where})", is_well=False, advice=advice)
        return
    if len(entries) > 1:
        dns = "; ".join(entry.dn for entry in entries)
        advice = "Nobody of them can sign in. Give each a login of their own, or choose a narrower people_filter."
        found.add("person", f"several have this login: {dns}", is_well=False, advice=advice)
        return
    (found.person,) = entries
    entry = found.person
    found.add(
        "person", f"{entry.dn}, login {entry.login}, name {entry.name}, mail {entry.email or 'none'}, key {entry.key}"
    )
    if entry.active and settings.state_attributes and not entry.tells_state:
        advice = "Let the reader see it: without it, who is disabled there is noticed only when they sign in."
        found.add("active", "the reader may not see userAccountControl", is_well=False, advice=advice)
    elif entry.active:
        found.add("active", "yes")
    else:
        advice = "They can't sign in before that is changed in the directory."
        found.add("active", f"no: {entry.inactive_because}", is_well=False, advice=advice)


def _check_password(found: Checked, directory: Directory, password: str) -> None:
    assert found.person is not None  # noqa: S101  # the caller's
    verdict = directory.check(found.person, password)
    is_right = verdict is Verdict.RIGHT
    found.add("password", verdict.value, is_well=is_right, advice=_VERDICTS.get(verdict, ""))


def _check_groups(found: Checked, directory: Directory, db: Database) -> None:
    entry, name = found.person, directory.settings.name
    assert entry is not None  # noqa: S101  # the caller's
    keys = directory.groups_of(entry)
    everybody = {one.key: one for one in directory.all_groups()}
    with db.read() as session:
        slugs = {one.key: one.slug for one in directories.known_groups(session, name) if one.state == "active"}
        ids = {one.key: one.id for one in directories.known_groups(session, name)}
        followed = directories.followed_groups(session, name)
    hanging = {key for key, one in ids.items() if one in followed}
    found.groups = list(_tree(entry, keys, everybody, slugs, hanging, directory.settings.nested_depth))
    found.add("groups", f"{len(keys)}, in a directory of {len(everybody)} groups")
    if unknown := [everybody[key].name for key in keys & everybody.keys() if key not in slugs]:
        advice = f"Read them now: radicale-shared directory sync --directory {name}"
        found.add("known groups", f"not known here yet: {', '.join(sorted(unknown))}", is_well=False, advice=advice)
    _check_books(found, directory, db, keys)


def _check_books(found: Checked, directory: Directory, db: Database, keys: set[str]) -> None:
    """What a sign-in would make of the person now, in a transaction that is taken back."""
    assert found.person is not None  # noqa: S101  # the caller's
    name = directory.settings.name
    try:
        with db.write() as session:
            person = directories.take_person(session, name, facts_of(directory, found.person))
            directories.set_groups(session, name, person.id, keys)
            found.books = access.all_readable(session, person.slug)
            found.login, found.slug = person.login, person.slug
            state, by = person.state, person.disabled_by
            session.rollback()
    except (AlreadyExistsError, NotAllowedHereError) as error:
        found.add("sign-in", str(error), is_well=False, advice="Both entries are refused until it is settled there.")
        return
    if state != "active" and by == "administrator":
        advice = "Undo: radicale-shared user enable"
        found.add("sign-in", "disabled here by an administrator", is_well=False, advice=advice)
    elif state == "active":
        found.add("sign-in", f"as {found.login}, with the address /{found.slug}/")
    elif found.person.active:
        advice = "They are let in again once they sign in with their password of the directory."
        found.add("sign-in", "the directory refused the account before", is_well=False, advice=advice)


def _tree(
    entry: PersonEntry,
    keys: set[str],
    everybody: dict[str, GroupEntry],
    slugs: dict[str, str],
    hanging: set[str],
    depth: int,
) -> Iterator[GroupLine]:
    """The groups of a person, and below each the groups that it is in; a circle ends where it closes."""
    above: dict[str, list[str]] = {}
    by_dn = {folded_dn(one.dn): one.key for one in everybody.values()}
    for one in everybody.values():
        for dn in one.members & by_dn.keys():
            above.setdefault(by_dn[dn], []).append(one.key)
    told: set[str] = set()

    def lines(some: list[str], level: int, path: tuple[str, ...]) -> Iterator[GroupLine]:
        for key in sorted(some, key=lambda one: (everybody[one].name, one)):
            group = everybody[key]
            remark = "" if key in hanging else "no right hangs on it"
            outer = above.get(key, [])
            if key in path:
                remark, outer = "a circle: it is above already", []
            elif level > depth:
                remark, outer = f"too deep: nested_depth is {depth}", []
            elif key in told and outer:
                remark, outer = "as above", []
            told.add(key)
            yield GroupLine(level, group.name, group.dn, slugs.get(key, ""), remark)
            yield from lines(outer, level + 1, (*path, key))

    there = keys & everybody.keys()
    own = folded_dn(entry.dn)
    # On Active Directory the groups of a person are all of them: those that another one leads to are shown below it.
    direct = {
        key for key in there if own in everybody[key].members or not any(by in there for by in _within(key, above))
    }
    yield from lines(sorted(direct or there), 1, ())


def _within(key: str, above: dict[str, list[str]]) -> list[str]:
    """The groups that are in a group."""
    return [inner for inner, outer in above.items() if key in outer]
