"""What somebody may not see is in no answer of the LDAP view, and makes no answer other than it were without it.

Two books have the same people. In one of them their cards have canaries in fields that are hidden, and there are people
who are hidden from phones; in the other one there is nothing of that. No search can tell the two from one another.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.conv import escape_filter_chars
from sqlalchemy import update

from radicale_shared import books, grants, models, people, phone_books, phone_profiles
from radicale_shared.access import Role
from radicale_shared.database import Database
from radicale_shared.devices import Device
from radicale_shared.ldap_view import filters
from radicale_shared.ldap_view.requests import Found, Scope, SortKey
from radicale_shared.ldap_view.results import CannotSortError, ResultError
from radicale_shared.phone_profiles import Choices
from tests.canaries import EVERY_FIELD, WORD, canary, found_in
from tests.canaries import card as canary_card
from tests.conftest import BY, Organisation, examples
from tests.ldap_view import asked

HIDDEN = ["note", "org", "email", "title", "adr", "nickname", "categories", "url", "tel:home", "other"]
PEOPLE = (
    ("Schmidt", "Eva"),
    ("Schmidt", "Jan"),
    ("Schmitz", "Ada"),
    ("Meyer", "Jan"),
    ("Berg", ""),
    ("van der Berg", "Li"),
)
WITH_CANARY, WITHOUT = "ou=sales~leads,dc=contacts", "ou=sales~twin,dc=contacts"


def person(at: int, *lines: str) -> bytes:
    family, first = PEOPLE[at % len(PEOPLE)]
    written = [
        *("BEGIN:VCARD", "VERSION:3.0", f"UID:{at}", f"FN:{first} {family} {at}", f"N:{family};{first};;;"),
        *(f"TEL;TYPE=work:+49 30 12345{at:02}", *lines, "END:VCARD", ""),
    ]
    return "\r\n".join(written).encode()


def secret(at: int) -> tuple[str, ...]:
    """Lines of fields that are hidden, each with a canary; some of them are like what others have openly."""
    return (
        *(f"NOTE:{canary(at)} Schmidt", f"ORG:{canary(at)} Aaa;Berg", f"EMAIL:{canary(at)}@schmidt.example"),
        *(f"TITLE:{canary(at)} Jan", f"ADR:;;{canary(at)};Berg;;123;DE", f"NICKNAME:Schmidt{canary(at)}"),
        *(f"CATEGORIES:{canary(at)},Meyer", f"URL:http://{canary(at)}.example", f"TEL;TYPE=home:+49 171 99988{at:02}"),
        *(f"X-THING:{canary(at)}", f"ROLE:{canary(at)}"),
    )


@pytest.fixture
def two_books(organisation: Organisation) -> Organisation:
    db = organisation.db
    with db.write() as session:
        twin = books.add(session, people.group(session, "sales"), "twin", name="Leads", by=BY)
        leads = books.find(session, "sales/leads")
        grants.give(session, twin, "group:sales", Role.EDITOR, by=BY)
        for book in (leads, twin):
            grants.give(session, book, "user:carla", Role.VIEWER, hide=HIDDEN, by=BY)
        phone_books.set_region(session, "DE", by=BY)
        foreign = books.add(session, people.user(session, "ben"), "foreign", name=canary(99), by=BY)
    for at in range(18):
        organisation.put("ada", "sales~leads", f"{at}.vcf", person(at, *secret(at)))
        organisation.put("ada", "sales~twin", f"{at}.vcf", person(at))
        organisation.put("ben", foreign.slug, f"{at}.vcf", person(at, *secret(at)))
    return organisation


def carla(_: Organisation) -> tuple[str, Device | None]:
    """From whom the grants hide fields."""
    return "carla", None


def phone(organisation: Organisation) -> tuple[str, Device | None]:
    """A phone of Ada, who sees all; the phone shows few fields, and some people are hidden from it."""
    with organisation.db.write() as session:
        ada = people.user(session, "ada")
        choices = Choices(make="yealink", fields=frozenset({"tel:work"}))
        profile, _ = phone_profiles.add(session, ada, "desk", choices, secret=organisation.db.secret, by=BY)
    for at in range(30, 40):
        organisation.put("ada", "sales~leads", f"{at}.vcf", person(at, f"NOTE:{canary(at)}", *secret(at)))
    leads = organisation.book("sales/leads")
    with organisation.db.write(leads.id) as session:
        for at in range(30, 40):
            phone_books.hide_card(session, leads, f"{at}.vcf", hidden=True, by=BY)
        hidden = books.find(session, "ada/contacts")
    organisation.put("ada", "contacts", "1.vcf", person(1, *secret(1)))
    with organisation.db.write(hidden.id) as session:
        phone_books.hide(session, hidden, hidden=True, by=BY)
    return "ada", profile.device


ATTRIBUTES = (
    *("cn", "sn", "givenName", "o", "ou", "mail", "telephoneNumber", "homePhone", "mobile", "ipPhone", "title", "l"),
    *(
        "description",
        "street",
        "mozillaNickname",
        "businessCategory",
        "labeledURI",
        "displayName",
        "objectClass",
        "nonsense",
    ),
)
TEXTS = (
    *(
        WORD,
        "kanarie",
        canary(3),
        "vogel",
        "Schmi",
        "schmidt",
        "jan",
        "Berg",
        "berg 4",
        "Aaa",
        "e",
        "an",
        "eva",
        "12345",
    ),
    *("4930", "030", "0", "+49 171 99988", "9998", "88", "DE", "person", "example", "123", "m", "Meyer"),
)

FORMS = ("{0}={1}", "{0}={1}*", "{0}=*{1}*", "{0}=*{1}", "{0}=*", "{0}>={1}", "{0}<={1}", "{0}~={1}")


@st.composite
def a_filter(draw: st.DrawFn) -> str:
    name, text = draw(st.sampled_from(ATTRIBUTES)), escape_filter_chars(draw(st.sampled_from(TEXTS)))
    form = draw(
        st.sampled_from(["{0}={1}", "{0}={1}*", "{0}=*{1}*", "{0}=*{1}", "{0}=*", "{0}>={1}", "{0}<={1}", "{0}~={1}"])
    )
    return f"({form.format(name, text)})"


FILTERS = st.recursive(
    a_filter(),
    lambda some: st.one_of(
        some.map("(!{})".format),
        st.lists(some, min_size=1, max_size=3).map(lambda parts: f"(&{''.join(parts)})"),
        st.lists(some, min_size=1, max_size=3).map(lambda parts: f"(|{''.join(parts)})"),
    ),
    max_leaves=5,
)
SORTS = st.one_of(
    st.just(()),
    st.lists(st.builds(SortKey, st.sampled_from(["sn", "cn", "o", "mail", "title"]), st.booleans()), max_size=2).map(
        tuple
    ),
)


def told(
    db: Database, who: tuple[str, Device | None], tree: filters.Filter, base: str, size: int, sort: tuple[SortKey, ...]
) -> object:
    """All that a client gets of a search in pages, less what names the book and the card; or how it ends."""
    pages, after = [], b""
    try:
        while page := asked.searched(
            db, who[0], tree, base=base, scope=Scope.ONE, device=who[1], most=size, after=after, sort=sort
        ):
            pages.append([apart_from_names(one) for one in page])
            after = page[-1].position
            assert len(pages) < 100
    except ResultError as error:
        return pages, error.code
    except CannotSortError:
        return pages, "unsorted"
    return pages


def apart_from_names(found: Found) -> dict[str, list[str]]:
    kept = {name: list(values) for name, values in found.attributes.items() if name not in {"uid", "entryDN"}}
    assert WORD.lower() not in str((found.dn, kept, found.position)).lower()
    assert "99988" not in str(kept)
    return kept


@pytest.mark.parametrize("reader", [carla, phone])
def test_no_search_tells_a_book_with_canaries_from_one_without(
    two_books: Organisation, reader: Callable[[Organisation], tuple[str, Device | None]]
) -> None:
    who = reader(two_books)

    @examples(60)
    @given(FILTERS, st.sampled_from([1, 2, 5, 100]), SORTS)
    def same(wanted: str, size: int, sort: tuple[SortKey, ...]) -> None:
        tree = asked.parsed(wanted)
        answers = [told(two_books.db, who, tree, base, size, sort) for base in (WITH_CANARY, WITHOUT)]
        assert answers[0] == answers[1]

    same()
    everybody = told(two_books.db, who, asked.parsed("(objectClass=*)"), WITHOUT, 100, ())
    assert isinstance(everybody, list)
    assert len(everybody[0]) == 18


@pytest.mark.parametrize("reader", [carla, phone])
def test_nothing_of_foreign_books_or_hidden_people_is_below_the_suffix(
    two_books: Organisation, reader: Callable[[Organisation], tuple[str, Device | None]]
) -> None:
    slug, device = reader(two_books)
    for wanted in (
        "(objectClass=*)",
        f"(cn=*{WORD}*)",
        f"(!(cn={WORD}*))",
        "(cn=*schmidt*)",
        f"(description=*{WORD}*)",
    ):
        for one in asked.searched(two_books.db, slug, wanted, device=device):
            apart_from_names(one)
            assert "foreign" not in one.dn
            assert "ada~contacts" not in one.dn


@pytest.mark.parametrize(
    "base", ["ou=ben~foreign,dc=contacts", "ou=ben~nothing,dc=contacts", "uid=1,ou=ben~foreign,dc=contacts"]
)
def test_a_foreign_book_is_answered_like_none(two_books: Organisation, base: str) -> None:
    with pytest.raises(ResultError) as refused:
        asked.searched(two_books.db, "carla", "(objectClass=*)", base=base)
    assert (refused.value.code, refused.value.text, refused.value.matched) == (32, "", "dc=contacts")


def test_a_card_of_another_book_is_not_below_a_unit_that_one_may_read(two_books: Organisation) -> None:
    ids = [
        one.dn.partition(",")[0]
        for one in asked.searched(two_books.db, "ben", "(sn=Meyer)", base="ou=ben~foreign,dc=contacts")
    ]
    assert ids
    for base in (f"{rdn},{WITH_CANARY}" for rdn in ids):
        with pytest.raises(ResultError) as refused:
            asked.searched(two_books.db, "carla", "(objectClass=*)", base=base, scope=Scope.BASE)
        assert refused.value.code == 32


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_no_canary_of_any_field_is_told(organisation: Organisation, version: str) -> None:
    data, _ = canary_card("1", version)
    organisation.put("ada", "sales~leads", "1.vcf", data)
    with organisation.db.write() as session:
        leads = books.find(session, "sales/leads")
        grants.give(session, leads, "user:carla", Role.VIEWER, hide=EVERY_FIELD, by=BY)
    for wanted in ("(objectClass=*)", f"(|{''.join(f'({name}=*{WORD}*)' for name in ATTRIBUTES)})"):
        for one in asked.searched(organisation.db, "carla", wanted):
            assert not found_in(str((one.dn, dict(one.attributes), one.position)).encode())


def test_who_has_no_name_but_a_hidden_company_is_found_as_who_has_none(two_books: Organisation) -> None:
    for at in range(50, 53):
        lines = ("FN:", "N:;;;;", f"TEL;TYPE=work:+49 30 77777{at}")
        for book, hidden in (("sales~leads", (f"ORG:{canary(at)}", f"NICKNAME:{canary(at)}")), ("sales~twin", ())):
            written = ("BEGIN:VCARD", "VERSION:3.0", f"UID:{at}", *lines, *hidden, "END:VCARD", "")
            two_books.put("ada", book, f"{at}.vcf", "\r\n".join(written).encode())
    for wanted in (
        "(objectClass=person)",
        "(cn=*)",
        "(cn=+*)",
        "(cn=*777*)",
        "(!(sn=Schmidt))",
        "(telephoneNumber=*52)",
    ):
        for size in (1, 100):
            tree = asked.parsed(wanted)
            answers = [told(two_books.db, ("carla", None), tree, base, size, ()) for base in (WITH_CANARY, WITHOUT)]
            assert answers[0] == answers[1]
    name = "+49 30 7777751"
    assert asked.names(two_books.db, "carla", f"(&(objectClass=person)(!(!(cn={name}))))", base=WITH_CANARY)


def test_a_search_only_book_is_searched_and_never_listed(organisation: Organisation) -> None:
    for at in range(130):
        organisation.put("ada", "sales~leads", f"{at}.vcf", person(at))
    with organisation.db.write() as session:
        session.execute(update(models.table(models.Book)).where(models.Book.slug == "leads").values(search_only=True))
    db = organisation.db

    def count(wanted: str, after: bytes = b"", most: int = 1000) -> list[Found]:
        return asked.searched(db, "ada", wanted, base=WITH_CANARY, scope=Scope.ONE, after=after, most=most)

    for wanted in (
        "(objectClass=*)",
        "(sn=*)",
        "(sn=sc*)",
        "(!(sn=meyer))",
        "(sn>=a)",
        "(telephoneNumber=*1234*)",
        "(cn=*e*)",
        "(|(cn=*345*)(telephoneNumber=*345*))",
        "(|(telephoneNumber=*2345*)(cn=*2345*)(mail=*2345*))",
    ):
        assert count(wanted) == []
    assert len(count("(|(cn=*101*)(telephoneNumber=*101*))")) == 1
    assert len(count("(sn=meyer)")) == 22
    assert len(count("(|(cn=*berg*)(cn=*schm*)(cn=*meyer*))")) == 100
    assert len(count("(telephoneNumber=+49 30 1234505)")) == 1
    # What is not enough for the first of two is enough for the second one, on all pages.
    twofold, last = "(|(sn=me*)(cn=*meyer*))", b""
    for _ in range(22):
        (one,) = count(twofold, after=last, most=1)
        last = one.position
    assert count(twofold, after=last) == []
    first = count("(|(cn=*berg*)(cn=*schm*)(cn=*meyer*))", most=60)
    assert len(count("(|(cn=*berg*)(cn=*schm*)(cn=*meyer*))", after=first[-1].position)) == 40


def test_names_of_entries_cannot_be_made_up(organisation: Organisation) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", person(1))
    (name,) = asked.names(organisation.db, "ada", "(sn=Schmidt)")
    assert asked.names(organisation.db, "ada", "(sn=Schmidt)", base=name, scope=Scope.BASE) == [name]
    uid = name.partition(",")[0].removeprefix("uid=")
    assert asked.names(organisation.db, "ada", f"(uid={uid})") == [name]
    for other in ("1", str(int(uid) + 1), f"{uid}0", "", "x"):
        assert asked.names(organisation.db, "ada", f"(uid={other})") == []
        with pytest.raises(ResultError):
            asked.names(organisation.db, "ada", "(sn=*)", base=f"uid={other},{WITH_CANARY}", scope=Scope.BASE)


def test_who_is_no_longer_there_finds_nothing(organisation: Organisation) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", person(1))
    assert asked.names(organisation.db, "ada", "(sn=Schmidt)")
    with organisation.db.write() as session:
        people.remove_member(session, "sales", "ada")
    assert asked.names(organisation.db, "ada", "(sn=Schmidt)") == []
    assert asked.names(organisation.db, "nobody", "(objectClass=*)") == ["dc=contacts"]
