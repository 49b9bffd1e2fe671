"""Signing in at directories, as the auth plugin does it without its own memory."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from radicale_shared import accounts, people, sign_ins
from radicale_shared.database import Database
from radicale_shared.ldap import Directory
from radicale_shared.ldap.sign_in import Refusal, SignedIn, place, sign_in
from radicale_shared.models import Principal, SignIn


class Door:
    """Signs people in at some directories; short names for what tests do and ask."""

    def __init__(self, db: Database, *found: Directory) -> None:
        self.db = db
        self.directories = found

    def sign_in(self, login: str, password: str) -> SignedIn | Refusal:
        where = place(self.directories, login)
        name = people.folded(where.name)
        with self.db.read() as session:
            account = accounts.find(session, login, name=name, directories=where.names)
        return sign_in(self.db, where, account, password)

    def slug(self, login: str, password: str) -> str | Refusal:
        """The slug of who signs in; the refusal of who doesn't."""
        found = self.sign_in(login, password)
        return found.slug if isinstance(found, SignedIn) else found

    @property
    def operations(self) -> int:
        return sum(one.operations for one in self.directories)

    def costs(self, login: str, password: str) -> int:
        """How many LDAP requests a sign-in sends."""
        before = self.operations
        self.slug(login, password)
        return self.operations - before

    def later(self, time: timedelta) -> None:
        """Let what is remembered be older by ``time``."""
        with self.db.write() as session:
            for row in session.execute(select(SignIn.id, SignIn.at)).all():
                session.execute(update(SignIn).where(SignIn.id == row.id).values(at=row.at - time))

    def person(self, slug: str) -> Principal:
        with self.db.read() as session:
            return session.execute(select(Principal).where(Principal.slug == slug)).scalar_one()

    def groups_of(self, slug: str) -> list[str]:
        with self.db.read() as session:
            return sorted(one.slug for one in people.groups_of(session, self.person(slug).id))

    def remembered(self, login: str = "ada") -> list[str]:
        with self.db.read() as session:
            return [one.verdict for one in sign_ins.remembered(session, [self.directories[0].settings.name], login)]
