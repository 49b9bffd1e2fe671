"""Rights in any organisation: what the program says, against slow obvious code that says it in other words.

A case is an organisation: people (one perhaps disabled) and groups (in one another, in circles too) with owners, books
of either (mirrored, in the trash), grants to people, groups, domains and everyone (ended, with an end, hiding fields),
and a device. Each is asked for each of its people and books. It is made in a transaction that is taken back.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, books, database, people, reasons
from radicale_shared.access import Role, Scope
from tests.conftest import examples
from tests.core.organisations import OWN, READ, ROLES, hidden_lines, make_in, plans

CASES = {"sqlite": 1500, "postgresql": 500}  # by day; fifty times as many by night


@pytest.fixture
def on_sqlite(new_database_url):
    """An empty SQLite database."""
    return database.connect(new_database_url("sqlite"))


@pytest.fixture
def on_postgresql(new_database_url):
    """An empty PostgreSQL database."""
    return database.connect(new_database_url("postgresql"))


@st.composite
def scopes(draw):
    """(numbers of the books that a device may use or None for all, whether it only reads)"""
    return draw(st.one_of(st.none(), st.frozensets(st.integers(0, 2)))), draw(st.booleans())


def told(found):
    """(verbs, which of the lines are hidden) of an access."""
    return (frozenset(), frozenset()) if found is None else (found.verbs, hidden_lines(found.view.hidden))


def expected(plan, user, number):
    verbs = plan.verbs(user, number)
    return (verbs, plan.hidden(user, number)) if READ in verbs else (frozenset(), frozenset())


def check_access(session, plan, made, user, scope):
    """Every question about what may be done has the answer of the plan."""
    slug = made.slugs[user]
    listed = {one.book.id: one for one in access.all_readable(session, slug) if one.book.id in made.books}
    only, read_only = scope
    ids = None if only is None else frozenset(made.books[one] for one in only if one < len(made.books))
    device = Scope(ids, read_only)
    on_device = {one.book.id: one for one in access.all_readable(session, slug, scope=device)}
    for number, book_id in enumerate(made.books):
        verbs, hidden = expected(plan, user, number)
        found = access.find(session, slug, made.address(user, number))
        assert told(found) == (verbs, hidden)
        assert listed.get(book_id) == found
        assert access.to_book(session, slug, book_id) == found

        if only is not None:
            verbs = verbs - {OWN} if number in only else frozenset()
        if read_only:
            verbs &= {READ}
        assert told(on_device.get(book_id)) == (verbs, hidden if verbs else frozenset())
        assert access.find(session, slug, made.address(user, number), scope=device) == on_device.get(book_id)


def check_reasons(session, plan, made, user):
    """The reasons that are told give what may be done, no more and no less."""
    person = people.user(session, made.slugs[user])
    for number, book in enumerate(plan.books):
        if book.trashed:
            continue
        explained = reasons.explain(session, person, books.find(session, f"{made.slugs[book.owner]}/b{number}"))
        verbs, hidden = expected(plan, user, number)
        assert told(explained) == (verbs, hidden)
        for one in explained.ended:
            assert any(
                grant.ended and plan.reaches(user, grant) and grant.role == one.terms.role for grant in book.grants
            )
        if user in plan.disabled:
            continue
        gives = [ROLES[one.terms.role] for one in explained.reasons]
        kept = {"add", "edit", "delete"} if book.mirrored else set()
        assert frozenset().union(*gives) - kept == verbs
        if explained.reasons:
            assert frozenset.intersection(*(hidden_lines(one.terms.hidden) for one in explained.reasons)) == hidden


def check_who(session, plan, made):
    """Who is told to see a book is who sees it, but for those whom only everyone or a domain stands for."""
    for number, book in enumerate(plan.books):
        if book.trashed:
            continue
        seers = reasons.who(session, books.find(session, f"{made.slugs[book.owner]}/b{number}"))
        by_name = {
            user
            for user in set(range(plan.users)) - plan.disabled
            if plan.owns(user, book) or any(grant.who >= 0 and plan.reaches(user, grant) for grant in book.in_force)
        }
        assert {one.slug for one in seers.people} == {made.slugs[user] for user in by_name}
        for one in seers.people:
            user = made.slugs.index(one.slug)
            assert (one.verbs, hidden_lines(one.view.hidden)) == expected(plan, user, number)
        heads = [head for group, head in plan.heads if group == book.owner]
        assert len(seers.principals) == len(book.in_force) + len(heads) + (book.owner < plan.users)


def judge(db, plan, scope):
    with db.write() as session:
        made = make_in(session, plan)
        for user in range(plan.users):
            check_access(session, plan, made, user, scope)
        check_reasons(session, plan, made, len(plan.books) % plan.users)
        check_who(session, plan, made)
        session.rollback()


@examples(CASES["sqlite"])
@given(plan=plans(), scope=scopes())
def test_rights_are_what_slow_obvious_code_says_with_sqlite(on_sqlite, plan, scope):
    judge(on_sqlite, plan, scope)


@examples(CASES["postgresql"])
@given(plan=plans(), scope=scopes())
def test_rights_are_what_slow_obvious_code_says_with_postgresql(on_postgresql, plan, scope):
    judge(on_postgresql, plan, scope)


def test_the_roles_of_the_judgement_are_the_product_s():
    assert {role: set(verbs) for role, verbs in access.VERBS.items()} == ROLES
    assert set(Role) == set(ROLES)
