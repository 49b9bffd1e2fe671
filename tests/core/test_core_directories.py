"""People and groups of directories as principals: identity, logins, groups, states; and leases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from radicale_shared import access, books, directories, grants, integrity, leases, people
from radicale_shared.access import Role
from radicale_shared.database import Database
from radicale_shared.directories import GroupFacts, PersonFacts
from radicale_shared.errors import AlreadyExistsError, NotAllowedHereError
from radicale_shared.models import DatabaseState, Device, GroupOwner, Membership, Principal, now
from tests.conftest import BY, examples

ADA = PersonFacts("k-ada", "uid=ada,dc=x", "ada", "Ada Lovelace", "ada@x.example", "x.example", active=True)
BEN = PersonFacts("k-ben", "uid=ben,dc=x", "ben", "Ben", "", "x.example", active=True)
SALES = GroupFacts("g-sales", "cn=sales,dc=x", "Sales")
STAFF = GroupFacts("g-staff", "cn=staff,dc=x", "Staff")


def take(db, *facts, directory="main", **more):
    with db.write() as session:
        taken = [directories.take_person(session, directory, one, **more) for one in facts]
    return taken[0] if len(taken) == 1 else taken


def take_groups(db, *facts, directory="main"):
    with db.write() as session:
        return [directories.take_group(session, directory, one) for one in facts]


def known(db, login, directory="main"):
    with db.read() as session:
        return directories.known(session, directory, people.folded(login))


def put_in(db, *pairs):
    with db.write() as session:
        directories.change_memberships(session, added=pairs, removed=[])


def generation(db):
    with db.read() as session:
        return session.scalar(select(DatabaseState.rights_generation))


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_person_of_a_directory_is_a_user_with_a_slug_made_of_the_login(db):
    taken = take(db, ADA)
    assert (taken.slug, taken.login, taken.state, taken.domain) == ("ada", "ada", "active", "x.example")
    with db.read() as session:
        person = people.user(session, "ADA")
    assert (person.id, person.name, person.email) == (taken.id, "Ada Lovelace", "ada@x.example")
    assert (person.directory, person.has_password) == ("main", False)


def test_taking_in_what_is_known_writes_nothing(db, statements):
    first = take(db, ADA)
    before = generation(db)
    statements.clear()
    assert take(db, ADA) == first
    assert len(statements) == 1
    assert generation(db) == before


def test_a_renamed_person_keeps_slug_books_and_grants(db):
    first = take(db, ADA)
    with db.write() as session:
        person = people.user(session, "ada")
        book = books.add_personal(session, person, by=BY)
        leads = books.add(session, people.add_group(session, "Sales"), "leads", by=BY)
        grants.give(session, leads, "user:ada", Role.EDITOR, by=BY)
    renamed = take(db, replace(ADA, login="ada.king", dn="uid=ada.king,ou=new,dc=x", name="Ada King"))
    assert (renamed.id, renamed.slug, renamed.login) == (first.id, "ada", "ada.king")
    assert renamed.dn == "uid=ada.king,ou=new,dc=x"
    assert renamed.auth_version > first.auth_version
    with db.read() as session:
        assert [one.book.id for one in access.all_readable(session, "ada")] == [book.id, leads.id]
    assert known(db, "ada") is None


def test_only_a_login_or_state_ends_remembered_passwords(db):
    first = take(db, ADA)
    assert take(db, replace(ADA, name="A.", email="", dn="uid=ada,ou=b")).auth_version == first.auth_version
    assert take(db, replace(ADA, active=False)).auth_version == first.auth_version + 1


def test_equal_logins_of_two_directories_are_two_people(db):
    first = take(db, ADA)
    second = take(db, replace(ADA, domain="y.example"), directory="other")
    assert first.id != second.id
    assert (second.login, second.slug) == ("ada@y.example", "ada-2")
    assert known(db, "ada").id == first.id
    assert known(db, "ada", "other").id == second.id
    assert known(db, "ada@y.example", "other").id == second.id


def test_only_the_first_directory_gives_out_logins_without_a_domain(db):
    later = replace(ADA, domain="y.example", may_be_bare=False)
    assert take(db, later, directory="other").login == "ada@y.example"
    assert take(db, replace(BEN, domain="", may_be_bare=False), directory="other").login == "ben@other"
    assert take(db, ADA).login == "ada"


def test_who_is_called_without_a_domain_stays_so_until_they_are_renamed(db):
    taken = take(db, ADA, directory="other")
    assert take(db, replace(ADA, may_be_bare=False), directory="other") == taken
    assert take(db, replace(ADA, login="ADA", may_be_bare=False), directory="other").login == "ADA"
    assert take(db, replace(ADA, login="boss", may_be_bare=False), directory="other").login == "boss@x.example"


@pytest.mark.parametrize("login", ["ceo@y.example", "CEO@Y.Example", "Y\\ceo", "x@ceo@y.example"])
def test_nobody_is_called_as_if_they_were_of_another_directory(db, login):
    facts = replace(ADA, login=login, elsewhere=frozenset({"y.example", "y", "main"}))
    taken = take(db, facts)
    assert people.folded(taken.login) != people.folded(login)
    assert people.domain_of(taken.login) not in facts.elsewhere
    assert not people.folded(taken.login).startswith("y\\")
    assert take(db, facts) == taken


def test_who_was_called_so_before_a_directory_had_the_domain_is_called_otherwise(db):
    facts = replace(ADA, login="ceo@y.example")
    assert take(db, facts).login == "ceo@y.example"
    assert take(db, replace(facts, elsewhere=frozenset({"y.example"}))).login == "ceo@y.example@main"


def test_where_a_directory_does_not_tell_people_stay_as_they_are(db):
    assert take(db, replace(ADA, active=None)).state == "active"
    take(db, replace(ADA, active=False))
    assert take(db, replace(ADA, active=None, name="A.")).state == "disabled"
    assert take(db, ADA).state == "active"


def test_a_local_user_s_login_is_never_taken(db):
    with db.write() as session:
        people.add_user(session, "ada", password="local")
        people.add_user(session, "ada@x.example")
    taken = take(db, ADA)
    assert (taken.login, taken.slug) == ("ada@main", "ada-2")
    assert take(db, replace(ADA, domain=""), directory="other").login == "ada@other"
    with db.read() as session:
        assert people.user(session, "ada").has_password


def test_a_login_that_became_free_is_not_taken_over_later(db):
    with db.write() as session:
        people.add_user(session, "ada")
    taken = take(db, ADA)
    with db.write() as session:
        people.remove_user(session, "ada")
    assert take(db, ADA) == taken


def test_a_login_follows_the_directory_s_spelling(db):
    take(db, ADA)
    assert take(db, replace(ADA, login="Ada")).login == "Ada"
    assert known(db, "ada").directory_login == "ada"


def test_somebody_else_s_login_is_refused_until_they_lost_it(db):
    ada = take(db, ADA)
    another = replace(ADA, key="k-2")
    with pytest.raises(AlreadyExistsError):
        take(db, another)
    taken = take(db, another, freed={"k-ada"})
    assert (taken.login, taken.slug) == ("ada", "ada-2")
    with db.read() as session:
        former = directories.by_key(session, "main", "k-ada")
    assert (former.id, former.login, former.directory_login) == (ada.id, "ada~former", "")


def test_logins_that_compare_as_the_same_are_one_login(db):
    take(db, replace(ADA, login="strauss"))
    with pytest.raises(AlreadyExistsError):
        take(db, replace(BEN, login="Strauß"))


def test_two_people_who_swap_their_logins_keep_their_slugs(db):
    ada, ben = take(db, ADA, BEN)
    take(db, replace(ADA, login="ben"), replace(BEN, login="ada"), freed={"k-ada", "k-ben"})
    assert (known(db, "ben").id, known(db, "ben").login, known(db, "ben").slug) == (ada.id, "ben", "ada")
    assert (known(db, "ada").id, known(db, "ada").login, known(db, "ada").slug) == (ben.id, "ada", "ben")


def test_the_login_of_somebody_who_is_gone_goes_to_the_next_one(db):
    gone = take(db, ADA)
    with db.write() as session:
        assert directories.person_gone(session, "main", "k-ada")
    heir = take(db, replace(ADA, key="k-2"))
    assert (heir.login, heir.slug) == ("ada", "ada-2")
    assert heir.id != gone.id
    back = take(db, replace(ADA, login="ada2"))
    assert (back.id, back.login, back.slug, back.state) == (gone.id, "ada2", "ada", "active")


def test_somebody_who_comes_back_is_the_same_one(db):
    first = take(db, ADA)
    with db.write() as session:
        assert directories.person_gone(session, "main", "k-ada")
        assert not directories.person_gone(session, "main", "k-ada")
        assert people.user(session, "ada").disabled_by == "directory"
        assert people.by_slug(session, "ada") is None
    back = take(db, ADA)
    assert (back.id, back.slug, back.login, back.state) == (first.id, "ada", "ada", "active")


def test_whom_an_administrator_disabled_the_directory_does_not_enable(db):
    take(db, ADA)
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert take(db, replace(ADA, name="A.")).state == "disabled"
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=True)
    assert known(db, "ada").state == "active"


def test_whom_the_directory_disabled_an_administrator_does_not_enable(db):
    take(db, replace(ADA, active=False))
    with db.write() as session, pytest.raises(NotAllowedHereError, match="disabled in the directory 'main'"):
        people.set_enabled(session, "ada", enabled=True)
    assert take(db, ADA).state == "active"


def test_what_belongs_to_a_directory_is_changed_there(db):
    take(db, ADA)
    take_groups(db, SALES)
    with db.write() as session:
        for refused in (
            lambda: people.rename_user(session, "ada", "lovelace"),
            lambda: people.set_password(session, "ada", "x"),
            lambda: people.remove_user(session, "ada"),
            lambda: people.rename_group(session, "sales", "Selling"),
            lambda: people.remove_group(session, "sales"),
            lambda: people.add_member(session, "sales", "ada"),
            lambda: people.remove_member(session, "sales", "ada"),
        ):
            with pytest.raises(NotAllowedHereError, match="comes from the directory 'main'"):
                refused()
        people.add_group(session, "Local")
        people.add_member(session, "local", "ada")
        people.add_member(session, "local", "group:sales")


def test_whoever_is_gone_there_can_be_removed_here_and_comes_back_as_somebody_new(db):
    take(db, ADA)
    with db.write() as session:
        directories.person_gone(session, "main", "k-ada")
        people.remove_user(session, "ada")
    again = take(db, ADA)
    assert (again.login, again.slug) == ("ada", "ada-2")


@pytest.mark.parametrize("login", ["", " ", "a:b", "x" * 321, "a\x00b", "a\nb"])
def test_a_login_that_can_not_be_one_is_refused(db, login):
    with pytest.raises(NotAllowedHereError):
        take(db, replace(ADA, login=login))


@pytest.mark.parametrize("key", ["", "k" * 2001, "a\x00b"])
def test_a_key_that_can_not_be_one_is_refused(db, key):
    with pytest.raises(NotAllowedHereError):
        take(db, replace(ADA, key=key))
    with pytest.raises(NotAllowedHereError):
        take_groups(db, replace(SALES, key=key))


def test_rubbish_in_a_directory_is_shown_without_control_characters(db):
    taken = take(db, replace(ADA, name="A\x1b[2J\n d\ud800a" + "x" * 600, email="e" * 400, domain="d" * 300))
    assert taken.name.startswith("A [2J d a")
    assert len(taken.name) == 500
    assert (taken.email, taken.domain) == ("", "")
    assert take(db, replace(ADA, name="\x00")).name == "ada"


_LOGINS = st.sampled_from(["a", "A", "b", "c", "strauss", "strauß", "a@x.example", "ada"])
_PEOPLE = st.lists(st.tuples(st.sampled_from(["k1", "k2", "k3"]), _LOGINS, st.booleans()), max_size=12)


@given(steps=_PEOPLE)
@examples(40)
def test_whatever_happens_in_a_directory_a_key_is_one_person_and_a_login_nobody_else_s(new_database_url, steps):
    db = Database(new_database_url("sqlite"), pool_size=2, write_wait=timedelta(seconds=10), threads=8)
    present: dict[str, str] = {}
    ids: dict[str, int] = {}
    with closing(db):
        for key, login, active in steps:
            others = {one for one in present if present[one] == people.folded(login) and one != key}
            if others:
                with pytest.raises(AlreadyExistsError):
                    take(db, replace(ADA, key=key, login=login))
                continue
            taken = take(db, replace(ADA, key=key, login=login, active=active))
            present[key] = people.folded(login)
            assert ids.setdefault(key, taken.id) == taken.id
            assert (taken.directory_login, taken.state) == (people.folded(login), "active" if active else "disabled")
            with db.read() as session:
                everybody = people.users(session)
            assert len({people.folded(one.login) for one in everybody}) == len(everybody) == len(ids)


def test_who_was_here_is_noted_once_an_hour(db, statements):
    taken = take(db, ADA)
    assert taken.seen_at is None
    with db.write() as session:
        directories.seen(session, taken.id)
    first = known(db, "ada")
    assert first.seen_at is not None
    with db.write() as session:
        directories.seen(session, taken.id)
    assert known(db, "ada").seen_at == first.seen_at
    with db.write() as session:
        earlier = now() - timedelta(hours=2)
        session.execute(update(Principal).where(Principal.id == taken.id).values(seen_at=earlier))
        directories.seen(session, taken.id)
    assert known(db, "ada").seen_at > first.seen_at


def test_people_who_were_here_lately_can_be_told_from_others(db):
    ada, _ben = take(db, ADA, BEN)
    with db.write() as session:
        directories.seen(session, ada.id)
    with db.read() as session:
        lately = directories.known_people(session, "main", seen_since=now() - directories.RECENTLY)
        assert [one.id for one in lately] == [ada.id]
        assert len(directories.known_people(session, "main")) == 2
        assert directories.known_people(session, "other") == []


def test_whoever_uses_a_device_was_here_lately(db):
    ada, ben = take(db, ADA, BEN)
    at = now()
    with db.write() as session:
        for person, used in ((ada, at - timedelta(days=1)), (ben, at - timedelta(days=100))):
            device = {"label": "phone", "read_only": False, "phones_only": False, "all_books": True, "created_at": at}
            seen = {
                "last_used_at": used,
                "last_address": "",
                "last_user_agent": "",
                "digest": b"",
                "key_id": person.slug,
            }
            session.execute(insert(Device).values(principal_id=person.id, **device, **seen))
    with db.read() as session:
        lately = directories.known_people(session, "main", seen_since=at - directories.RECENTLY)
    assert [one.id for one in lately] == [ada.id]


def test_groups_are_known_as_of_the_last_round_by_whoever_it_follows(db):
    ada, ben = take(db, ADA, BEN)
    with db.write() as session:
        directories.seen(session, ada.id)
        for one in (ada, ben):
            directories.set_groups(session, "main", one.id, [])
        earlier = now() - timedelta(days=1)
        session.execute(update(Principal).values(groups_at=earlier))
        directories.followed(session, "main")
    assert known(db, "ada").groups_known_at > now() - timedelta(minutes=1)
    assert known(db, "ben").groups_known_at == earlier


# -- groups ------------------------------------------------------------------------------------------------------------


def test_equal_names_are_two_groups_with_slugs_of_their_own(db):
    one, other = take_groups(db, SALES, replace(SALES, key="g-2", dn="cn=sales,ou=b,dc=x"))
    assert (one.slug, one.name, other.slug, other.name) == ("sales", "Sales", "sales-2", "Sales")
    (elsewhere,) = take_groups(db, SALES, directory="other")
    assert elsewhere.slug == "sales-3"


def test_a_renamed_or_moved_group_keeps_slug_members_and_grants(db):
    ada = take(db, ADA)
    (sales,) = take_groups(db, SALES)
    put_in(db, (sales.id, ada.id))
    with db.write() as session:
        book = books.add(session, people.group(session, "sales"), "leads", by=BY)
        grants.give(session, book, "group:sales", Role.VIEWER, by=BY)
    (renamed,) = take_groups(db, GroupFacts("g-sales", "cn=selling,ou=new,dc=x", "Selling"))
    assert (renamed.id, renamed.slug, renamed.name) == (sales.id, "sales", "Selling")
    with db.read() as session:
        assert [one.book.id for one in access.all_readable(session, "ada")] == [book.id]


def test_taking_in_a_known_group_writes_nothing(db, statements):
    take_groups(db, SALES)
    statements.clear()
    take_groups(db, SALES)
    assert len(statements) == 1


def test_a_group_that_is_gone_is_empty_and_comes_back_with_its_grants(db):
    ada = take(db, ADA)
    (sales,) = take_groups(db, SALES)
    put_in(db, (sales.id, ada.id))
    with db.write() as session:
        book = books.add(session, people.add_group(session, "Owner"), "leads", by=BY)
        grants.give(session, book, "group:sales", Role.VIEWER, by=BY)
        assert directories.group_gone(session, "main", "g-sales")
        assert not directories.group_gone(session, "main", "g-sales")
        assert people.group(session, "sales").state == "disabled"
    with db.read() as session:
        assert access.all_readable(session, "ada") == []
    assert take_groups(db, SALES)[0].id == sales.id
    put_in(db, (sales.id, ada.id))
    with db.read() as session:
        assert [one.book.id for one in access.all_readable(session, "ada")] == [book.id]


def test_a_person_s_groups_are_replaced_and_strange_keys_left_out(db):
    ada = take(db, ADA)
    take_groups(db, SALES, STAFF)
    take_groups(db, replace(SALES, key="g-other"), directory="other")

    def groups(*keys):
        with db.write() as session:
            changed = directories.set_groups(session, "main", ada.id, keys)
            return changed, [one.slug for one in people.groups_of(session, ada.id)]

    assert groups("g-sales", "g-nowhere", "g-other") == (True, ["sales"])
    before = generation(db)
    assert groups("g-sales") == (False, ["sales"])
    assert generation(db) == before
    assert groups("g-staff") == (True, ["staff"])
    assert generation(db) > before
    assert known(db, "ada").groups_at is not None


def test_a_person_s_local_groups_are_not_the_directory_s(db):
    ada = take(db, ADA)
    with db.write() as session:
        people.add_group(session, "Local")
        people.add_member(session, "local", "ada")
        directories.set_groups(session, "main", ada.id, [])
        assert [one.slug for one in people.groups_of(session, ada.id)] == ["local"]


def test_while_losses_are_not_believed_a_sign_in_takes_no_group_away(db):
    ada = take(db, ADA)
    sales, staff = take_groups(db, SALES, STAFF)
    put_in(db, (sales.id, ada.id))
    with db.write() as session:
        directories.set_guard(session, "main", directories.PEOPLE, "300 of 300 people would be gone at once.")
        assert directories.set_groups(session, "main", ada.id, ["g-staff"])
        assert {one.id for one in people.groups_of(session, ada.id)} == {sales.id, staff.id}


def test_groups_are_followed_where_something_hangs_on_them_and_what_is_in_them_too(db):
    names = ("granted", "inner", "innermost", "idle", "owner", "owned", "local", "book")
    groups = dict(zip(names, take_groups(db, *(GroupFacts(one, f"cn={one}", one) for one in names)), strict=True))
    put_in(
        db,
        (groups["granted"].id, groups["inner"].id),
        (groups["inner"].id, groups["innermost"].id),
        (groups["innermost"].id, groups["granted"].id),
        (groups["idle"].id, groups["granted"].id),
    )
    with db.write() as session:
        people.add_group(session, "Here")
        people.add_member(session, "here", "group:local")
        book = books.add(session, people.group(session, "book"), "x", by=BY)
        grants.give(session, book, "group:granted", Role.VIEWER, by=BY)
        insert_owner(session, groups["owned"].id, groups["owner"].id)
    with db.read() as session:
        assert directories.followed_groups(session, "main") == {groups[one].id for one in names if one != "idle"}
        assert directories.followed_groups(session, "other") == set()
        inside = directories.memberships(session, "main", followed_only=True)
        assert inside == directories.memberships(session, "main") - {(groups["idle"].id, groups["granted"].id)}


def insert_owner(session, group_id, owner_id):
    session.execute(insert(GroupOwner).values(group_id=group_id, owner_id=owner_id))


def test_memberships_are_added_and_removed_once(db):
    ada, ben = take(db, ADA, BEN)
    (sales,) = take_groups(db, SALES)
    put_in(db, (sales.id, ada.id))
    put_in(db, (sales.id, ada.id), (sales.id, ben.id))
    with db.write() as session:
        directories.change_memberships(session, added=[], removed=[(sales.id, ada.id), (sales.id, ada.id)])
        assert directories.memberships(session, "main") == {(sales.id, ben.id)}


def test_a_person_who_was_removed_here_meanwhile_gets_no_membership(db):
    ada = take(db, ADA)
    (sales,) = take_groups(db, SALES)
    with db.write() as session:
        directories.person_gone(session, "main", "k-ada")
        people.remove_user(session, "ada")
        directories.change_memberships(session, added=[(sales.id, ada.id)], removed=[])
        assert session.execute(select(Membership)).all() == []


# -- a directory that is not there any more, and what db check finds ---------------------------------------------------


def test_an_abandoned_directory_s_people_and_groups_are_gone_until_it_is_there_again(db):
    ada = take(db, ADA)
    (sales,) = take_groups(db, SALES)
    put_in(db, (sales.id, ada.id))
    take(db, BEN, directory="other")
    with db.write() as session:
        assert directories.abandon(session, "main") == (1, 1)
        assert directories.abandon(session, "main") == (0, 0)
        assert directories.names(session) == {"main", "other"}
        assert (directories.counts(session, "main"), directories.counts(session, "other")) == ((0, 0), (1, 0))
    assert known(db, "ben", "other").state == "active"
    assert (take(db, ADA).id, take_groups(db, SALES)[0].id) == (ada.id, sales.id)
    with db.read() as session:
        assert directories.counts(session, "main") == (1, 1)


def problems(db):
    return sorted(one.what for one in integrity.problems(db))


def test_whatever_directories_do_the_database_is_whole(db):
    ada, ben = take(db, ADA, BEN)
    (sales,) = take_groups(db, SALES)
    put_in(db, (sales.id, ada.id), (sales.id, ben.id))
    with db.write() as session:
        directories.person_gone(session, "main", "k-ada")
        directories.person_disabled(session, "main", "k-ben")
        people.remove_user(session, "ada")
        people.add_user(session, "emil")
        people.set_enabled(session, "emil", enabled=False)
    assert problems(db) == []


def test_what_belongs_to_a_directory_and_isn_t_its_own_is_found(db):
    ada, ben = take(db, ADA, BEN)
    (sales,) = take_groups(db, SALES)
    with db.write() as session:
        emil = people.add_user(session, "emil")
        session.execute(insert(Membership).values(group_id=sales.id, member_id=emil.id))
        session.execute(update(Principal).where(Principal.id == ada.id).values(password="x", state="disabled"))
        session.execute(update(Principal).where(Principal.id == ben.id).values(directory_key=None))
        session.execute(update(Principal).where(Principal.id == emil.id).values(disabled_by="directory"))
    assert problems(db) == [
        "emil can't be in the group sales of the directory 'main'",
        "user ada: comes from a directory and has a password here",
        "user ada: is disabled by nobody",
        "user ben: comes from a directory without a key in it",
        "user emil: is active though somebody disabled it",
    ]


# -- local users -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "domain"),
    [("emil", ""), ("Emil@Example.ORG", "example.org"), ("a@b@C.example", "c.example"), ("emil@" + "x" * 260, "")],
)
def test_a_user_s_domain_is_what_stands_behind_the_last_at_sign(db, login, domain):
    def domains():
        with db.read() as session:
            return session.scalars(select(Principal.domain)).all()

    with db.write() as session:
        people.add_user(session, login)
    assert domains() == [domain]
    with db.write() as session:
        people.rename_user(session, login, "emil@Other.example")
    assert domains() == ["other.example"]


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "gone", "of_all", "believed"),
    [
        (5, 5, False, True),
        (5, 5, True, False),
        (1, 1, True, True),
        (6, 6, False, False),
        (100, 5, False, True),
        (100, 20, True, True),
        (100, 21, True, False),
        (20, 6, False, False),
        (30, 6, False, True),
        (0, 0, True, True),
    ],
)  # fmt: skip
def test_more_than_five_and_a_fifth_at_once_is_not_believed(known, gone, of_all, believed):
    sentence = directories.lost("members of 'sales'", known, gone, of_all=of_all)
    assert (sentence == "") is believed
    if not believed:
        assert sentence == f"{gone} of {known} members of 'sales' would be gone at once."


def test_a_failure_begins_once_and_ends_with_the_next_round(db):
    def failed(reason):
        with db.write() as session:
            return directories.failed(session, "main", reason)

    def state():
        with db.read() as session:
            return directories.state(session, "main")

    assert state() == directories.State("main")
    assert failed("no route")
    since = state().failing_since
    assert not failed("no route")
    assert not failed("refused")
    assert (state().failing_since, state().failure) == (since, "refused")
    with db.write() as session:
        directories.followed(session, "main")
    assert (state().failing_since, state().failure) == (None, "")
    assert state().followed_lately


def test_what_is_not_believed_is_kept_by_part(db):
    def guarded(part, sentence):
        with db.write() as session:
            news = directories.set_guard(session, "main", part, sentence)
            state = directories.state(session, "main")
            return news, state.guard(directories.PEOPLE), state.guard(directories.MIRROR)

    assert guarded(directories.PEOPLE, "") == (False, "", "")
    assert guarded(directories.PEOPLE, "6 of 6: gone.\n") == (True, "6 of 6: gone.", "")
    assert guarded(directories.MIRROR, "all gone") == (True, "6 of 6: gone.", "all gone")
    assert guarded(directories.MIRROR, "all gone") == (False, "6 of 6: gone.", "all gone")
    assert guarded(directories.PEOPLE, "") == (True, "", "all gone")


# -- leases ------------------------------------------------------------------------------------------------------------


def lease(db, who, life=timedelta(minutes=1), name="x"):
    with db.write() as session:
        return leases.take(session, name, who, life)


def test_a_lease_is_one_holder_s_until_it_ends_or_is_given_back(db):
    assert lease(db, "a")
    assert not lease(db, "b")
    assert lease(db, "a")
    assert lease(db, "b", name="y")
    with db.write() as session:
        leases.release(session, "x", "b")
        assert leases.holder(session, "x", life=timedelta(minutes=1)) == "a"
        leases.release(session, "x", "a")
        assert leases.holder(session, "x", life=timedelta(minutes=1)) == ""
    assert lease(db, "b")


def test_a_lease_whose_holder_is_dead_goes_to_the_next_one_when_it_has_run_out(db):
    assert lease(db, "a", timedelta(seconds=-1))
    with db.read() as session:
        assert leases.holder(session, "x", life=timedelta(minutes=1)) == ""
    assert lease(db, "b")
    assert not lease(db, "a")


def test_a_lease_of_a_clock_that_was_a_year_ahead_keeps_nobody_waiting(db):
    assert lease(db, "a", timedelta(days=365))
    with db.read() as session:
        assert leases.holder(session, "x", life=timedelta(minutes=1)) == ""
    assert lease(db, "b")
    assert not lease(db, "a")


def test_of_many_processes_at_once_one_gets_the_lease(db):
    others = [Database(db.url, pool_size=2, write_wait=timedelta(seconds=20), threads=8) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for round_ in range(10):
            name = f"lease-{round_}"
            got = list(pool.map(lambda at: lease(others[at], f"p{at}", name=name), range(4)))  # noqa: B023
            assert sorted(got) == [False, False, False, True]
    for one in others:
        one.close()
