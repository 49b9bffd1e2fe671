"""People and groups: slugs, logins, membership, signing in."""

import unicodedata
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from radicale_shared import access, accounts, books, database, grants, passwords, people
from radicale_shared.access import Role
from radicale_shared.database import Database
from radicale_shared.errors import AlreadyExistsError, NotAllowedHereError, NotFoundError
from radicale_shared.models import Principal
from radicale_shared.passwords import VerifiedPasswords
from tests.conftest import BY, examples

LONG = timedelta(hours=1)


@pytest.fixture
def verified():
    return VerifiedPasswords(LONG)


def a_second(db):
    """Another Database object of the same URL: what another process has."""
    return closing(Database(db.url, pool_size=2, write_wait=timedelta(seconds=10), threads=8))


@pytest.fixture
def verifications(monkeypatch):
    """Counts the costly verifications."""
    seen = []
    original = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda *args: seen.append(args) or original(*args))
    return seen


def add(db, login, **more):
    with db.write() as session:
        return people.add_user(session, login, **more)


def add_group(db, name):
    with db.write() as session:
        return people.add_group(session, name)


def sign_in(db, login, password, verified):
    return accounts.sign_in(db, login, password, verified)


# -- slugs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "slug"),
    [
        ("ada", "ada"),
        ("Ada Lovelace", "ada-lovelace"),
        ("Jörg.Müller@example.org", "jorg.muller@example.org"),
        ("Łukasz", "ukasz"),
        ("久美子", "x"),
        (".hidden", "hidden"),
        ("a/b~c", "a-b-c"),
        ("all", "all-2"),
        ("P", "p-2"),
        ("api", "api-2"),
        ("ldap", "ldap-2"),
        ("healthz", "healthz-2"),
        ("readyz", "readyz-2"),
    ],
)
def test_a_slug_is_made_of_the_login_and_is_never_a_reserved_name(db, login, slug):
    assert add(db, login).slug == slug


@examples(40)
@given(login=st.text(min_size=1, max_size=50))
def test_every_slug_is_a_plain_url_segment(db, login):
    with db.read() as session:
        slug = people.free_slug(session, login)

    assert people._NOT_IN_SLUGS.search(slug) is None
    assert not slug.startswith(".")
    assert "~" not in slug
    assert slug not in people.RESERVED_SLUGS


def test_users_and_groups_share_one_name_space_of_slugs_and_the_later_one_gets_a_suffix(db):
    add(db, "sales")

    assert add_group(db, "Sales").slug == "sales-2"
    assert add(db, "SÁLES").slug == "sales-3"


def test_a_slug_is_never_given_to_anybody_else_after_a_removal(db):
    first = add(db, "ada")
    with db.write() as session:
        people.remove_user(session, "ada")

    assert add(db, "ada").slug == "ada-2"
    assert first.slug == "ada"


def test_a_new_login_leaves_the_slug(db):
    add(db, "ada")
    with db.write() as session:
        renamed = people.rename_user(session, "ada", "countess")

    assert (renamed.login, renamed.slug) == ("countess", "ada")
    assert add(db, "ada").slug == "ada-2"


# -- logins ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["jörg", "JÖRG", "Jörg ", unicodedata.normalize("NFD", "jörg"), "jÖrg"])
def test_logins_compare_by_nfc_and_casefold(db, verified, typed):
    add(db, "Jörg", password="secret")

    assert sign_in(db, typed, "secret", verified) == "jorg"
    with pytest.raises(AlreadyExistsError):
        add(db, typed)


def test_sharp_s_equals_two_s_as_casefolding_has_it(db):
    add(db, "strauß")

    with db.read() as session:
        assert people.user(session, "STRAUSS").login == "strauß"


@pytest.mark.parametrize("login", ["", "   ", "a:b", "a\nb", "a\x00b", "x" * 321])
def test_what_http_basic_can_not_carry_is_no_login(db, login):
    with pytest.raises(NotAllowedHereError):
        add(db, login)


def test_a_login_in_use_can_not_be_taken_by_renaming(db):
    add(db, "ada")
    add(db, "ben")

    with pytest.raises(AlreadyExistsError), db.write() as session:
        people.rename_user(session, "ben", "ADA")


