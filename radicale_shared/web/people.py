"""Who asks, and the groups that they run."""

from __future__ import annotations

from .. import group_owners, people
from .asking import Asking, Reply


def me(asking: Asking) -> Reply:
    """Who is signed in, by which device, and where all else is."""
    with asking.db.read() as session:
        person = asking.person(session)
        groups = people.groups_of(session, person.id)
    return Reply(
        200,
        {
            "login": person.login,
            "name": person.name,
            "email": person.email,
            "groups": [{"principal": f"{people.GROUP_PREFIX}{one.slug}", "name": one.name} for one in groups],
            "device": asking.device.label if asking.device else None,
            "links": {name: asking.root + name for name in ("books", "groups", "devices")},
        },
    )


def list_groups(asking: Asking) -> Reply:
    """The groups that who asks runs, for which they make books, with the books there are."""
    asking.require_own_password()
    with asking.db.read() as session:
        groups = group_owners.run_by(session, asking.slug)
        found = asking.books(session)
    listed = [
        {
            "principal": f"{people.GROUP_PREFIX}{group.slug}",
            "name": group.name,
            "books": [one.name for one in found if one.book.owner_id == group.id],
        }
        for group in groups
    ]
    return Reply(200, {"groups": listed})
