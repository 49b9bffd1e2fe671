"""What of the tree a search finds, in what order, and what the values of an entry are."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import pytest

from radicale_shared import books, grants, people, phone_books, phone_profiles
from radicale_shared.access import Role
from radicale_shared.database import Database
from radicale_shared.devices import Device
from radicale_shared.ldap_view import filters
from radicale_shared.ldap_view.requests import Identity, Scope, Search, SearchRequest, SortKey
from radicale_shared.ldap_view.results import CannotSortError, Code, ResultError
from radicale_shared.ldap_view.search import answer
from radicale_shared.numbers import Dial
from radicale_shared.phone_profiles import Choices
from tests.conftest import BY, Organisation, Statements, card
from tests.ldap_view import asked

LEADS, OWN = "ou=sales~leads,dc=contacts", "ou=ada~contacts,dc=contacts"


@pytest.fixture
def german(organisation: Organisation) -> Organisation:
    with organisation.db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
    return organisation


def full() -> bytes:
    lines = (
        *("BEGIN:VCARD", "VERSION:3.0", "UID:eva", "FN:Dr. Eva Muster", "N:Muster;Eva;Maria;Dr.;jun."),
        *("ORG:Muster GmbH;Sales;North", "TITLE:Head of Sales", "NICKNAME:Evi", "NOTE:likes\\ntea", "CATEGORIES:a,b"),
        *("EMAIL;TYPE=home:eva@home.example", "EMAIL;TYPE=work,pref:eva@muster.example", "URL:http://muster.example"),
        *("TEL;TYPE=work:030/1234567", "TEL;TYPE=cell:+49 171 7654321", "TEL;TYPE=home:+44 20 7946 0000", "TEL:610"),
        *("TEL;TYPE=work,fax:+49 30 1234568", "TEL;TYPE=pager:+49 30 1234569", "TEL;TYPE=work:*21"),
        *("ADR;TYPE=home:;;Hof 1;Linz;OÖ;4020;Austria", "ADR;TYPE=work:;;Weg 2;Berlin;;10115;DE", "END:VCARD", ""),
    )
    return "\r\n".join(lines).encode()


def test_an_entry_has_what_its_card_has(german: Organisation) -> None:
    german.put("ada", "sales~leads", "eva.vcf", full())
    (found,) = asked.searched(german.db, "ada", "(cn=dr. eva*)")
    told = {name: list(values) for name, values in found.attributes.items()}
    assert found.dn == f"uid={told.pop('uid')[0]},{LEADS}"
    assert told == {
        "objectClass": ["top", "person", "organizationalPerson", "inetOrgPerson", "mozillaAbPersonAlpha"],
        **{"cn": ["Dr. Eva Muster"], "sn": ["Muster"], "givenName": ["Eva"], "displayName": ["Dr. Eva Muster"]},
        **{"initials": ["EMM"], "generationQualifier": ["jun."], "personalTitle": ["Dr."]},
        **{"mail": ["eva@muster.example", "eva@home.example"], "mozillaSecondEmail": ["eva@home.example"]},
        "telephoneNumber": ["+49301234567", "0301234567", "0049301234567", "610", "*21"],
        "mobile": ["+491717654321", "01717654321", "00491717654321"],
        "homePhone": ["+442079460000", "00442079460000"],
        "facsimileTelephoneNumber": ["+49301234568", "0301234568", "0049301234568"],
        "pager": ["+49301234569", "0301234569", "0049301234569"],
        "ipPhone": ["610", "*21"],
        **{
            "o": ["Muster GmbH"],
            "company": ["Muster GmbH"],
            "ou": ["Sales", "North"],
            "department": ["Sales", "North"],
        },
        **{"title": ["Head of Sales"], "mozillaNickname": ["Evi"], "description": ["likes tea"]},
        **{"businessCategory": ["a", "b"], "labeledURI": ["http://muster.example"]},
        **{"street": ["Weg 2"], "l": ["Berlin"], "postalCode": ["10115"], "co": ["DE"], "c": ["DE"]},
        **{"postalAddress": ["Weg 2$10115 Berlin$DE"], "homePostalAddress": ["Hof 1$4020 Linz$OÖ$Austria"]},
        **{"mozillaHomeStreet": ["Hof 1"], "mozillaHomeLocalityName": ["Linz"], "mozillaHomeState": ["OÖ"]},
        **{"mozillaHomePostalCode": ["4020"], "mozillaHomeCountryName": ["Austria"]},
        **{"structuralObjectClass": ["inetOrgPerson"], "subschemaSubentry": ["cn=Subschema"]},
        **{"hasSubordinates": ["FALSE"], "entryDN": [found.dn]},
    }


def test_every_value_of_every_attribute_finds_its_entry(german: Organisation) -> None:
    german.put("ada", "sales~leads", "eva.vcf", full())
    german.put("ada", "sales~leads", "other.vcf", card("other", "Nobody Else"))
    (found,) = asked.searched(german.db, "ada", "(sn=muster)")
    for name, values in found.attributes.items():
        for value in values:
            written = value.replace("*", "\\2a").replace("(", "\\28").replace(")", "\\29")
            assert found.dn in asked.names(german.db, "ada", f"({name}={written})"), (name, value)
            if name in {"objectClass", "structuralObjectClass", "subschemaSubentry", "entryDN"}:
                continue
            some = value.replace("*", "")
            for wanted in (f"{some[:3]}*", f"*{some[-3:]}", f"*{some[1:5]}*", f"{some[:1]}*", f"*{some[-1:]}"):
                # A plus alone is no number.
                if some and "*" not in value and wanted.strip("+*"):
                    assert found.dn in asked.names(german.db, "ada", f"({name}={wanted})"), (name, wanted)


def phone(organisation: Organisation, **chosen: object) -> Device:
    with organisation.db.write() as session:
        ada = people.user(session, "ada")
        choices = Choices(make="yealink", **chosen)  # type: ignore[arg-type]
        return phone_profiles.add(session, ada, "desk", choices, secret=organisation.db.secret, by=BY)[0].device


def test_a_phone_gets_the_fields_and_the_form_of_its_profile(german: Organisation) -> None:
    german.put("ada", "sales~leads", "eva.vcf", full())
    fields = frozenset({"org", "tel:work"})
    device = phone(german, fields=fields, dial=Dial.NATIONAL, outside_prefix="9", trunk="+493012345")
    (found,) = asked.searched(german.db, "ada", "(sn=muster)", device=device)
    assert list(found.attributes["telephoneNumber"])[:2] == ["67", "+49301234567"]
    assert list(found.attributes["ipPhone"]) == ["67", "*21"]
    assert list(found.attributes["o"]) == ["Muster GmbH"]
    assert not {"mobile", "homePhone", "mail", "description", "title", "l"} & set(found.attributes)
    for wanted in ("(telephoneNumber=67)", "(telephoneNumber=+49 30 1234567)", "(ipPhone=6*)", "(ipPhone=*7)"):
        assert asked.names(german.db, "ada", wanted, device=device) == [found.dn], wanted
    for wanted in ("(mobile=*)", "(mail=eva*)", "(description=*tea*)", "(telephoneNumber=*7654321)"):
        assert asked.names(german.db, "ada", wanted, device=device) == [], wanted


NUMBERS = {"US": "+1 212 555 0100", "RU": "+7 495 123-45-67", "IT": "+39 06 12345678", "DK": "+45 32 12 34 56"}


@pytest.mark.parametrize("region", NUMBERS)
def test_a_number_is_found_in_each_of_its_forms_and_by_any_part_of_them(
    organisation: Organisation, region: str
) -> None:
    with organisation.db.write() as session:
        phone_books.set_region(session, region, by=BY)
    organisation.put("ada", "sales~leads", "1.vcf", card("1", "Eva", f"TEL;TYPE=work:{NUMBERS[region]}"))
    (found,) = asked.searched(organisation.db, "ada", "(sn=eva)")
    forms = found.attributes["telephoneNumber"]
    assert len(forms) >= 2
    for form in forms:
        wanted = [form, *(f"{form[:end]}*" for end in range(2, len(form)))]
        wanted += [f"*{form[at:]}" for at in range(1, len(form))]
        wanted += [f"*{form[at : at + 5]}*" for at in range(1, len(form) - 5)]
        for one in wanted:
            assert asked.names(organisation.db, "ada", f"(telephoneNumber={one})") == [found.dn], one


def filled(organisation: Organisation, count: int, book: str = "sales~leads") -> Database:
    for number in range(count):
        name = f"{'Meyer' if number % 3 else 'Adam'}{number:03}"
        more = (f"EMAIL:{999 - number}@x.example",) if number % 2 else ()
        organisation.put("ada", book, f"{number}.vcf", card(str(number), name, *more))
    return organisation.db


def test_results_come_in_the_order_that_was_asked_for(organisation: Organisation) -> None:
    db = filled(organisation, 30)

    def values(name: str, *keys: SortKey, wanted: str = "(objectClass=person)") -> list[str]:
        return ["".join(one.attributes.get(name, ())) for one in asked.searched(db, "ada", wanted, sort=keys)]

    names = values("sn", SortKey("sn"))
    assert names == sorted(names)
    assert values("sn", SortKey("surname", reverse=True)) == names[::-1]
    mails = values("mail", SortKey("mail"), SortKey("sn"))
    assert mails == [*sorted(filter(None, mails)), *[""] * 15]
    assert values("mail", SortKey("mail", reverse=True))[:15] == [""] * 15
    for unknown in ("nonsense", "objectClass"):
        with pytest.raises(CannotSortError):
            values("sn", SortKey(unknown))


PAGED = ("(objectClass=*)", "(sn=mey*)", "(|(sn=adam*)(mail=*99*))", "(cn=*00*)", "(cn=*e*)")


@pytest.mark.parametrize("sort", [(), (SortKey("mail"),)])
@pytest.mark.parametrize("wanted", PAGED)
def test_pages_have_everything_once_in_the_same_order(
    organisation: Organisation, wanted: str, sort: tuple[SortKey, ...]
) -> None:
    db = filled(organisation, 40)
    whole = asked.names(db, "ada", wanted, sort=sort)
    for size in (1, 7, 39):
        found: list[str] = []
        after = b""
        while page := asked.searched(db, "ada", wanted, most=size, after=after, sort=sort):
            found += [one.dn for one in page]
            after = page[-1].position
            assert len(after) <= 200
        assert found == whole


@pytest.mark.parametrize("letter", ["अ", "𠀀"])
def test_pages_go_on_behind_names_of_many_rare_letters(organisation: Organisation, letter: str) -> None:
    for number in range(5):
        organisation.put("ada", "contacts", f"{number}.vcf", card(f"n{number}", f"{letter * 58}{number}"))
    for wanted in ("(cn=*)", f"(cn={letter}*)"):
        found: list[str] = []
        after = b""
        while page := asked.searched(organisation.db, "ada", wanted, base=OWN, scope=Scope.ONE, most=1, after=after):
            found += [one.attributes["cn"][0][-1] for one in page]
            after = page[-1].position
            assert len(found) <= 5
        assert sorted(found) == ["0", "1", "2", "3", "4"]


def test_who_looks_at_many_entries_in_vain_looks_up_in_between(organisation: Organisation) -> None:
    db = filled(organisation, 60)
    looks: list[None] = []
    assert asked.names(db, "ada", "(!(cn=*))", base=LEADS, scope=Scope.ONE, check=lambda: looks.append(None)) == []
    assert len(looks) >= 60


def test_who_is_found_by_a_text_that_their_entry_lacks_comes_once_on_all_pages(organisation: Organisation) -> None:
    db = organisation.db
    for number in range(4):
        more = ("ORG:First", "ORG:Second", "TITLE:Head")
        organisation.put("ada", "contacts", f"{number}.vcf", card(f"n{number}", f"Name {number}", *more))
    wanted = "(|(o=*second*)(title=*head*))"
    for size in (1, 2, 3):
        found: list[str] = []
        after = b""
        while page := asked.searched(db, "ada", wanted, base=OWN, scope=Scope.ONE, most=size, after=after):
            found += [one.attributes["cn"][0] for one in page]
            after = page[-1].position
        assert sorted(found) == [f"Name {number}" for number in range(4)]


def test_a_filter_of_many_texts_that_nobody_has_looks_up_between_them(organisation: Organisation) -> None:
    db = filled(organisation, 3)
    looks: list[None] = []
    wanted = "".join(f"(cn=*{one}*)(sn={one}{one}{one}*)" for one in "bcfghijk")
    assert asked.names(db, "ada", f"(|{wanted})", check=lambda: looks.append(None)) == []
    assert len(looks) >= 16


def test_who_sorts_looks_up_in_between(organisation: Organisation) -> None:
    db = filled(organisation, 30)
    looks: list[None] = []
    keys = (SortKey("telephonenumber"), SortKey("sn"), SortKey("mail"))
    asked.names(db, "ada", "(cn=*)", base=LEADS, scope=Scope.ONE, sort=keys, check=lambda: looks.append(None))
    assert len(looks) >= 30 * (1 + len(keys))


def test_where_fields_are_hidden_few_cards_are_read_between_two_looks(
    organisation: Organisation, statements: Statements
) -> None:
    db = filled(organisation, 60)
    with db.write() as session:
        grants.give(session, books.find(session, "sales/leads"), "user:carla", Role.VIEWER, hide=["org"], by=BY)
    looks: list[int] = []
    asked.names(db, "carla", "(!(cn=*))", base=LEADS, scope=Scope.ONE, check=lambda: looks.append(len(statements)))
    assert max(after - before for before, after in pairwise(looks)) <= 2


def test_who_is_written_and_removed_between_two_pages_disturbs_nobody_else(organisation: Organisation) -> None:
    db = filled(organisation, 20, "contacts")
    first = asked.searched(db, "ada", "(sn=*e*)", base=OWN, scope=Scope.ONE, most=5)
    rest = asked.names(db, "ada", "(sn=*e*)", base=OWN, scope=Scope.ONE)[5:]
    gone = next(number for number in range(20) if f"Meyer{number:03}" == first[-1].attributes["sn"][0])
    organisation.remove("ada", "contacts", f"{gone}.vcf")
    organisation.put("ada", "contacts", "new.vcf", card("new", "Meyer000a"))
    found = asked.names(db, "ada", "(sn=*e*)", base=OWN, scope=Scope.ONE, after=first[-1].position)
    assert [name for name in found if name in rest] == rest
    assert len(found) <= len(rest) + 1


def test_a_search_ends_where_it_is_told_to_and_what_it_found_remains(organisation: Organisation) -> None:
    db = filled(organisation, 60)
    is_over = False

    def check() -> None:
        if is_over:
            raise ResultError(Code.TIME_LIMIT_EXCEEDED)

    request = SearchRequest(LEADS, Scope.ONE, 0, 0, False, asked.parsed("(cn=*)"))
    found = answer(db, Identity("ada"), Search(request, asked.SUFFIX, 10, b"", (), check))
    assert [next(found).dn for _ in range(24)]
    is_over = True
    with pytest.raises(ResultError) as ended:
        next(found)
    assert ended.value.code == Code.TIME_LIMIT_EXCEEDED


def test_a_first_page_asks_the_database_five_times_at_most(organisation: Organisation, statements: Statements) -> None:
    db = filled(organisation, 100)
    for wanted in ("(sn=mey*)", "(cn=*eyer*)", "(objectClass=person)", "(telephoneNumber=*1234567)", "(mail=99*)"):
        statements.clear()
        asked.searched(db, "ada", wanted, most=20)
        assert len(statements) <= 5, wanted


HARD = "(cn=" + "*".join("a" * 31) + "*)"
HARD_ONES = {
    HARD: 1,
    "(&" + HARD * 60 + ")": 1,
    "(cn=" + "\\c3\\a4" * 5000 + "*)": 0,
    "(cn=*%_\\5c\\2a*)": 0,
    "(cn=\\00*)": 0,
    "(cn=*\\cc\\81*)": 0,
}


@pytest.mark.parametrize("wanted", HARD_ONES)
def test_hard_filters_end(organisation: Organisation, wanted: str) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", card("1", "a" * 400, "NOTE:" + "a" * 900))
    assert len(asked.searched(organisation.db, "ada", wanted)) == HARD_ONES[wanted]


def test_nothing_is_kept_of_endless_filters(organisation: Organisation) -> None:
    db = filled(organisation, 2)

    def look(number: int) -> None:
        endless = f"{number}{'1' * 60_000}"
        for wanted in (
            filters.Substrings("telephonenumber", "", (endless,), ""),
            filters.Substrings("cn", "", (f"x{endless}",), ""),
            filters.Equality("mail", f"x{endless}"),
            filters.Equality("uid", endless),
        ):
            assert asked.names(db, "ada", wanted) == []

    look(1)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(2, 40):
            look(number)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def test_filters_without_terms_are_true_and_false(organisation: Organisation) -> None:
    everything = ["dc=contacts", OWN, LEADS]
    assert sorted(asked.names(organisation.db, "ada", filters.And(()))) == sorted(everything)
    assert asked.names(organisation.db, "ada", filters.Or(())) == []