def test_the_spelling_of_the_own_login_may_change(db):
    add(db, "ada")

    with db.write() as session:
        assert people.rename_user(session, "ada", "Ada").login == "Ada"


def test_a_removed_user_frees_the_login_and_keeps_the_name_for_the_history(db, verified):
    gone = add(db, "ada", name="Ada", password="secret")
    with db.write() as session:
        people.remove_user(session, "ada")

    with db.read() as session:
        assert session.scalar(select(Principal.name).where(Principal.slug == gone.slug)) == "Ada"
        assert people.by_slug(session, gone.slug) is None
        with pytest.raises(NotFoundError):
            people.user(session, "ada")
    assert sign_in(db, "ada", "secret", verified) is None
    assert add(db, "ada").id != gone.id


def test_a_user_who_owns_books_can_not_be_removed(organisation):
    with pytest.raises(NotAllowedHereError), organisation.db.write() as session:
        people.remove_user(session, "ada")


# -- groups ------------------------------------------------------------------------------------------------------------


def readable(db, slug):
    with db.read() as session:
        return {one.book.address for one in access.all_readable(session, slug)}


@pytest.fixture
def shared(db):
    """A book that the group "outer" may read."""
    outer = add_group(db, "outer")
    with db.write() as session:
        book = books.add(session, outer, "book", by=BY)
        grants.give(session, book, "group:outer", Role.VIEWER, by=BY)
    return book


def test_a_group_in_a_group_gives_its_members_the_outer_groups_books(db, shared):
    add(db, "ada")
    for name in ("middle", "inner"):
        add_group(db, name)
    with db.write() as session:
        people.add_member(session, "outer", "group:middle")
        people.add_member(session, "middle", "group:inner")
        people.add_member(session, "inner", "ada")

    assert readable(db, "ada") == {"outer/book"}


def test_groups_in_a_circle_end_and_give_everybody_in_it_the_book(db, shared):
    add(db, "ada")
    add_group(db, "inner")
    with db.write() as session:
        people.add_member(session, "outer", "group:inner")
        people.add_member(session, "inner", "group:outer")
        people.add_member(session, "inner", "ada")

    assert readable(db, "ada") == {"outer/book"}


def test_a_group_is_no_member_of_itself(db):
    add_group(db, "outer")

    with pytest.raises(NotAllowedHereError), db.write() as session:
        people.add_member(session, "outer", "group:outer")


def test_a_removed_group_takes_its_members_and_grants_along(db, shared):
    add(db, "ada")
    add_group(db, "inner")
    with db.write() as session:
        people.add_member(session, "outer", "group:inner")
        people.add_member(session, "inner", "ada")
        people.remove_group(session, "inner")

    assert readable(db, "ada") == set()
    with pytest.raises(NotFoundError), db.read() as session:
        people.group(session, "inner")


def test_a_member_taken_out_loses_the_book_and_can_not_be_taken_out_twice(db, shared):
    add(db, "ada")
    with db.write() as session:
        people.add_member(session, "outer", "ada")
        people.remove_member(session, "outer", "ada")

    assert readable(db, "ada") == set()
    with pytest.raises(NotFoundError), db.write() as session:
        people.remove_member(session, "outer", "ada")


def test_a_renamed_group_keeps_slug_members_and_books(db, shared):
    add(db, "ada")
    with db.write() as session:
        people.add_member(session, "outer", "ada")
        renamed = people.rename_group(session, "outer", "Everyone Abroad")

    assert renamed.slug == "outer"
    assert readable(db, "ada") == {"outer/book"}
    with db.read() as session:
        assert people.group(session, "group:Everyone Abroad").id == renamed.id
        assert people.members(session, renamed.id) == ["ada"]


# -- signing in --------------------------------------------------------------------------------------------------------


def test_the_right_password_signs_in_and_nothing_else_does(db, verified):
    add(db, "ada", password="secret")
    add(db, "nobody-yet")

    assert sign_in(db, "ada", "secret", verified) == "ada"
    for login, password in [
        ("ada", "Secret"),
        ("ada", ""),
        ("ada", "secret "),
        ("ada", "x" * 5000),
        ("ada", "secret\x00"),
        ("nobody-yet", ""),
        ("nobody-yet", "secret"),
        ("unknown", "secret"),
        ("ada\x00", "secret"),
        ("x" * 5000, "secret"),
    ]:
        assert sign_in(db, login, password, verified) is None


