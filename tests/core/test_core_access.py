"""Rights: what roles give, how grants unite, who owns what."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from radicale_shared import access, books, database, grants, people
from radicale_shared.access import VERBS, Role, Verb
from radicale_shared.errors import AlreadyExistsError, NeedPrivilegeError, NotAllowedHereError, NotFoundError
from radicale_shared.models import Grant, now, table
from tests.conftest import BY

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


def test_a_grant_that_hides_fields_gives_a_view_without_them(organisation):
    change_grant(organisation, hidden_fields='["note", "tel:home"]')

    found = organisation.access("ada", "sales~leads")
    assert found is not None
    assert found.view.hidden == {"note", "tel:home"}


def test_a_grant_can_be_changed_and_taken(organisation):
    book = organisation.book("sales/leads")
    with organisation.db.write() as session:
        grants.change(session, book, "group:sales", Role.VIEWER, by=BY)
    assert verbs_of(organisation, "ada", "sales~leads") == VERBS[Role.VIEWER]

    with organisation.db.write() as session:
        grants.take(session, book, "group:Sales", by=BY)
    assert verbs_of(organisation, "ada", "sales~leads") is None


@pytest.mark.parametrize(
    ("principal", "error"),
    [
        ("group:sales", AlreadyExistsError),
        ("group:none", NotFoundError),
        ("user:nobody", NotFoundError),
        ("domain:", NotAllowedHereError),
        ("domain:ada@example.org", NotAllowedHereError),
        ("domain:example org", NotAllowedHereError),
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


@pytest.mark.parametrize(
    "question",
    [
        lambda session: access.find(session, "ada", "contacts"),
        lambda session: access.find(session, "ada", "sales~leads"),
        lambda session: access.to_book(session, "ada", 1),
        lambda session: access.all_readable(session, "ada"),
    ],
    ids=["own", "mounted", "one", "all"],
)
def test_no_question_about_rights_reads_a_whole_table(new_database_url, statements, question):
    db = database.connect(new_database_url("sqlite"))
    with db.read() as session:
        question(session)
        query = statements.texts[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("",) * query.count("?"))
        steps = [row.detail for row in plan]

    assert any("SEARCH grants USING" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN ") and not step.startswith("SCAN circle")] == []


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
        grants.give(session, books.add(session, ben, "aunts", by=BY), "user:ada", Role.VIEWER, by=BY)

    assert homes(organisation, "ada") == ["art", "contacts", "zoo", "ben~aunts", "sales~leads"]


def test_a_book_in_the_trash_is_nobodys(organisation):
    with organisation.db.write() as session:
        books.trash(session, books.find(session, "sales/leads"), by=BY)

    assert verbs_of(organisation, "ada", "sales~leads") is None
    assert homes(organisation, "ada") == ["contacts"]
