"""Why somebody may do a thing, or not, and who can see a book: what people are told of it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from radicale_shared import access, books, grants, group_owners, people, reasons
from radicale_shared.access import VERBS, Role, Verb
from radicale_shared.models import Book, Grant, Principal, now, table
from radicale_shared.principals import Findable
from tests.conftest import BY

LATER = datetime(2100, 1, 1, tzinfo=UTC)
LEADS = "sales/leads"


def explained(organisation, login, address=LEADS, as_=None, findable=Findable.SHARED):
    with organisation.db.read() as session:
        book = books.find(session, address)
        asker = access.to_book(session, as_, book.id) if as_ else None
        return reasons.explain(session, people.user(session, login), book, asker=asker, findable=findable)


def seen(organisation, address=LEADS, as_=None, findable=Findable.SHARED):
    with organisation.db.read() as session:
        book = books.find(session, address)
        asker = access.to_book(session, as_, book.id) if as_ else None
        return reasons.who(session, book, asker=asker, findable=findable)


def texts(some):
    return [str(one) for one in some]


def limit(organisation, principal, **values):
    """Alter a grant behind the product's back."""
    with organisation.db.write() as session:
        lines = grants.of_book(session, books.find(session, LEADS))
        found = next(one for one in lines if one.principal == principal)
        session.execute(update(table(Grant)).where(table(Grant).c.id == found.id).values(**values))


# -- explain -----------------------------------------------------------------------------------------------------------