def test_a_group_can_not_sign_in(db, verified):
    add_group(db, "sales")

    assert sign_in(db, "sales", "sales", verified) is None


def test_a_stored_password_is_argon2id_at_its_full_cost(monkeypatch):
    monkeypatch.undo()
    settings = passwords.argon2.using(type="ID", memory_cost=19456, time_cost=2, parallelism=1)
    monkeypatch.setattr(passwords, "_ARGON2", settings)

    assert passwords.hashed("secret").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["", "a\x00b", "x" * 4097])
def test_a_password_that_can_not_be_checked_can_not_be_set(db, password):
    add(db, "ada")

    with pytest.raises(NotAllowedHereError), db.write() as session:
        people.set_password(session, "ada", password)


def test_a_sign_in_is_one_statement_and_the_second_one_no_verification(db, verified, verifications, statements):
    add(db, "ada", password="secret")
    sign_in(db, "ada", "secret", verified)
    statements.clear()

    assert sign_in(db, "ada", "secret", verified) == "ada"

    assert len(statements) == 1
    assert len(verifications) == 1


def test_a_remembered_password_does_not_let_a_wrong_one_in(db, verified):
    add(db, "ada", password="secret")
    sign_in(db, "ada", "secret", verified)

    assert sign_in(db, "ada", "wrong", verified) is None


def test_a_verified_password_is_forgotten_after_its_life(db, verifications):
    add(db, "ada", password="secret")
    expired = VerifiedPasswords(timedelta(0))

    assert [sign_in(db, "ada", "secret", expired) for _ in range(2)] == ["ada", "ada"]
    assert len(verifications) == 2


def test_the_memory_of_verified_passwords_is_bounded(monkeypatch):
    monkeypatch.setattr(passwords, "_MOST_REMEMBERED", 3)
    verified = VerifiedPasswords(LONG)
    for version in range(10):
        verified.remember((1, version), "secret")

    assert len(verified._known) == 3


CUTS = {
    "another password": lambda session: people.set_password(session, "ada", "other"),
    "disabled": lambda session: people.set_enabled(session, "ada", enabled=False),
    "removed": lambda session: people.remove_user(session, "ada"),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_a_remembered_password_ends_at_once_in_every_process(db, verified, cut):
    add(db, "ada", password="secret")
    with a_second(db) as other:
        assert sign_in(other, "ada", "secret", verified) == "ada"

        with db.write() as session:
            cut(session)

        assert sign_in(other, "ada", "secret", verified) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: people.add_member(session, "sales", "ben"),
        lambda session: people.remove_member(session, "sales", "ada"),
        lambda session: grants.give(session, books.find(session, "ada/contacts"), "user:ben", Role.VIEWER, by=BY),
        lambda session: grants.take(session, books.find(session, "sales/leads"), "group:sales", by=BY),
        lambda session: people.set_enabled(session, "ben", enabled=False),
    ],
    ids=["member added", "member removed", "grant", "grant taken", "somebody disabled"],
)
def test_a_change_of_rights_makes_nobody_verify_anew(organisation, verified, verifications, change):
    db = organisation.db
    with db.write() as session:
        people.remove_member(session, "sales", "ben")
    with a_second(db) as other:
        sign_in(other, "ada", "adaada", verified)
        with db.write() as session:
            change(session)

        assert sign_in(other, "ada", "adaada", verified) == "ada"

    assert len(verifications) == 1


def test_an_enabled_user_signs_in_again(db, verified):
    add(db, "ada", password="secret")
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
        people.set_enabled(session, "ada", enabled=True)

    assert sign_in(db, "ada", "secret", verified) == "ada"


def test_an_unknown_login_costs_a_verification_like_a_wrong_password(db, verified, verifications):
    sign_in(db, "unknown", "secret", verified)

    assert len(verifications) == 1


def test_one_url_has_one_database_object_a_process(db):
    assert database.connect(db.url) is db
