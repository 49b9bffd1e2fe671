"""Grants: what they are made of, and who may give, change and take them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from radicale_shared import access, books, grants, group_owners, history, people
from radicale_shared.access import VERBS, Role, Verb
from radicale_shared.errors import NeedPrivilegeError, NotAllowedHereError, NotFoundError, SharedBooksError
from radicale_shared.models import Grant, now
from tests.conftest import BY, examples
from tests.core.organisations import FIELDS, Made, hidden_lines, make_in, plans

LATER = datetime(2100, 1, 1, tzinfo=UTC)
LEADS = "sales/leads"


def give(organisation, principal, role, address=LEADS, **more):
    with organisation.db.write() as session:
        return grants.give(session, books.find(session, address), principal, Role(role), by=BY, **more)


def change(organisation, principal, role=None, **more):
    with organisation.db.write() as session:
        return grants.change(session, books.find(session, LEADS), principal, role and Role(role), by=BY, **more)


def take(organisation, principal, **more):
    with organisation.db.write() as session:
        grants.take(session, books.find(session, LEADS), principal, by=BY, **more)


def terms_of(organisation, principal):
    with organisation.db.read() as session:
        lines = grants.of_book(session, books.find(session, LEADS))
    return next((one.terms for one in lines if one.principal == principal), None)


def deeds(organisation):
    with organisation.db.snapshot() as session:
        return [(one.kind, one.reason) for one in history.entries(session, book_id=organisation.book(LEADS).id)]


def test_a_book_has_only_so_many_grants_and_the_others_are_still_changed(organisation):
    columns = {"audience": "domain", "role": "viewer", "created_at": now(), "book_id": organisation.book(LEADS).id}
    with organisation.db.write() as session:
        missing = grants.MOST_GRANTS - len(grants.of_book(session, organisation.book(LEADS))) - 1
        session.execute(insert(Grant), [{**columns, "domain": f"d{number}.example"} for number in range(missing)])

    give(organisation, "user:carla", "viewer")
    with pytest.raises(NotAllowedHereError, match="2,000 grants, the most there may be"):
        give(organisation, "everyone", "viewer")
    change(organisation, "user:carla", "editor")
    take(organisation, "user:carla")
    give(organisation, "everyone", "viewer")


# -- ends, hidden fields, domains --------------------------------------------------------------------------------------


def test_a_grant_has_a_role_an_end_and_hidden_fields_and_the_history_tells_all_of_it(organisation):
    line = give(organisation, "user:carla", "viewer", until=LATER, hide=["TEL:Private", "note"])

    assert line.terms == grants.Terms(Role.VIEWER, LATER, frozenset({"note", "tel:home"}))
    assert terms_of(organisation, "user:carla") == line.terms
    assert deeds(organisation)[0] == ("grant", "viewer until 2100-01-01 00:00 UTC without note, tel:home to user:carla")
    assert organisation.access("carla", "sales~leads").view.hidden == {"note", "tel:home"}


def test_beside_a_whole_field_one_of_its_kinds_says_nothing(organisation):
    assert give(organisation, "user:carla", "viewer", hide=["tel:home", "tel"]).terms.hidden == {"tel"}


@pytest.mark.parametrize("end", [timedelta(0), timedelta(days=-1)])
def test_an_end_that_is_over_is_refused(organisation, end):
    with pytest.raises(NotAllowedHereError, match="over"):
        give(organisation, "user:carla", "viewer", until=now() + end)
    with pytest.raises(NotAllowedHereError, match="over"):
        change(organisation, "group:sales", until=now() + end)


@pytest.mark.parametrize("name", ["fn", "uid", "nothing", "tel:", "tel:a+b", ""])
def test_what_cannot_be_hidden_is_refused(organisation, name):
    with pytest.raises(NotAllowedHereError):
        give(organisation, "user:carla", "viewer", hide=[name])


def test_a_change_keeps_what_it_does_not_name(organisation):
    give(organisation, "user:carla", "viewer", until=LATER, hide=["note"])

    assert change(organisation, "user:carla", "editor").terms == grants.Terms(Role.EDITOR, LATER, frozenset({"note"}))
    assert change(organisation, "user:carla", hide=["tel"]).terms.hidden == {"tel"}
    assert change(organisation, "user:carla", endless=True).terms.until_at is None
    assert change(organisation, "user:carla", hide=[]).terms == grants.Terms(Role.EDITOR)
    assert deeds(organisation)[0] == ("change-grant", "editor to user:carla")


def test_a_grant_to_a_domain_reaches_its_people_however_the_domain_is_written(db):
    with db.write() as session:
        users = [people.add_user(session, login) for login in ("eva", "finn")]
        session.execute(
            people.table(people.Principal)
            .update()
            .where(people.Principal.id == users[0].id)
            .values(domain="example.org")
        )
        book = books.add(session, users[1], "club", by=BY)
        assert grants.give(session, book, "domain:Example.ORG", Role.VIEWER, by=BY).principal == "domain:example.org"
        assert grants.people_of_domain(session, "EXAMPLE.org") == 1

    with db.read() as session:
        assert access.find(session, "eva", "finn~club").verbs == VERBS[Role.VIEWER]
    with db.write() as session:
        people.set_enabled(session, "eva", enabled=False)
    with db.read() as session:
        assert access.find(session, "eva", "finn~club") is None


# -- who may decide ----------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(organisation):
    """Makes Carla a manager of the leads, and gives her access."""

    def make(role="manager", **more):
        give(organisation, "user:carla", role, **more)
        return organisation.access("carla", "sales~leads")

    return make


def test_a_manager_gives_changes_and_takes_without_an_administrator(organisation, manager):
    carla = manager()

    give(organisation, "user:ada", "manager", as_=carla)
    change(organisation, "user:ada", "viewer", as_=carla)
    take(organisation, "user:ada", as_=carla)
    take(organisation, "group:sales", as_=carla)

    assert organisation.access("ada", "sales~leads") is None


@pytest.mark.parametrize("role", ["viewer", "contributor", "editor", "curator"])
def test_who_does_not_manage_a_book_decides_nothing(organisation, manager, role):
    carla = manager(role)

    for deed in (
        lambda: give(organisation, "user:ada", "viewer", as_=carla),
        lambda: change(organisation, "group:sales", "viewer", as_=carla),
        lambda: take(organisation, "group:sales", as_=carla),
        lambda: take(organisation, "user:nobody", as_=carla),
    ):
        with pytest.raises(NeedPrivilegeError) as refused:
            deed()
        assert refused.value.verb == Verb.MANAGE


def test_only_an_owner_gives_changes_or_takes_a_grant_of_an_owner(organisation, manager):
    carla = manager()
    give(organisation, "user:ada", "owner")

    with pytest.raises(NotAllowedHereError, match="more than you have"):
        give(organisation, "user:ben", "owner", as_=carla)
    for deed in (change, take):
        with pytest.raises(NeedPrivilegeError) as refused:
            deed(organisation, "user:ada", **({"role": "viewer"} if deed is change else {}), as_=carla)
        assert refused.value.verb == Verb.OWN
    change(organisation, "user:carla", "manager", as_=organisation.access("ada", "sales~leads"))


def test_nobody_shows_to_others_what_is_hidden_from_themselves(organisation, manager):
    carla = manager(hide=["tel:home", "note"])

    for hide in ([], ["note"], ["tel:cell", "note"]):
        with pytest.raises(NotAllowedHereError, match="hide at least: note, tel:home"):
            give(organisation, "user:ada", "viewer", hide=hide, as_=carla)
    give(organisation, "user:ada", "viewer", hide=["tel", "note"], as_=carla)
    with pytest.raises(NotAllowedHereError, match="hide at least"):
        change(organisation, "user:carla", hide=[], as_=carla)
    with pytest.raises(NotAllowedHereError, match="hide at least"):
        change(organisation, "group:sales", "manager", as_=carla)


def test_who_sees_less_than_a_grant_shows_may_still_make_it_less(organisation, manager):
    carla = manager(hide=["note"])

    change(organisation, "group:sales", "viewer", until=LATER, as_=carla)
    change(organisation, "group:sales", hide=["tel"], as_=carla)
    take(organisation, "group:sales", as_=carla)


def test_nobody_gives_a_right_for_longer_than_they_have_it(organisation, manager):
    carla = manager(until=LATER)

    give(organisation, "user:ada", "manager", until=LATER, as_=carla)
    for until in (None, LATER + timedelta(seconds=1)):
        with pytest.raises(NotAllowedHereError, match="longer"):
            give(organisation, "user:ben", "viewer", until=until, as_=carla)
    with pytest.raises(NotAllowedHereError, match="longer"):
        change(organisation, "user:carla", endless=True, as_=carla)


def test_what_is_hidden_only_later_counts_for_what_lasts_until_then(organisation, manager):
    carla = manager(hide=["note"])
    give(organisation, "everyone", "viewer", until=LATER)  # until then she sees all

    give(organisation, "user:ada", "viewer", until=LATER, as_=carla)
    with pytest.raises(NotAllowedHereError, match="hide at least: note"):
        give(organisation, "user:ben", "viewer", as_=carla)


def test_a_decision_counts_the_rights_of_its_moment_not_those_of_the_request_s_begin(organisation, manager):
    carla = manager()
    take(organisation, "user:carla")

    with pytest.raises(NotFoundError):
        give(organisation, "user:ada", "viewer", as_=carla)


def test_a_device_that_only_reads_decides_nothing(organisation, manager):
    manager()
    with organisation.db.read() as session:
        carla = access.find(session, "carla", "sales~leads", scope=access.Scope(read_only=True))

    with pytest.raises(NeedPrivilegeError):
        give(organisation, "user:ada", "viewer", as_=carla)


def test_a_device_for_some_books_does_not_decide_as_their_owner(organisation, manager):
    give(organisation, "user:ada", "owner")
    manager("owner")
    with organisation.db.read() as session:
        scope = access.Scope(books=frozenset({organisation.book(LEADS).id}))
        carla = access.find(session, "carla", "sales~leads", scope=scope)

    give(organisation, "user:ben", "manager", as_=carla)
    with pytest.raises(NotAllowedHereError, match="more than you have"):
        give(organisation, "everyone", "owner", as_=carla)
    with pytest.raises(NeedPrivilegeError):
        take(organisation, "user:ada", as_=carla)


def test_the_manager_of_a_mirrored_book_gives_all_roles_up_to_their_own(organisation, manager):
    with organisation.db.write() as session:
        session.execute(books.table(books.BookTable).update().values(mirrored_from="main"))
    carla = manager()

    assert carla.verbs == {Verb.READ, Verb.EXPORT, Verb.MANAGE}
    give(organisation, "user:ada", "manager", as_=carla)
    assert organisation.access("ada", "sales~leads").verbs == carla.verbs


# -- owners of groups --------------------------------------------------------------------------------------------------


def test_the_owner_of_a_group_makes_books_for_it_and_owns_them_without_being_in_it(organisation):
    with organisation.db.write() as session:
        group_owners.add(session, "sales", "carla")
        carla, sales = people.user(session, "carla"), people.group(session, "sales")
        group_owners.add_book(session, carla, sales, "partners", by=BY, name="Partners")

    assert organisation.access("carla", "sales~partners").verbs == VERBS[Role.OWNER]
    assert organisation.access("carla", "sales~leads").verbs == VERBS[Role.OWNER]
    assert organisation.access("ada", "sales~partners") is None
    give(organisation, "group:sales", "editor", "sales/partners", as_=organisation.access("carla", "sales~partners"))
    assert organisation.access("ada", "sales~partners").verbs == VERBS[Role.EDITOR]


def test_a_group_that_owns_a_group_lets_its_people_act(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Heads")
        people.add_member(session, "heads", "carla")
        group_owners.add(session, "sales", "group:heads")
        assert group_owners.of_group(session, people.group(session, "sales").id) == ["group:heads"]
        assert group_owners.runs(session, "carla", people.group(session, "sales").id)

    assert Verb.OWN in organisation.access("carla", "sales~leads").verbs


@pytest.mark.parametrize("login", ["ada", "carla"])
def test_nobody_else_makes_books_for_a_group(organisation, login):
    with organisation.db.write() as session:
        person, group = people.user(session, login), people.group(session, "sales")
        with pytest.raises(NotFoundError, match="group"):
            group_owners.add_book(session, person, group, "mine", by=BY)


def test_a_group_is_owned_until_that_is_taken_back(organisation):
    with organisation.db.write() as session:
        group_owners.add(session, "sales", "carla")
        group_owners.add(session, "sales", "carla")
        group_owners.remove(session, "sales", "carla")
        with pytest.raises(NotFoundError):
            group_owners.remove(session, "sales", "carla")

    assert organisation.access("carla", "sales~leads") is None


def test_a_removed_group_has_no_owners_also_where_a_book_of_it_comes_back_from_the_trash(organisation):
    with organisation.db.write() as session:
        group_owners.add(session, "sales", "carla")
        books.trash(session, books.find(session, LEADS), by=BY)
        people.remove_group(session, "sales")
        books.undelete(session, books.find_trashed(session, LEADS), by=BY)

    assert organisation.access("carla", "sales~leads") is None


# -- by property -------------------------------------------------------------------------------------------------------

decisions = st.lists(
    st.tuples(
        st.sampled_from(["give", "change", "take"]),
        st.sampled_from(["group", "user", "me", "everyone"]),
        st.integers(0, 5),
        st.sampled_from(Role),
        st.frozensets(st.sampled_from(FIELDS), max_size=3),
        st.sampled_from([None, timedelta(hours=1), timedelta(days=2)]),
    ),
    max_size=6,
)


def decide(session, made: Made, book, mine, decision):
    what, kind, number, role, hide, lasting = decision
    plan = made.plan
    users, groups = made.slugs[: plan.users], made.slugs[plan.users :]
    principal = {
        "me": f"user:{mine.slug}",
        "user": f"user:{users[number % len(users)]}",
        "group": f"group:{groups[number % len(groups)]}" if groups else "everyone",
    }.get(kind, "everyone")
    until = None if lasting is None else now() + lasting
    if what == "give":
        grants.give(session, book, principal, role, by=BY, until=until, hide=hide, as_=mine)
    elif what == "change":
        grants.change(session, book, principal, role, by=BY, until=until, endless=until is None, hide=hide, as_=mine)
    else:
        grants.take(session, book, principal, by=BY, as_=mine)


@examples(100)
@given(plan=plans(), decisions=decisions)
def test_no_decisions_of_their_own_ever_give_anybody_more_or_for_longer(db, plan, decisions):
    moments = [timedelta(0), timedelta(hours=2), timedelta(days=400)]
    with db.write() as session:
        made = make_in(session, plan)
        for user, book_id in ((user, book) for user in range(plan.users) for book in made.books):
            slug = made.slugs[user]
            mine = access.to_book(session, slug, book_id)
            if mine is None or Verb.MANAGE not in mine.verbs:
                continue
            before = [access.to_book(session, slug, book_id, at=now() + one) for one in moments]
            for decision in decisions:
                try:
                    decide(session, made, mine.book, mine, decision)
                except SharedBooksError:
                    continue
            for had, moment in zip(before, moments, strict=True):
                has = access.to_book(session, slug, book_id, at=now() + moment)
                if has is None:
                    continue
                assert had is not None
                assert has.verbs <= had.verbs
                assert hidden_lines(has.view.hidden) >= hidden_lines(had.view.hidden)
        session.rollback()
