"""Who may know of whom; and that one decision is behind every question about it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import access, books, grants, group_owners, people, principals, settings
from radicale_shared.models import Grant, now, table
from radicale_shared.principals import Findable
from tests.conftest import BY, examples
from tests.core.organisations import EVERYBODY, make, plans


def seen(organisation, login, findable=Findable.SHARED):
    """The slugs that a user may know of."""
    with organisation.db.read() as session:
        return set(principals.directory(session, login, findable).known)


def found(organisation, login, wanted, findable=Findable.SHARED):
    with organisation.db.read() as session:
        return principals.find(session, login, findable, wanted)


def members(organisation, login, group, findable=Findable.SHARED):
    with organisation.db.read() as session:
        told = principals.directory(session, login, findable)
    return [one.slug for one in told.members.get(told.known[group].id, ())]


# -- examples ----------------------------------------------------------------------------------------------------------


def test_everybody_knows_of_themselves_and_of_the_groups_they_are_in_also_through_groups(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Europe")
        people.add_member(session, "europe", "group:sales")

    for findable in (Findable.SHARED, Findable.NOBODY):
        assert seen(organisation, "ada", findable) == {"ada", "sales", "europe"}
        assert seen(organisation, "carla", findable) == {"carla"}


def test_a_reader_knows_of_the_owner_and_of_who_has_access_but_not_of_a_groups_people(organisation):
    organisation.grant("sales/leads", "user:carla", "viewer")

    assert seen(organisation, "carla") == {"carla", "sales"}
    assert members(organisation, "carla", "sales") == []
    assert seen(organisation, "ada") == {"ada", "sales", "carla"}


def test_a_manager_knows_of_the_people_in_the_groups_that_have_access_to_the_book(organisation):
    organisation.grant("sales/leads", "user:carla", "manager")

    assert seen(organisation, "carla") == {"carla", "sales", "ada", "ben"}
    assert members(organisation, "carla", "sales") == ["ada", "ben"]


def test_a_manager_does_not_know_of_the_people_of_the_group_that_only_owns_the_book(organisation):
    with organisation.db.write() as session:
        board = people.add_group(session, "Board")
        people.add_member(session, "board", "ben")
        book = books.add(session, board, "plans", by=BY)
        grants.give(session, book, "user:carla", access.Role.MANAGER, by=BY)

    assert seen(organisation, "carla") == {"carla", "board"}


def test_with_nobody_even_a_manager_knows_of_the_owner_only(organisation):
    organisation.grant("sales/leads", "user:carla", "manager")
    organisation.grant("ada/contacts", "user:ben", "viewer")

    assert seen(organisation, "carla", Findable.NOBODY) == {"carla", "sales"}
    assert seen(organisation, "ben", Findable.NOBODY) == {"ben", "sales", "ada"}


def test_with_everyone_all_active_users_and_groups_are_known(organisation):
    with organisation.db.write() as session:
        people.set_enabled(session, "ben", enabled=False)

    assert seen(organisation, "carla", Findable.EVERYONE) == {"ada", "carla", "sales"}
    assert members(organisation, "carla", "sales", Findable.EVERYONE) == ["ada"]


def test_a_disabled_owner_is_still_the_owner(organisation):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    with organisation.db.write() as session:
        people.set_enabled(session, "ada", enabled=False)

    assert found(organisation, "carla", "ada").name == "Ada"


@pytest.mark.parametrize(
    "values",
    [
        {"until_at": now() - timedelta(days=1)},
        {"audience": "domain", "domain": "example.org", "principal_id": None},
    ],
)
def test_a_grant_that_has_ended_or_is_a_domains_tells_of_nobody(organisation, values):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    assert "carla" in seen(organisation, "ada")
    with organisation.db.write() as session:
        session.execute(update(table(Grant)).values(**values))

    assert "carla" not in seen(organisation, "ada")
    assert seen(organisation, "carla") == {"carla"}


def test_who_owns_a_group_knows_of_it_and_of_who_is_in_it(organisation):
    with organisation.db.write() as session:
        group_owners.add(session, "sales", "carla")

    assert seen(organisation, "carla") == {"carla", "sales", "ada", "ben"}
    assert seen(organisation, "carla", Findable.NOBODY) == {"carla", "sales"}


def test_a_manager_knows_of_the_owners_of_the_group_that_owns_the_book(organisation):
    with organisation.db.write() as session:
        board = people.add_group(session, "Board")
        people.add_member(session, "board", "ben")
        grants.give(session, books.add(session, board, "plans", by=BY), "user:ada", access.Role.MANAGER, by=BY)
        group_owners.add(session, "board", "carla")

    assert seen(organisation, "ada") == {"ada", "sales", "board", "carla"}


@pytest.mark.parametrize("findable", Findable)
def test_who_was_removed_is_not_there(organisation, findable):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    with organisation.db.write() as session:
        books.trash(session, books.find(session, "carla/contacts"), by=BY)
        people.remove_user(session, "carla")

    assert found(organisation, "ada", "carla", findable) is None
    assert "carla" not in seen(organisation, "ada", findable)


@pytest.mark.parametrize("findable", Findable)
@pytest.mark.parametrize("who", ["nobody", "sales", ""])
def test_who_is_no_active_user_knows_of_nobody(organisation, findable, who):
    assert seen(organisation, who, findable) == set()
    assert found(organisation, who, "ada", findable) is None


def test_groups_in_a_circle_come_to_an_end(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Europe")
        people.add_member(session, "europe", "group:sales")
        people.add_member(session, "sales", "group:europe")
    organisation.grant("ada/contacts", "group:europe", "viewer")

    assert seen(organisation, "ada") == {"ada", "ben", "sales", "europe"}


def test_the_options_words_are_those_of_the_decision():
    kind = settings.AUTH_OPTIONS["find_people"]["type"]

    assert [kind(word) for word in Findable] == list(Findable)
    with pytest.raises(ValueError, match="shared, everyone or nobody"):
        kind("somebody")


def test_a_directory_costs_the_same_few_statements_in_any_organisation(organisation, statements):
    costs = []
    for number in (1, 20):
        with organisation.db.write() as session:
            for one in range(number):
                person = people.add_user(session, f"user{number}-{one}")
                people.add_group(session, f"group{number}-{one}")
                people.add_member(session, f"group{number}-{one}", "ada")
                book = books.add(session, person, "more", by=BY)
                grants.give(session, book, "user:ada", access.Role.MANAGER, by=BY)
        for question in (seen, lambda organisation, login: found(organisation, login, "ben")):
            statements.clear()
            question(organisation, "ada")
            costs.append(len(statements))

    assert costs == [5, 3, 5, 3]


# -- any organisation --------------------------------------------------------------------------------------------------


@examples(60)
@given(plan=plans(), findable=st.sampled_from(Findable))
def test_a_user_knows_of_exactly_those_that_the_rules_name(db, plan, findable):
    made = make(db, plan)
    for user in set(range(plan.users)) - plan.disabled:
        with db.read() as session:
            told = principals.directory(session, made.slugs[user], findable)
            singly = {
                slug for slug in made.slugs if principals.find(session, made.slugs[user], findable, slug) is not None
            }
        visible = plan.visible(user, findable)

        assert made.named(told.known) == made.named(singly) == visible
        assert {one.slug for one in told.known.values() if one.id in told.mine} == {
            made.slugs[one] for one in plan.acts_as(user)
        }
        between = {
            (made.slugs[group], made.slugs[member])
            for group, member in plan.memberships
            if group in visible and member in visible
        }
        by_id = {one.id: one for one in told.known.values()}
        ours = {one.id for one in told.known.values() if one.slug in made.slugs}
        assert {(by_id[group].slug, one.slug) for group in ours for one in told.members.get(group, ())} == between
        assert {(one.slug, by_id[member].slug) for member in ours for one in told.groups.get(member, ())} == between


@examples(30)
@given(plan=plans(), findable=st.sampled_from(Findable))
def test_a_user_is_told_of_the_grants_in_force_on_readable_books_to_whom_they_know_of(db, plan, findable):
    made = make(db, plan)
    for user in set(range(plan.users)) - plan.disabled:
        with db.read() as session:
            told = principals.directory(session, made.slugs[user], findable).grants
        ids = made.books
        expected = {
            ids[number]: {
                (None if grant.who == EVERYBODY else made.slugs[grant.who], grant.role)
                for grant in book.in_force
                if grant.who in plan.visible(user, findable) | {EVERYBODY}
            }
            for number, book in enumerate(plan.books)
            if access.Verb.READ in plan.verbs(user, number)
        }
        assert {
            book: {(known.slug if known else None, role) for known, role in grants}
            for book, grants in told.items()
            if book in ids
        } == {book: grants for book, grants in expected.items() if grants}