def test_every_grant_is_named_with_the_way_through_the_groups_strongest_first(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Inner")
        people.add_member(session, "sales", "group:inner")
        people.add_member(session, "inner", "carla")
    organisation.grant(LEADS, "everyone", "viewer")

    told = explained(organisation, "carla")
    assert told.verbs == VERBS[Role.EDITOR]
    assert texts(told.reasons) == [
        "editor as user carla in group inner in group sales",
        "viewer as everyone signed in",
    ]
    assert told.reasons[0].principal == "group:sales"
    assert texts(explained(organisation, "carla", "carla/contacts").reasons) == [
        "owner as user carla, whose book it is"
    ]
    nothing = explained(organisation, "carla", "ada/contacts")
    assert (nothing.verbs, nothing.reasons, nothing.deciders) == (frozenset(), (), ("Ada",))


def test_a_shortest_way_is_told_also_through_circles_of_groups(organisation):
    with organisation.db.write() as session:
        for name in ("One", "Two"):
            people.add_group(session, name)
        people.add_member(session, "one", "carla")
        people.add_member(session, "one", "group:two")
        people.add_member(session, "two", "group:one")
        people.add_member(session, "sales", "group:two")

    assert texts(explained(organisation, "carla").reasons) == [
        "editor as user carla in group one in group two in group sales"
    ]


def test_a_grant_that_has_ended_is_told_apart(organisation):
    limit(organisation, "group:sales", until_at=now() - timedelta(days=1))

    told = explained(organisation, "ada")
    assert (told.verbs, told.reasons) == (frozenset(), ())
    assert texts(told.ended) == ["editor as user ada in group sales"]
    assert explained(organisation, "carla").ended == ()


def test_hidden_is_told_for_each_grant_and_for_all_together(organisation):
    organisation.grant(LEADS, "everyone", "viewer")
    limit(organisation, "group:sales", hidden_fields='["note", "tel:home"]')
    limit(organisation, "everyone", hidden_fields='["tel", "adr"]')

    told = explained(organisation, "ada")
    assert told.view.hidden == {"tel:home"}
    assert [sorted(one.terms.hidden) for one in told.reasons] == [["note", "tel:home"], ["adr", "tel"]]


def test_a_disabled_person_may_do_nothing_and_is_told_what_would_count(organisation):
    with organisation.db.write() as session:
        people.set_enabled(session, "ada", enabled=False)

    told = explained(organisation, "ada")
    assert told.verbs == frozenset()
    assert texts(told.reasons) == ["editor as user ada in group sales"]


def test_a_mirrored_book_is_not_written_even_by_its_owner(organisation):
    with organisation.db.write() as session:
        session.execute(update(table(Book)).where(table(Book).c.slug == "contacts").values(mirrored_from="main"))

    told = explained(organisation, "ada", "ada/contacts")
    assert told.verbs == {Verb.READ, Verb.EXPORT, Verb.MANAGE, Verb.OWN}
    assert len(told.reasons) == 1


def test_the_owner_of_the_group_that_owns_a_book_is_told_so(organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Heads")
        people.add_member(session, "heads", "carla")
        group_owners.add(session, "sales", "group:heads")

    told = explained(organisation, "carla")
    assert told.verbs == VERBS[Role.OWNER]
    assert texts(told.reasons) == ["owner as user carla in group heads, owner of group sales"]
    assert told.deciders == ("the group Heads",)


def test_who_could_give_more_is_told_as_far_as_the_asker_may_know_of_them(organisation):
    organisation.grant(LEADS, "user:carla", "manager")
    organisation.grant(LEADS, "user:ben", "owner")

    assert explained(organisation, "ada").deciders == ("Carla", "Ben")
    assert explained(organisation, "ada", as_="ada").deciders == ("Carla", "Ben")
    assert explained(organisation, "ada", as_="ada", findable=Findable.NOBODY).deciders == ()


# -- who ---------------------------------------------------------------------------------------------------------------


def test_the_administrator_is_told_of_all_principals_and_people_with_role_way_and_hidden_fields(organisation):
    with organisation.db.write() as session:
        book = books.find(session, LEADS)
        grants.give(session, book, "user:carla", Role.VIEWER, by=BY, until=LATER, hide=["note"])
        grants.give(session, book, "user:ada", Role.VIEWER, by=BY)

    told = seen(organisation)
    assert [(one.principal, one.name, str(one.terms)) for one in told.principals] == [
        ("group:sales", "the group Sales", "editor"),
        ("user:carla", "Carla", "viewer until 2100-01-01 00:00 UTC without note"),
        ("user:ada", "Ada", "viewer"),
    ]
    assert {one.login: (one.verbs, one.view.hidden, texts(one.reasons)) for one in told.people} == {
        "ada": (VERBS[Role.EDITOR], frozenset(), ["editor as user ada in group sales", "viewer as user ada"]),
        "ben": (VERBS[Role.EDITOR], frozenset(), ["editor as user ben in group sales"]),
        "carla": (VERBS[Role.VIEWER], {"note"}, ["viewer as user carla"]),
    }


def test_everyone_and_a_domain_are_counted_and_count_for_those_who_are_listed(organisation):
    with organisation.db.write() as session:
        session.execute(
            update(table(Principal)).where(table(Principal).c.slug.in_(["ben", "carla"])).values(domain="example.org")
        )
    organisation.grant("ada/contacts", "everyone", "viewer")
    organisation.grant("ada/contacts", "domain:example.org", "editor")
    organisation.grant("ada/contacts", "user:ben", "viewer")

    told = seen(organisation, "ada/contacts")
    assert [(one.principal, one.is_owner, one.people) for one in told.principals] == [
        ("user:ada", True, None),
        ("everyone", False, 3),
        ("domain:example.org", False, 2),
        ("user:ben", False, None),
    ]
    assert {one.login: one.verbs for one in told.people} == {"ada": VERBS[Role.OWNER], "ben": VERBS[Role.EDITOR]}


def test_who_is_disabled_or_whose_grant_has_ended_sees_nothing(organisation):
    organisation.grant(LEADS, "user:carla", "viewer")
    limit(organisation, "user:carla", until_at=now() - timedelta(days=1))
    with organisation.db.write() as session:
        people.set_enabled(session, "ben", enabled=False)

    assert [one.login for one in seen(organisation).people] == ["ada"]


def test_a_reader_learns_the_principals_and_a_manager_also_the_people(organisation):
    with organisation.db.write() as session:
        book = books.find(session, LEADS)
        grants.give(session, book, "user:carla", Role.VIEWER, by=BY, hide=["note"], until=LATER)

    reader = seen(organisation, as_="carla")
    assert [(one.principal, str(one.terms)) for one in reader.principals] == [
        ("group:sales", "editor"),
        ("user:carla", "viewer"),
    ]
    assert reader.people is None

    with organisation.db.write() as session:
        grants.change(session, books.find(session, LEADS), "user:carla", Role.MANAGER, by=BY)
    manager = seen(organisation, as_="carla")
    assert [one.login for one in manager.people] == ["ada", "ben", "carla"]
    assert manager.principals[1].terms.hidden == {"note"}


def test_nobody_learns_of_principals_whom_they_may_not_know(organisation):
    organisation.grant("ada/contacts", "user:ben", "manager")
    organisation.grant("ada/contacts", "user:carla", "viewer")
    organisation.grant("ada/contacts", "everyone", "viewer")

    told = seen(organisation, "ada/contacts", as_="ben", findable=Findable.NOBODY)
    assert [one.principal for one in told.principals] == ["user:ada", "user:ben", "everyone"]
    assert [one.login for one in told.people] == ["ada", "ben"]


@pytest.mark.parametrize("number", [1, 30])
def test_asking_why_or_who_costs_the_same_few_statements_in_any_organisation(organisation, statements, number):
    with organisation.db.write() as session:
        above = "sales"
        for one in range(number):
            people.add_group(session, f"g{one}")
            people.add_member(session, above, f"group:g{one}")
            above = f"g{one}"
        people.add_member(session, above, "carla")
    statements.clear()
    assert explained(organisation, "carla").verbs == VERBS[Role.EDITOR]
    cost = len(statements)
    statements.clear()
    assert len(seen(organisation).people) == 3

    assert (cost, len(statements)) == (8, 6)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(organisation, login, verb, findable=Findable.SHARED, scope=access.WHOLE):
    with organisation.db.read() as session:
        found = access.find(session, login, "sales~leads", scope=scope)
        return reasons.refusal(session, found, verb, findable=findable)


def test_a_refusal_says_what_one_may_do_and_whom_to_ask(organisation):
    organisation.grant(LEADS, "user:carla", "contributor")
    organisation.grant(LEADS, "user:ben", "manager")
    organisation.grant(LEADS, "user:ada", "owner")

    assert refused(organisation, "carla", Verb.EDIT) == "You may read and add here, not edit. Ask Ben or Ada."
    assert refused(organisation, "carla", Verb.EDIT, Findable.NOBODY) == "You may read and add here, not edit."


def test_a_refusal_says_if_it_is_the_device_s_or_the_directory_s(organisation):
    only_reads = access.Scope(read_only=True)
    assert refused(organisation, "ada", Verb.EDIT, scope=only_reads) == (
        "You may read here, not edit. That is this device's password: with your own you may."
    )
    with organisation.db.write() as session:
        session.execute(update(table(Book)).values(mirrored_from="main"))
    assert refused(organisation, "ada", Verb.ADD) == (
        "You may read here, not add. This address book is written by a directory alone."
    )
