"""Which entries are found by what: beginnings of words, digits, texts; and that hidden values make no difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from radicale_shared import access, books, entry_search, grants, phone_books
from radicale_shared import people as principals
from radicale_shared.access import Access, Role
from radicale_shared.database import Database
from radicale_shared.entries import Entry
from radicale_shared.entry_search import EVERY, AllOf, AnyOf, begins, has_text
from radicale_shared.entry_sources import HasKey, HasText
from tests.conftest import BY, Organisation, Statements, card

LEADS = "sales~leads"


def person(uid: str, family: str, given: str, *lines: str) -> bytes:
    return card(uid, f"{given} {family}".strip(), *lines).replace(
        f"N:{given} {family}".strip().encode() + b";;;;", f"N:{family};{given};;;".encode()
    )


@pytest.fixture
def people(organisation: Organisation) -> Organisation:
    for uid, family, given, *lines in (
        ("1", "Schmidt", "Eva", "TEL;TYPE=work:+49 30 1234567", "ORG:Muster GmbH"),
        ("2", "Schmitz", "Jörg", "TEL;TYPE=cell:+49 171 7654321", "EMAIL:joerg@muster.example"),
        ("3", "Weiß", "Ann-Sophie", "TEL:610", "ORG:Schmied & Söhne", "NOTE:likes schmaltz"),
        ("4", "Ødegård", "Åse", "TEL:+47 22 12 34 56", "TITLE:Verkauf"),
    ):
        organisation.put("ada", LEADS, f"{uid}.vcf", person(uid, family, given, *lines))
    return organisation


def accesses(db: Database, login: str = "ben") -> Mapping[int, Access]:
    with db.read() as session:
        return {one.book.id: one for one in access.all_readable(session, login)}


def uids(found: list[Entry]) -> list[str]:
    return [one.uid for one in found]


def by_words(db: Database, written: str, login: str = "ben", *, limit: int = 50) -> list[str]:
    theirs = accesses(db, login)
    with db.read() as session:
        return uids(entry_search.by_words(session, theirs, written, limit=limit))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        *(("schm", ["1", "2", "3"]), ("SCHMI", ["1", "2", "3"]), ("eva", ["1"]), ("sch ev", ["1"]), ("ev sch", ["1"])),
        *(("muster", ["1"]), ("jorg", ["2"]), ("jörg", ["2"]), ("weiss", ["3"]), ("sophie", ["3"]), ("ann-s", ["3"])),
        *(("odeg", ["4"]), ("ase øde", ["4"]), ("schmidt jörg", []), ("chmidt", []), ("joerg@m", ["2"])),
        ("", ["4", "1", "2", "3"]),
        ("%", []),
    ],
)
def test_a_person_is_found_by_beginnings_of_words(people: Organisation, written: str, found: list[str]) -> None:
    assert by_words(people.db, written) == found


def test_a_search_gives_the_first_and_no_more_than_are_asked_for(people: Organisation) -> None:
    assert [by_words(people.db, "", limit=most) for most in (0, 1, 3)] == [[], ["4"], ["4", "1", "2"]]


@pytest.mark.parametrize(
    ("digits", "found"),
    [
        *(("4930123", ["1"]), ("0301234567", ["1"]), ("00493012", ["1"]), ("34567", ["1"]), ("610", ["3"])),
        *(("1234567", ["1"]), ("234", ["1", "4"]), ("3456", ["4", "1"]), ("999", []), ("0", ["3"]), ("", [])),
    ],
)
def test_a_person_is_found_by_digits(people: Organisation, digits: str, found: list[str]) -> None:
    theirs = accesses(people.db)
    with people.db.read() as session:
        assert uids(entry_search.by_number(session, theirs, digits, limit=50)) == found


def test_a_person_is_found_by_the_keys_of_a_telephone(people: Organisation) -> None:
    theirs = accesses(people.db)
    with people.db.read() as session:
        assert uids(entry_search.by_t9(session, theirs, "724643", limit=50)) == ["1", "3"]
        assert uids(entry_search.by_t9(session, theirs, "", limit=50)) == []


def found_by(db: Database, narrowing: entry_search.Narrowing, login: str = "ben", **more: object) -> list[str]:
    return [
        hit.entry.uid
        for hit in entry_search.find(db.read, accesses(db, login), narrowing, lambda _: True, **more)  # type: ignore[arg-type]
    ]


def test_what_narrows_gives_all_that_may_match(people: Organisation) -> None:
    db = people.db
    assert found_by(db, has_text(["fn", "n"], "Schmi")) == ["1", "2"]
    assert found_by(db, has_text(["org"], "SÖHNE")) == ["3"]
    assert found_by(db, has_text(["org"], "sohne")) == ["3"]
    assert found_by(db, has_text(["fn"], "Øde")) == found_by(db, has_text(["fn"], "ode")) == ["4"]
    assert found_by(db, begins("Eva Schm")) == ["1", "3", "2"]
    assert found_by(db, AllOf((begins("sch"), HasText(frozenset({"tel"}), "123456")))) == ["1", "4"]
    assert found_by(db, AnyOf((begins("eva"), begins("odegard")))) == ["1", "4"]
    assert found_by(db, AnyOf((begins("eva"), EVERY))) == ["4", "1", "2", "3"]
    assert found_by(db, AnyOf(())) == []
    assert found_by(db, HasKey("d610", is_whole=True)) == ["3"]
    assert found_by(db, HasKey("d61", is_whole=True)) == []


NARROWINGS = [
    EVERY,
    begins("sch"),
    has_text(["fn", "n", "note"], "schm"),
    AnyOf((begins("schm"), has_text(["title"], "ver"))),
]


@pytest.mark.parametrize("narrowing", NARROWINGS)
@pytest.mark.parametrize("login", ["ben", "carla"])
def test_a_search_goes_on_after_any_of_its_entries(
    people: Organisation, narrowing: entry_search.Narrowing, login: str
) -> None:
    hide_from_carla(people, "note")
    theirs = accesses(people.db, login)
    whole = list(entry_search.find(people.db.read, theirs, narrowing, lambda _: True))
    assert whole
    for at, hit in enumerate(whole):
        rest = entry_search.find(people.db.read, theirs, narrowing, lambda _: True, after=hit.place)
        assert list(rest) == whole[at + 1 :]


def hide_from_carla(people: Organisation, *fields: str) -> None:
    with people.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.give(session, book, "user:carla", Role.VIEWER, hide=list(fields), by=BY)


def test_what_is_hidden_finds_nothing(people: Organisation) -> None:
    hide_from_carla(people, "note", "org", "tel", "email")
    db = people.db
    assert by_words(db, "schm", "carla") == ["1", "2"]
    assert by_words(db, "muster", "carla") == []
    assert by_words(db, "joerg@", "carla") == []
    assert found_by(db, has_text(["note"], "schmaltz"), "carla") == []
    assert found_by(db, HasKey("d"), "carla") == []
    assert found_by(db, EVERY, "carla") == ["1", "2", "3", "4"]  # not by names: one may be hidden
    theirs = accesses(db, "carla")
    with db.read() as session:
        assert entry_search.by_number(session, theirs, "4930", limit=9) == []


def test_a_first_page_reads_as_much_in_a_large_book_as_in_a_small_one(
    organisation: Organisation, statements: Statements
) -> None:
    costs = []
    for count in (60, 600):
        for number in range(count):
            organisation.put(
                "ada", LEADS, f"{number}.vcf", card(str(number), f"Schmidt{number:04}", "TEL:+49301234567")
            )
        theirs = accesses(organisation.db)
        statements.clear()
        for narrowing in (begins("schm"), has_text(["fn"], "hmidt"), EVERY):
            found = entry_search.find(organisation.db.read, theirs, narrowing, lambda _: True)
            assert len([next(found) for _ in range(20)]) == 20
        costs.append(len(statements))
    assert costs == [7, 7]


def test_who_is_hidden_from_phones_is_found_by_people_alone(people: Organisation) -> None:
    leads = people.book("sales/leads")
    with people.db.write(leads.id) as session:
        phone_books.hide_card(session, leads, "1.vcf", hidden=True, by=BY)
    theirs = accesses(people.db)
    with people.db.read() as session:
        assert uids(entry_search.by_words(session, theirs, "schm", limit=9)) == ["2", "3"]
        assert entry_search.by_number(session, theirs, "4930123", limit=9) == []
    of_people = entry_search.find(people.db.read, theirs, begins("schm"), lambda _: True)
    assert sorted(hit.entry.uid for hit in of_people) == ["1", "2", "3"]


def test_what_a_phone_does_not_show_finds_nobody_there(people: Organisation) -> None:
    def shown(entry: Entry) -> Entry:
        return replace(entry, org="", units=(), emails=())

    theirs = accesses(people.db)
    with people.db.read() as session:
        assert uids(entry_search.by_words(session, theirs, "muster", limit=9)) == ["1"]
        assert entry_search.by_words(session, theirs, "muster", limit=9, shown=shown) == []
        assert uids(entry_search.by_words(session, theirs, "schm", limit=9, shown=shown)) == ["1", "2"]
        assert entry_search.by_words(session, theirs, "joerg@muster", limit=9, shown=shown) == []


def test_more_books_than_one_statement_takes_are_searched_in_pages(organisation: Organisation) -> None:
    with organisation.db.write() as session:
        ada = principals.user(session, "ada")
        for number in range(140):
            books.add(session, ada, f"b{number}", name=f"B{number}", by=BY)
    for number in range(0, 140, 3):
        organisation.put("ada", f"b{number}", "1.vcf", card(f"u{number}", f"Meyer{number:03}"))
    db, theirs = organisation.db, accesses(organisation.db, "ada")
    for narrowing in (begins("mey"), has_text(["fn"], "eyer"), EVERY):
        whole = list(entry_search.find(db.read, theirs, narrowing, lambda _: True))
        assert len({hit.entry.uid for hit in whole}) == len(whole) == 47
        for at in (0, 20, 45):
            rest = entry_search.find(db.read, theirs, narrowing, lambda _: True, after=whole[at].place)
            assert [hit.entry.uid for hit in rest] == [hit.entry.uid for hit in whole[at + 1 :]]
