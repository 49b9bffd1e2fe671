"""Rights: what roles give, how grants unite, and that every question about them has the same answer."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import access, books, people
from radicale_shared.access import VERBS, Role, Verb
from radicale_shared.errors import AlreadyExistsError, NeedPrivilegeError, NotAllowedHereError, NotFoundError
from radicale_shared.models import Grant, now, table
from tests.conftest import BY, examples

TABLE = {
    Role.VIEWER: "read",
    Role.CONTRIBUTOR: "read add",
    Role.EDITOR: "read add edit",
    Role.CURATOR: "read add edit delete export",
    Role.MANAGER: "read add edit delete export manage",
    Role.OWNER: "read add edit delete export manage own",
}


def verbs_of(organisation, login, name):
    found = organisation.access(login, name)
    return None if found is None else found.verbs


def change_grant(organisation, **values):
    with organisation.db.write() as session:
        session.execute(update(table(Grant)).values(**values))


def homes(organisation, login):
    with organisation.db.read() as session:
        return [one.name for one in access.all_readable(session, login)]


# -- roles and grants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_a_role_gives_exactly_its_verbs(organisation, role):
    organisation.grant("sales/leads", "user:carla", role)

    assert verbs_of(organisation, "carla", "sales~leads") == {Verb(word) for word in TABLE[role].split()}


@pytest.mark.parametrize(
    ("login", "name", "verbs"),
    [
        ("ada", "contacts", TABLE[Role.OWNER]),
        ("ada", "sales~leads", TABLE[Role.EDITOR]),
        ("ben", "sales~leads", TABLE[Role.EDITOR]),
        ("carla", "sales~leads", None),
        ("carla", "ada~contacts", None),
        ("ada", "ada~contacts", None),
        ("ada", "leads", None),
        ("ada", "ben~contacts", None),
        ("ada", "", None),
        ("ada", "~", None),
        ("sales", "leads", None),
        ("nobody", "sales~leads", None),
    ],
)
def test_the_organisations_rights_are_these(organisation, login, name, verbs):
    assert verbs_of(organisation, login, name) == (None if verbs is None else {Verb(one) for one in verbs.split()})


def test_several_grants_unite(organisation):
    organisation.grant("sales/leads", "everyone", "viewer")
    organisation.grant("sales/leads", "user:carla", "contributor")
    organisation.grant("sales/leads", "user:ben", "curator")

    assert verbs_of(organisation, "carla", "sales~leads") == VERBS[Role.CONTRIBUTOR]
    assert verbs_of(organisation, "ben", "sales~leads") == VERBS[Role.CURATOR]
    assert verbs_of(organisation, "ada", "sales~leads") == VERBS[Role.EDITOR]


def test_everyone_means_every_active_user(organisation):
    organisation.grant("sales/leads", "everyone", "viewer")
    with organisation.db.write() as session:
        people.set_enabled(session, "carla", enabled=False)

    assert verbs_of(organisation, "ben", "sales~leads")
    assert verbs_of(organisation, "carla", "sales~leads") is None
    assert homes(organisation, "carla") == []


@pytest.mark.parametrize(("end", "gives"), [(timedelta(hours=-1), False), (timedelta(hours=1), True), (None, True)])
def test_a_grant_whose_end_has_passed_gives_nothing(organisation, end, gives):
    change_grant(organisation, until_at=None if end is None else now() + end)

    assert (verbs_of(organisation, "ada", "sales~leads") is not None) == gives
    assert ("sales~leads" in homes(organisation, "ada")) == gives


def test_a_grant_that_hides_fields_gives_nothing_yet(organisation):
    change_grant(organisation, hidden_fields='["NOTE"]')

    assert verbs_of(organisation, "ada", "sales~leads") is None
    assert homes(organisation, "ada") == ["contacts"]


def test_a_grant_can_be_changed_and_taken(organisation):
    book = organisation.book("sales/leads")
    with organisation.db.write() as session:
        access.change(session, book, "group:sales", Role.VIEWER, by=BY)
    assert verbs_of(organisation, "ada", "sales~leads") == VERBS[Role.VIEWER]

    with organisation.db.write() as session:
        access.take(session, book, "group:Sales", by=BY)
    assert verbs_of(organisation, "ada", "sales~leads") is None


@pytest.mark.parametrize(
    ("principal", "error"),
    [
        ("group:sales", AlreadyExistsError),
        ("group:none", NotFoundError),
        ("user:nobody", NotFoundError),
        ("domain:example.org", NotAllowedHereError),
        ("carla", NotFoundError),
        ("", NotFoundError),
    ],
)
def test_a_grant_needs_a_principal_that_is_there_and_has_none_yet(organisation, principal, error):
    with pytest.raises(error):
        organisation.grant("sales/leads", principal, "viewer")


def test_a_missing_verb_is_an_error_that_names_verb_and_card():
    limited = access.Access(None, None, VERBS[Role.VIEWER])
    limited.require(Verb.READ)

    with pytest.raises(NeedPrivilegeError) as refused:
        limited.require(Verb.EDIT, "a.vcf")

    assert (refused.value.verb, refused.value.href) == ("edit", "a.vcf")


def test_a_look_at_one_book_is_one_statement_however_many_grants_there_are(organisation, statements):
    organisation.grant("sales/leads", "everyone", "viewer")
    organisation.grant("sales/leads", "user:ada", "owner")
    statements.clear()

    organisation.access("ada", "sales~leads")

    assert len(statements) == 1


# -- owners, addresses, the home ---------------------------------------------------------------------------------------


def give(organisation, address, login):
    with organisation.db.write() as session:
        books.give(session, books.find(session, address), people.user(session, login), by=BY)


def test_a_book_handed_over_keeps_its_address_and_its_mount(organisation):
    give(organisation, "ada/contacts", "ben")

    assert organisation.access("ada", "contacts") is None
    found = organisation.access("ben", "ada~contacts")
    assert (found.name, found.is_home, found.verbs) == ("ada~contacts", False, VERBS[Role.OWNER])
    assert organisation.book("ada/contacts").owner == "ben"


def test_a_former_owner_who_may_still_read_keeps_the_old_address(organisation):
    organisation.grant("ada/contacts", "user:ada", "viewer")
    give(organisation, "ada/contacts", "ben")

    found = organisation.access("ada", "contacts")
    assert (found.name, found.is_home, found.verbs) == ("contacts", True, VERBS[Role.VIEWER])


def test_a_new_display_name_changes_neither_address_nor_mount(organisation):
    with organisation.db.write() as session:
        books.set_properties(session, books.find(session, "sales/leads"), by=BY, name="Prospects")

    assert organisation.access("ada", "sales~leads").book.name == "Prospects"


def test_the_home_lists_the_default_book_then_own_ones_then_the_mounted_by_name(organisation):
    with organisation.db.write() as session:
        ada, ben = people.user(session, "ada"), people.user(session, "ben")
        books.add(session, ada, "zoo", by=BY)
        books.set_default(session, ada.id, books.add(session, ada, "art", by=BY))
        access.give(session, books.add(session, ben, "aunts", by=BY), "user:ada", Role.VIEWER, by=BY)

    assert homes(organisation, "ada") == ["art", "contacts", "zoo", "ben~aunts", "sales~leads"]


def test_a_book_in_the_trash_is_nobodys(organisation):
    with organisation.db.write() as session:
        books.trash(session, books.find(session, "sales/leads"), by=BY)

    assert verbs_of(organisation, "ada", "sales~leads") is None
    assert homes(organisation, "ada") == ["contacts"]


# -- explain -----------------------------------------------------------------------------------------------------------


def explained(organisation, login, address):
    with organisation.db.read() as session:
        verbs, reasons = access.explain(session, people.user(session, login), books.find(session, address))
    return verbs, [str(reason) for reason in reasons]


def test_explain_names_every_grant_with_the_way_through_the_groups_strongest_first(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Inner")
        people.add_member(session, "sales", "group:inner")
        people.add_member(session, "inner", "carla")
    organisation.grant("sales/leads", "everyone", "viewer")

    assert explained(organisation, "carla", "sales/leads") == (
        VERBS[Role.EDITOR],
        ["editor as user carla in group inner in group sales", "viewer as everyone signed in"],
    )
    assert explained(organisation, "carla", "carla/contacts") == (VERBS[Role.OWNER], ["owner as owner carla"])
    assert explained(organisation, "carla", "ada/contacts") == (frozenset(), [])


# -- by property -------------------------------------------------------------------------------------------------------

PEOPLE = ("p0", "p1", "p2")
GROUPS = ("g0", "g1", "g2", "g3")
_numbers = itertools.count(1)

memberships = st.sets(
    st.tuples(st.sampled_from(GROUPS), st.sampled_from(PEOPLE + GROUPS)).filter(lambda pair: pair[0] != pair[1]),
    max_size=10,
)
grants = st.dictionaries(
    st.sampled_from(("everyone", *PEOPLE, *GROUPS)),
    st.tuples(st.sampled_from(Role), st.sampled_from(["", "", "", "ended", "hides"])),
    max_size=5,
)
worlds = st.fixed_dictionaries(
    {
        "memberships": memberships,
        "grants": st.lists(grants, min_size=2, max_size=2),
        "owners": st.lists(st.sampled_from(PEOPLE + GROUPS), min_size=2, max_size=2),
        "disabled": st.sets(st.sampled_from(PEOPLE), max_size=1),
        "trashed": st.booleans(),
    }
)


def expected_verbs(world, person, number):
    """The rights by the book: walk every membership until nothing new is found, then look at every grant."""
    if person in world["disabled"] or (number == 1 and world["trashed"]):
        return frozenset()
    acts_as = {person}
    while True:
        more = {group for group, member in world["memberships"] if member in acts_as} - acts_as
        if not more:
            break
        acts_as |= more
    verbs = set()
    if world["owners"][number] == person:
        verbs |= VERBS[Role.OWNER]
    for principal, (role, state) in world["grants"][number].items():
        if not state and (principal == "everyone" or principal in acts_as):
            verbs |= VERBS[role]
    return frozenset(verbs)


def built(db, world):
    """The world in the database; returns {name in the world: its slug} and the two books."""
    mark = f"-{next(_numbers)}"
    slugs = {}
    with db.write() as session:
        principals = {}
        for name in PEOPLE:
            principals[name] = people.add_user(session, name + mark)
        for name in GROUPS:
            principals[name] = people.add_group(session, name + mark)
        slugs = {name: one.slug for name, one in principals.items()}
        for group, member in world["memberships"]:
            people.add_member(session, slugs[group], ("" if member in PEOPLE else "group:") + slugs[member])
        found = []
        for number, wanted in enumerate(world["grants"]):
            book = books.add(session, principals["p0"], f"book{number}", by=BY)
            books.give(session, book, principals[world["owners"][number]], by=BY)
            for name, (role, state) in wanted.items():
                kind = "everyone" if name == "everyone" else ("user:" if name in PEOPLE else "group:") + slugs[name]
                access.give(session, book, kind, role, by=BY)
                more = {"ended": {"until_at": now() - timedelta(1)}, "hides": {"hidden_fields": '["TEL"]'}}.get(state)
                if more:
                    grant_id = access._grant(session, book, kind)
                    session.execute(update(table(Grant)).where(table(Grant).c.id == grant_id).values(**more))
            found.append(books.find(session, book.address))
        if world["trashed"]:
            books.trash(session, found[1], by=BY)
        for name in world["disabled"]:
            people.set_enabled(session, slugs[name], enabled=False)
    return slugs, found


@examples(12)
@given(world=worlds)
def test_find_all_readable_and_explain_agree_with_a_slow_walk_over_all_grants(db, world):
    slugs, found = built(db, world)

    for person, (number, book) in itertools.product(PEOPLE, enumerate(found)):
        verbs = expected_verbs(world, person, number)
        name = book.slug if person == "p0" else book.mount
        with db.read() as session:
            one = access.find(session, slugs[person], name)
            listed = [each for each in access.all_readable(session, slugs[person]) if each.book.id == book.id]
            explained_verbs, reasons = access.explain(session, people.user(session, slugs[person]), book)

        assert (one.verbs if one else frozenset()) == verbs
        assert listed == ([one] if one else [])
        assert explained_verbs == verbs
        assert frozenset().union(*(VERBS[reason.role] for reason in reasons)) == verbs
