"""Who is calling, as telephone exchanges ask it."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from radicale_shared import books, devices, entry_refresh, grants, phone_books
from radicale_shared.access import Role
from radicale_shared.phone_profiles import SignIn
from radicale_shared.phones import lookup
from tests.conftest import BY, card

EVA = "+49 30 23125 11"


@pytest.fixture
def filled(organisation):
    lines = ("ORG:Muster GmbH", "TITLE:Boss", "EMAIL:eva@example.org")
    eva = card("eva", "Eva Muster", *lines, f"TEL;TYPE=work:{EVA}", "TEL;TYPE=home:+49 30 23125 77", version="4.0")
    organisation.put("ada", "sales~leads", "eva.vcf", eva.replace(b"N:Eva Muster;;;;", b"N:Muster;Eva;;;"))
    return organisation


@pytest.fixture
def phone(office, filled):
    return office(region="DE")


def test_a_caller_is_one_line_of_text_without_its_end(phone):
    told = phone.get("lookup", number="+493023125 11")

    assert (told.status, told.body) == (200, b"Eva Muster (Muster GmbH)")
    assert told.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "number", ["+4930999999", "", "anonymous", "unavailable", "abc", "1" * 41, "<xml>", "\x00", "é"]
)
def test_a_number_of_nobody_is_an_empty_line(phone, number):
    told = phone.get("lookup", number=number)

    assert (told.status, told.body) == (200, b"")


def test_without_any_number_the_line_is_empty(phone):
    assert (phone.get("lookup").status, phone.get("lookup").body) == (200, b"")


@pytest.mark.parametrize("name", ["number", "exten", "phone", "cid"])
def test_a_number_may_be_called_otherwise(phone, name):
    assert phone.get("lookup", **{name: EVA}).text == "Eva Muster (Muster GmbH)"


@pytest.mark.parametrize(
    "query",
    [
        "number=%2B493023125 11",
        "number=+493023125-11",
        "number=%20493023125(11)",
        "number=03023125.11",
        "number=004930/23125 11",
        "number=tel:%2B493023125 11",
        "number=2312511",
        "number=0302312511&number=1",
        "number=0302312511&line=1&uniqueid=x&format=text",
        "number=0302312511&format=nonsense",
    ],
)
def test_a_number_is_found_however_an_exchange_writes_it(phone, query):
    assert phone.request("GET", "lookup", query=query).text == "Eva Muster (Muster GmbH)"


def test_the_region_of_a_request_goes_before_the_phones(phone, filled):
    filled.put("ada", "sales~leads", "f.vcf", card("f", "Françoise", "TEL:+33 1 99 00 11 22"))

    def match(**region):
        return json.loads(phone.get("lookup", number="0199001122", format="json", **region).body)["match"]

    assert match(region="fr") == "exact"
    assert match() == match(region="DE") == match(region="zz") == "suffix"


def test_a_caller_as_json(phone):
    told = phone.get("lookup", number="0302312511", format="json")

    assert told.headers["Content-Type"] == "application/json"
    assert json.loads(told.body) == {
        "number": "+49302312511",
        "match": "exact",
        "count": 1,
        "name": "Eva Muster",
        "first_name": "Eva",
        "last_name": "Muster",
        "company": "Muster GmbH",
        "title": "",
        "email": "",
        "numbers": [{"type": "work", "e164": "+49302312511"}, {"type": "home", "e164": "+49302312577"}],
    }
    assert json.loads(phone.get("lookup", number="1", format="json").body) == {"match": None, "count": 0}


def test_a_caller_as_json_has_the_fields_that_the_phone_shows(office, filled):
    phone = office(fields=frozenset({"title", "email", "tel:work"}))
    told = json.loads(phone.get("lookup", number=EVA, format="json").body)

    assert (told["company"], told["title"], told["email"]) == ("", "Boss", "eva@example.org")
    assert told["numbers"] == [{"type": "work", "e164": "+49302312511"}]
    assert phone.get("lookup", number="+49302312577").text == ""


def test_a_caller_as_xml(phone):
    found = ET.fromstring(phone.get("lookup", number=EVA, format="xml").body)

    assert (found.tag, found.attrib) == ("caller", {"match": "exact", "count": "1"})
    assert found.findtext("name") == "Eva Muster"
    assert found.findtext("company") == "Muster GmbH"
    assert [(one.get("type"), one.text) for one in found.iter("telephone")] == [
        ("work", "+49302312511"),
        ("home", "+49302312577"),
    ]
    nobody = ET.fromstring(phone.get("lookup", number="1", format="xml").body)
    assert (nobody.tag, nobody.attrib, list(nobody)) == ("caller", {"count": "0"}, [])


def test_a_caller_in_gigasets_form(phone):
    found = ET.fromstring(phone.get("lookup", number=EVA, format="gigaset").body)
    nobody = ET.fromstring(phone.get("lookup", number="+4930999999", format="gigaset").body)

    assert [entry.findtext("ln") for entry in found.iter("entry")] == ["Muster"]
    assert nobody.get("total") == "0"


def test_of_a_company_of_which_nobody_is_known_the_name_is_told(phone, filled):
    filled.put("ada", "sales~leads", "c.vcf", card("c", "Kranich AG", "ORG:Kranich AG", "TEL;TYPE=work:+49 30 5550100"))

    assert phone.get("lookup", number="+493055501007").text == "Kranich AG"
    assert json.loads(phone.get("lookup", number="+493055501007", format="json").body)["match"] == "trunk"
    assert "Kranich AG" in phone.get("lookup", number="+493055501007", format="gigaset").text


def test_what_would_break_a_line_is_left_out(phone, filled):
    filled.put("ada", "sales~leads", "x.vcf", card("x", "A\x80\u2028B  C\\nD", "TEL:+49 30 5550199"))

    assert phone.get("lookup", number="+49305550199").text == "A B C D"


def test_a_lookup_costs_four_statements_however_many_cards_there_are(phone, filled, statements):
    def costs():
        found = []
        for number in (EVA, "0302312511", "2312511", "+49 30 23125 1199", "4711"):
            statements.clear()
            phone.get("lookup", number=number)
            found.append(len(statements))
        return found

    costs()
    phone.used()
    few = costs()
    for at in range(150):
        filled.put("ada", "sales~leads", f"{at}.vcf", card(f"u{at}", f"Name {at}", f"TEL:+49 30 555{at:04}"))

    assert costs() == few
    assert max(few) <= 4


def test_a_lookup_by_a_view_that_hides_fields_costs_as_much(office, filled, statements):
    with filled.db.write() as session:
        leads = books.find(session, "sales/leads")
        grants.give(session, leads, "user:carla", Role.VIEWER, by=BY, hide=["tel:home"])
    phone = office(login="carla", region="DE")
    assert phone.get("lookup", number=EVA).text == "Eva Muster (Muster GmbH)"
    phone.used()
    statements.clear()
    phone.get("lookup", number=EVA)

    assert len(statements) <= 4


def test_a_number_that_is_hidden_is_answered_like_one_that_is_unknown(office, filled):
    with filled.db.write() as session:
        leads = books.find(session, "sales/leads")
        grants.give(session, leads, "user:carla", Role.VIEWER, by=BY, hide=["tel:home"])
    phone = office(login="carla", region="DE")
    for form in ("text", "json", "xml", "gigaset"):
        hidden = phone.get("lookup", number="+49302312577", format=form)
        unknown = phone.get("lookup", number="+49302312578", format=form)
        assert hidden == unknown, form
    assert phone.get("lookup", number=EVA).text == "Eva Muster (Muster GmbH)"


def test_a_number_without_a_country_code_is_of_the_books_region(phone, filled):
    filled.put("ada", "sales~leads", "f.vcf", card("f", "Françoise", "TEL:01 99 00 11 22"))
    leads = filled.book("sales/leads")
    with filled.db.write() as session:
        phone_books.set_region(session, "FR", by=BY, book=leads)
    entry_refresh.refresh(filled.db)

    assert phone.get("lookup", number="+33199001122").text == "Françoise"


def test_who_asks_for_too_many_callers_is_told_nothing_for_a_while(filled, serving, office):
    phone, other = office(region="DE"), office(region="DE")
    phone.application = other.application = serving("[phones]\nlookups_per_minute = 3")
    answers = [phone.get("lookup", number=EVA) for _ in range(5)]

    assert [told.status for told in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].body == b""
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 20
    assert other.get("lookup", number=EVA).status == 200
    assert phone.get("yealink.xml").status == 200


def test_callers_that_a_format_asks_for_count_as_well(filled, serving, office):
    phone = office("gigaset", region="DE")
    phone.application = serving("[phones]\nlookups_per_minute = 3")
    asked = {"command": "get_list", "type": "pb", "reqsrc": "auto"}
    answers = [phone.get("gigaset", **asked, hm=f"03023125{at}") for at in range(5)]

    assert [told.status for told in answers] == [200, 200, 200, 429, 429]


def test_a_lookup_by_http_basic_is_answered_too(office, filled):
    phone = office(sign_in=SignIn.BASIC)
    phone.basic = True

    assert phone.get("lookup", number=EVA).text == "Eva Muster (Muster GmbH)"


def test_whatever_goes_wrong_no_exchange_gets_a_text_that_it_shows_as_a_name(phone, monkeypatch):
    def fail(*_args):
        raise RuntimeError("something broke")

    elsewhere = replace(phone, password=devices.new_password())
    asked = {404: elsewhere.get("lookup", number=EVA), 405: phone.request("DELETE", "lookup")}
    asked[401] = replace(phone, basic=True, password="wrong").get("lookup", number=EVA)
    monkeypatch.setattr(lookup, "answer", fail)
    asked[500] = phone.get("lookup", number=EVA)

    assert {status: (told.status, told.body) for status, told in asked.items()} == {
        status: (status, b"") for status in (404, 405, 401, 500)
    }
    assert elsewhere.get("yealink.xml").body
