"""What the tests of following share: a directory that is followed into a database."""

from __future__ import annotations

from radicale_shared import access, books, directories, grants, people
from radicale_shared.access import Role
from radicale_shared.ldap.follow import follow, take
from radicale_shared.ldap.present import Memory
from tests.conftest import BY


class Followed:
    """A directory that is followed into a database; short names for what tests do and ask."""

    def __init__(self, db, directory):
        self.db = db
        self.directory = directory
        self.memory = Memory()

    def sign_in(self, *logins):
        """What the first sign-in of people leaves behind."""
        for login in logins:
            (entry,) = self.directory.find(login)
            taken = take(self.db, self.directory, entry)
            groups = self.directory.groups_of(entry)
            with self.db.write() as session:
                directories.set_groups(session, self.name, taken.id, groups)
                directories.seen(session, taken.id)

    @property
    def name(self):
        return self.directory.settings.name

    def round(self, *, everything=False, **more):
        return follow(self.directory, self.db, everything=everything, memory=self.memory, **more)

    def everything(self, **more):
        return self.round(everything=True, **more)

    def grant(self, group_slug, book="shared"):
        """A book that a group may read."""
        with self.db.write() as session:
            owner = people.add_group(session, f"Owner of {book}")
            made = books.add(session, owner, book, by=BY)
            grants.give(session, made, f"group:{group_slug}", Role.VIEWER, by=BY)

    def may_read(self, slug):
        with self.db.read() as session:
            return sorted(one.book.slug for one in access.all_readable(session, slug))

    def groups_of(self, login):
        with self.db.read() as session:
            known = directories.known(session, self.name, people.folded(login))
            return sorted(one.slug for one in people.groups_of(session, known.id))

    def groups(self):
        """{slug: slugs and logins in it}"""
        with self.db.read() as session:
            found = [one for one in people.groups(session) if one.directory == self.name and one.state == "active"]
            return {one.slug: sorted(people.members(session, one.id)) for one in found}

    def person(self, login):
        with self.db.read() as session:
            return people.user(session, login)

    def state(self):
        with self.db.read() as session:
            return directories.state(session, self.name)

    def version(self, login):
        """What a remembered password is kept by."""
        with self.db.read() as session:
            return directories.known(session, self.name, login).auth_version
