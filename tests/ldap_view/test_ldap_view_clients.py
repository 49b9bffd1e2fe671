"""Whole conversations of clients with a running server, as their manuals and their sources have them."""

from __future__ import annotations

from collections.abc import Callable

import ldap3
import pytest
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.utils.conv import escape_filter_chars

from radicale_shared import people, phone_books, phone_profiles
from radicale_shared.phone_profiles import Choices
from tests.conftest import BY, Organisation, card
from tests.ldap_view.conftest import SIZE_LIMIT, SUCCESS, SUFFIX, Directory
from tests.ldap_view.test_ldap_view_against_slapd import CLIENTS


@pytest.fixture
def company(organisation: Organisation, serve: Callable[..., Directory]) -> Directory:
    with organisation.db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
    for number in range(120):
        family = "Schmidt" if number % 2 else "Meyer"
        organisation.put(
            "ada",
            "sales~leads",
            f"{number}.vcf",
            card(
                str(number),
                f"{family}{number:03}",
                f"TEL;TYPE=work:+49 30 1234{number:03}",
                f"EMAIL:{family.lower()}{number}@muster.example",
            ),
        )
    return serve()


def people_of(connection: ldap3.Connection) -> list[dict[str, list[str]]]:
    return [dict(one["attributes"]) for one in connection.response if one["type"] == "searchResEntry"]


def test_unify_reads_the_entry_that_it_found_by_its_name(company: Directory) -> None:
    with company.connection() as connection:
        wanted = CLIENTS["gigaset, numbers"].format("", "", "0301234007")
        connection.search(SUFFIX, wanted, attributes=["cn", "telephoneNumber"])
        (found,) = connection.response
        connection.search(found["dn"], "(objectclass=*)", ldap3.BASE, attributes=["cn", "telephoneNumber"])
        assert people_of(connection) == [found["attributes"]]
        assert found["attributes"]["cn"] == ["Schmidt007"]
        assert "0301234007" in found["attributes"]["telephoneNumber"]


def test_a_phone_asks_with_its_own_names_of_attributes(company: Directory, organisation: Organisation) -> None:
    with organisation.db.write() as session:
        ada = people.user(session, "ada")
        _, password = phone_profiles.add(
            session, ada, "desk", Choices(make="yealink"), secret=organisation.db.secret, by=BY
        )
    with company.connection(password=password, return_empty_attributes=False) as connection:
        wanted = CLIENTS["yealink, names"].format("schm")
        connection.search(
            SUFFIX, wanted, size_limit=50, attributes=["surname", "commonName", "telephoneNumber", "Mobile"]
        )
        assert connection.result["result"] == SIZE_LIMIT
        found = people_of(connection)
        assert len(found) == 50
        assert {frozenset(one) for one in found} == {frozenset({"surname", "commonName", "telephoneNumber"})}
        connection.search(SUFFIX, "(mail=*)", attributes=["mail"])
        assert people_of(connection) == [], "its profile shows no mail"


def test_poly_pages_through_names_in_their_order(company: Directory) -> None:
    sort = ("1.2.840.113556.1.4.473", False, bytes.fromhex("300630040402736e"))
    names: list[str] = []
    cookie = b""
    with company.connection() as connection:
        while True:
            paging = paged_search_control(False, 32, cookie)
            wanted = CLIENTS["poly"].format("s")
            connection.search(SUFFIX, wanted, attributes=["sn", "telephoneNumber"], controls=[paging, sort])
            assert connection.result["result"] == SUCCESS
            names += [one["sn"][0] for one in people_of(connection)]
            cookie = connection.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
            if not cookie:
                break
    assert names == [f"Schmidt{number:03}" for number in range(1, 120, 2)]


@pytest.mark.parametrize("client", ["outlook", "thunderbird, composing", "thunderbird, address book"])
def test_mail_programs_get_a_hundred_people_and_are_told_that_there_are_more(company: Directory, client: str) -> None:
    with company.connection() as connection:
        connection.search(SUFFIX, CLIENTS[client].format("muster" if "address" in client else "m", ""), size_limit=100)
        assert connection.result["result"] in {SUCCESS, SIZE_LIMIT}
        connection.search(SUFFIX, CLIENTS[client].format("schmidt007", ""), size_limit=100, attributes=["*"])
        assert connection.result["result"] == SUCCESS
        (found,) = people_of(connection)
        assert found["mail"] == ["schmidt7@muster.example"]
        assert found["sn"] == ["Schmidt007"]


def test_what_is_typed_letter_by_letter_finds_fewer_and_fewer(company: Directory) -> None:
    with company.connection() as connection:
        counts = []
        for end in range(1, 11):
            typed = escape_filter_chars("Schmidt007"[:end])
            connection.search(SUFFIX, CLIENTS["yealink, contains"].format(typed), attributes=["cn"])
            counts.append(len(people_of(connection)))
    assert counts == [60, 60, 60, 60, 60, 60, 60, 50, 5, 1]
