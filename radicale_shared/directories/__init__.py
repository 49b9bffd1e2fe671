"""People and groups that come from directories: who is known of them, and what a directory's present state changes.

A directory's person or group is a principal with the directory's name and a key of the directory that no renaming
changes; that pair alone is its identity. Slug, addresses and grants stay whatever it is called there. Nothing here
speaks LDAP: ``ldap`` brings the facts.

Who finds nothing to change writes nothing. ``persons`` has people, ``groups`` groups and who is in them, ``states`` how
far the following of a directory has come, and what it didn't believe.
"""

from .abandoned import abandon
from .groups import (
    GroupFacts,
    KnownGroup,
    change_memberships,
    followed_groups,
    group_gone,
    group_has_news,
    known_groups,
    memberships,
    set_groups,
    take_group,
)
from .persons import (
    RECENTLY,
    KnownPerson,
    PersonFacts,
    by_key,
    has_news,
    known,
    known_people,
    person_disabled,
    person_gone,
    seen,
    take_person,
)
from .states import (
    MIRROR,
    PEOPLE,
    State,
    counts,
    failed,
    followed,
    lost,
    mirrored,
    names,
    set_guard,
    state,
    states,
)

__all__ = [
    "MIRROR",
    "PEOPLE",
    "RECENTLY",
    "GroupFacts",
    "KnownGroup",
    "KnownPerson",
    "PersonFacts",
    "State",
    "abandon",
    "by_key",
    "change_memberships",
    "counts",
    "failed",
    "followed",
    "followed_groups",
    "group_gone",
    "group_has_news",
    "has_news",
    "known",
    "known_groups",
    "known_people",
    "lost",
    "memberships",
    "mirrored",
    "names",
    "person_disabled",
    "person_gone",
    "seen",
    "set_groups",
    "set_guard",
    "state",
    "states",
    "take_group",
    "take_person",
]
