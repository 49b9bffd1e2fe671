"""Phones over HTTP: who is let in, what is forgiven in what they send, and what they are told."""

import base64
import logging
import re
import xml.etree.ElementTree as ET

import pytest

from radicale_shared import books, devices, grants, mirrored, people, phone_books, phone_profiles
from radicale_shared.access import Role
from radicale_shared.phone_profiles import Choices, Dial, NameOrder, SignIn
from radicale_shared.phones import answering
from radicale_shared.phones.asking import Format
from radicale_shared.phones.formats import FORMATS
from tests.conftest import BY, card
from tests.phones.conftest import add_phone

BOOK = "yealink.xml"


def person_card(uid, family, given, *lines):
    return card(uid, f"{given} {family}".strip(), *lines).replace(
        f"N:{f'{given} {family}'.strip()};;;;".encode(), f"N:{family};{given};;;".encode()
    )


@pytest.fixture
def filled(organisation):
    """Eva and Jan of Muster GmbH in the book of Sales, and a number without a name in Ada's own."""
    organisation.put(
        "ada",
        "sales~leads",
        "eva.vcf",
        person_card("eva", "Muster", "Eva", "ORG:Muster GmbH", "TEL;TYPE=work:+49 30 23125 11"),
    )
    organisation.put(
        "ada", "sales~leads", "jan.vcf", person_card("jan", "Muster", "Jan", "TEL;TYPE=cell:+49 30 23125 12")
    )
    return organisation


@pytest.fixture
def phone(office, filled):
    return office()


def names(told):
    assert told.status == 200, told
    return [one.text for one in ET.fromstring(told.body).iter("Name")]


def shown(answer):
    """All of an answer but what differs by chance."""
    return answer.status, answer.headers, answer.body


# -- signing in --------------------------------------------------------------------------------------------------------


def test_a_phone_gets_its_directory_by_the_password_in_its_url(phone):
    assert names(phone.get(BOOK)) == ["Muster, Eva", "Muster, Jan"]


def test_dashes_and_capitals_of_the_password_make_no_difference(phone):
    phone.password = phone.password.replace("-", "").upper()

    assert names(phone.get(BOOK)) == ["Muster, Eva", "Muster, Jan"]


def test_all_passwords_that_are_no_phones_are_answered_alike_and_cost_the_same(office, filled, db, statements):
    asking = office()
    secret = db.secret
    revoked, disabled, basic = office(), office(login="ben"), office(sign_in=SignIn.BASIC)
    with db.write() as session:
        ada = people.user(session, "ada")
        phone_profiles.revoke(session, ada, revoked.profile.device.label, by=BY)
        people.set_enabled(session, "ben", enabled=False)
        _, of_program = devices.add(session, ada, "program", secret=secret, by=BY)
        _, without_profile = devices.add(session, ada, "no profile", secret=secret, by=BY, phones_only=True)
    asking.get(BOOK)
    asking.used()
    asking.password = devices.new_password()
    statements.clear()
    wrong = shown(asking.get(BOOK))
    cost = len(statements)
    found = []
    for password in (revoked.password, disabled.password, basic.password, of_program, without_profile):
        asking.password = password
        statements.clear()
        found.append((shown(asking.get(BOOK)), len(statements)))

    assert wrong[0] == 404
    assert cost == 1
    assert found == [(wrong, cost)] * 5


@pytest.mark.parametrize("password", ["", "x", "rs-", "-x", "\N{PILE OF POO}", "a" * 5000, "..", "%2e%2e", "\x00"])
def test_what_can_be_no_password_is_answered_like_a_wrong_one_and_asks_nothing(phone, statements, password):
    phone.password = devices.new_password()
    wrong = shown(phone.get(BOOK))
    phone.password = password
    statements.clear()

    assert shown(phone.get(BOOK)) == wrong
    assert len(statements) == 0


def test_a_revoked_phone_is_out_with_the_next_request(phone, db):
    assert phone.get(BOOK).status == 200
    with db.write() as session:
        phone_profiles.revoke(session, people.user(session, "ada"), phone.profile.device.label, by=BY)

    assert phone.get(BOOK).status == 404


def test_a_phone_of_somebody_who_is_disabled_is_out_and_comes_back_with_them(phone, db):
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert phone.get(BOOK).status == 404
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=True)

    assert phone.get(BOOK).status == 200


def test_a_box_of_revoked_phones_keeps_neither_phones_nor_people_of_its_office_out(phone, statements):
    right = phone.password
    for _ in range(30):
        phone.password = devices.new_password()
        statements.clear()
        assert phone.get(BOOK).status == 404
        assert len(statements) == 1

    assert asked_elsewhere(phone, "/api/", "carla:wrong") == 401
    phone.password = right
    assert phone.get(BOOK).status == 200


def asked_elsewhere(phone, path, pair):
    """The status that another surface answers to a login and password."""
    encoded = base64.b64encode(pair.encode()).decode()
    return phone.request("GET", "", PATH_INFO=path, Authorization=f"Basic {encoded}").status


@pytest.fixture
def by_basic(office, filled):
    made = office(sign_in=SignIn.BASIC)
    made.basic = True
    return made


def test_a_phone_gets_its_directory_by_http_basic(by_basic):
    assert names(by_basic.get(BOOK)) == ["Muster, Eva", "Muster, Jan"]


def test_without_a_password_a_phone_is_asked_for_one(by_basic):
    told = by_basic.request("GET", BOOK, Authorization=None)

    assert told.status == 401
    assert told.headers["WWW-Authenticate"].startswith('Basic realm="')


def test_by_basic_only_phones_that_may_sign_in_so(by_basic, office, db):
    secret = db.secret
    with db.write() as session:
        ada = people.user(session, "ada")
        _, of_program = devices.add(session, ada, "program", secret=secret, by=BY)
        _, without_profile = devices.add(session, ada, "no profile", secret=secret, by=BY, phones_only=True)
    found = {}
    for what, password in {
        "in the URL": office().password,
        "a program's": of_program,
        "no profile": without_profile,
        "Ada's own": "adaada",
        "wrong": devices.new_password(),
    }.items():
        by_basic.password = password
        found[what] = by_basic.get(BOOK).status

    assert set(found.values()) == {401}, found


def test_a_phone_may_sign_in_in_both_ways(office, filled):
    phone = office(sign_in=SignIn.BOTH)
    in_url = phone.get(BOOK)
    phone.basic = True

    assert phone.get(BOOK).body == in_url.body


def test_a_phones_password_opens_nothing_but_the_phones(phone):
    assert asked_elsewhere(phone, "/api/", f"ada:{phone.password}") == 403
    assert asked_elsewhere(phone, "/ada/contacts/", f"ada:{phone.password}") == 403


def test_a_phone_asks_only_from_its_networks(office, filled):
    phone = office(networks=("10.20.0.0/16", "2001:db8::/32"))

    assert phone.get(BOOK).status == 403
    assert phone.at("10.21.0.1").get(BOOK).status == 403
    assert phone.at("10.20.3.4").get(BOOK).status == 200
    assert phone.at("::ffff:10.20.3.4").get(BOOK).status == 200
    assert phone.at("2001:db8::7").get(BOOK).status == 200
    phone.environ["HTTP_X_FORWARDED_FOR"] = "10.20.3.4"
    assert phone.get(BOOK).status == 403


def test_behind_a_trusted_proxy_the_phones_own_address_counts(serving, filled, db):
    phone = add_phone(serving(auth={"trusted_proxies": "127.0.0.1"}), db, "yealink", networks=("10.20.0.0/16",))

    assert phone.request("GET", BOOK, X_Forwarded_For="10.20.3.4").status == 200
    assert phone.request("GET", BOOK, X_Forwarded_For="10.21.3.4").status == 403


def test_when_and_from_where_a_phone_was_used_is_written_down(phone):
    phone.at("10.0.0.7").get(BOOK)
    device = phone.used()

    assert (device.last_address, device.last_user_agent) == ("10.0.0.7", "phone/1")


def test_no_line_of_the_log_has_a_phones_password(phone, caplog, monkeypatch):
    def fail(_asked):
        raise RuntimeError("on purpose")

    broken = Format("broken", "", {"fail": fail}, ("fail", {}), lambda _setup: "", 0, 0, "")
    monkeypatch.setitem(FORMATS, "broken", broken)
    caplog.set_level(logging.DEBUG)
    with phone.db.write() as session:
        phone_profiles.change(
            session, people.user(session, "ada"), phone.profile.device.label, Choices(make="broken"), by=BY
        )
    told = phone.get("fail")
    wrong = devices.new_password()
    right, phone.password = phone.password, wrong
    phone.get("fail")

    assert told.status == 500
    assert right not in told.text
    assert "/p/.../fail" in caplog.text
    assert "Failed login from 127.0.0.1: '/p/' (phone-password)" in caplog.text
    for password in (right, wrong):
        assert password not in caplog.text
        assert password.replace("-", "") not in caplog.text


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "snom.xml", "yealink.xml/", "yealink.xml/x", "../yealink.xml", "lookup/"])
def test_what_phones_of_a_make_dont_ask_for_is_not_there(phone, path):
    assert phone.get(path).status == 404


def test_head_is_get_without_a_body(phone):
    whole = phone.get(BOOK)
    head = phone.request("HEAD", BOOK)

    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")


def test_a_form_that_is_posted_is_read_as_parameters(phone):
    posted = phone.request("POST", BOOK, body=b"q=jan", Content_Type="application/x-www-form-urlencoded; charset=UTF-8")

    assert names(posted) == ["Muster, Jan"]


def test_of_a_parameter_in_url_and_form_the_urls_counts(phone):
    posted = phone.request("POST", BOOK, {"q": "eva"}, body=b"q=jan", Content_Type="application/x-www-form-urlencoded")

    assert names(posted) == ["Muster, Eva"]


def test_a_post_of_anything_else_is_read_as_none(phone):
    posted = phone.request("POST", BOOK, body=b"<xml/>", Content_Type="text/xml")

    assert names(posted) == ["Muster, Eva", "Muster, Jan"]


@pytest.mark.parametrize("query", ["q=J%C3%BCrgen", "q=J%FCrgen", "q=J\xfcrgen", "q=JUERGEN&q=x", "q=+%20j%fcr+"])
def test_umlauts_are_understood_however_a_phone_writes_them(phone, filled, query):
    filled.put(
        "ada", "sales~leads", "j.vcf", person_card("j", "Groß", "Jürgen", "TEL:+49 30 23125 13", "NICKNAME:Juergen")
    )
    found = names(phone.request("GET", BOOK, query=query))

    assert found == ([] if "JUERGEN" in query else ["Groß, Jürgen"])


def test_forms_without_measure_are_refused(phone):
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    assert phone.request("POST", BOOK, body=b"q=" + b"x" * 20_000, **form).status == 413
    assert phone.request("POST", BOOK, body=b"&".join([b"a=1"] * 100), **form).status == 400
    assert phone.request("GET", BOOK, query="&".join(["a=1"] * 100)).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PROPFIND", "OPTIONS", "TRACE", "", "G\x00T"])
def test_phones_read_and_nothing_else(phone, method):
    told = phone.request(method, BOOK)

    assert told.status == 405
    assert told.headers["Allow"] == "GET, HEAD, POST"


def test_polys_copy_of_its_directory_is_accepted_and_dropped(office, filled):
    phone = office("poly")
    path = "poly/0004f2abcdef-directory.xml"
    before = phone.get(path)
    put = phone.request("PUT", path, body=b"<directory/>" * 9000)

    assert (put.status, put.body) == (200, b"")
    assert phone.get(path).body == before.body
    assert phone.request("PUT", path, Content_Length="5000000").status == 413
    assert phone.request("PUT", "poly/0004f2abcdef-phone.cfg").status == 405


def test_further_urls_are_those_that_the_phone_came_by(office, filled, serving, db):
    phone = office("cisco")

    def url(phone, **headers):
        return re.search("<URL>(.*?)cisco/", phone.request("GET", "cisco", **headers).text)[1]

    assert url(phone) == phone.url
    assert url(phone, Host="10.1.2.3:5232") == phone.url.replace("localhost", "10.1.2.3:5232")
    assert url(phone, Host="[::1]:5232") == phone.url.replace("localhost", "[::1]:5232")
    assert url(phone, Host=None) == phone.url
    assert url(phone, Host='x"><a>') == phone.url
    assert url(phone, X_Forwarded_Proto="https") == phone.url
    phone.application = serving(auth={"trusted_proxies": "127.0.0.1"})
    assert url(phone, X_Forwarded_Proto="https") == phone.url.replace("http:", "https:")
    assert url(phone, X_Script_Name="/books") == phone.url.replace("localhost", "localhost/books")
    phone.application = serving('[phones]\nurl = "https://voice.example.org/x/"')
    assert url(phone) == phone.url.replace("http://localhost", "https://voice.example.org/x")


def test_behind_a_prefix_phones_are_found(office, filled, serving, db):
    phone = office()
    phone.application = serving(server={"script_name": "/books"})
    phone.environ["PATH_INFO"] = f"/books/p/{phone.password}/{BOOK}"

    assert names(phone.get(BOOK)) == ["Muster, Eva", "Muster, Jan"]


def test_a_phone_of_http_1_0_with_a_head_full_of_nonsense_is_answered(phone):
    told = phone.request(
        "GET", BOOK, SERVER_PROTOCOL=None, Host=None, Accept="image/x-icon", User_Agent="\xff\x00Mozilla", Cookie="a=b"
    )

    assert names(told) == ["Muster, Eva", "Muster, Jan"]


# -- contacts ----------------------------------------------------------------------------------------------------------


def test_names_are_in_the_order_that_the_profile_wants(office, organisation):
    organisation.put("ada", "contacts", "a.vcf", person_card("a", "Adler", "Zoe", "TEL:+49 30 23125 1"))
    organisation.put("ada", "contacts", "z.vcf", person_card("z", "Zander", "Ann", "TEL:+49 30 23125 2"))
    organisation.put("ada", "contacts", "m.vcf", card("m", "Mona & Co.", "TEL:+49 30 23125 3"))

    assert names(office(name_order=NameOrder.FAMILY).get(BOOK)) == ["Adler, Zoe", "Mona & Co.", "Zander, Ann"]
    assert names(office(name_order=NameOrder.GIVEN).get(BOOK)) == ["Ann Zander", "Mona & Co.", "Zoe Adler"]
    assert names(office(name_order=NameOrder.WRITTEN).get(BOOK)) == ["Ann Zander", "Mona & Co.", "Zoe Adler"]


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["ORG:Muster GmbH"], "Muster GmbH"),
        (["EMAIL:eva@example.org"], "eva@example.org"),
        ([], "+49 30 23125 1"),
        (["FN:\x80\x81"], "+4930231251"),
    ],
)
def test_who_has_no_name_is_called_by_what_there_is(office, organisation, lines, name):
    content = ["BEGIN:VCARD", "VERSION:4.0", "UID:x", *lines, "TEL:+49 30 23125 1", "END:VCARD", ""]
    organisation.put("ada", "contacts", "x.vcf", "\r\n".join(content).encode())

    assert names(office().get(BOOK)) == [name]


def test_a_phone_shows_the_fields_of_its_profile_and_is_searched_by_no_other(office, organisation):
    organisation.put(
        "ada",
        "contacts",
        "x.vcf",
        person_card(
            "x", "Muster", "Eva", "ORG:Zeppelin AG", "TEL;TYPE=work:+49 30 23125 11", "TEL;TYPE=home:+49 30 23125 77"
        ),
    )
    whole, partly = office(), office(fields=frozenset({"tel:work"}))

    assert whole.get(BOOK).body.count(b"<Telephone") == 2
    assert partly.get(BOOK).body.count(b"<Telephone") == 1
    for sought in ("zepp", "2312577", "9377"):
        assert names(whole.get(BOOK, q=sought)) == ["Muster, Eva"], sought
        assert names(partly.get(BOOK, q=sought)) == [], sought


@pytest.mark.parametrize(
    "sought", ["mus", "MUS", "eva mus", "mus eva", "müs", "gmb", "687", "2312511", "+49302312511", "03023125 11", "511"]
)
def test_people_are_found_by_words_by_keys_and_by_numbers(phone, filled, sought):
    assert "Muster, Eva" in names(phone.get(BOOK, q=sought))


@pytest.mark.parametrize("sought", ["uster", "mus x", "%", "_", "999", "*", "\\", "'"])
def test_who_is_not_meant_is_not_found(phone, sought):
    assert names(phone.get(BOOK, q=sought)) == []


def test_groups_and_those_without_a_number_are_no_contacts(office, organisation, db, own_settings):
    organisation.put(
        "ada", "contacts", "g.vcf", card("g", "Friends", "X-ADDRESSBOOKSERVER-KIND:group", "TEL:+49 30 23125 1")
    )
    organisation.put("ada", "contacts", "n.vcf", card("n", "Nobody"))
    organisation.put("ada", "contacts", "f.vcf", card("f", "Fax", "TEL;TYPE=fax:+49 30 23125 2"))
    organisation.put("ada", "contacts", "e.vcf", card("e", "Eva", "TEL:+49 30 23125 3"))
    phone = office()

    assert names(phone.get(BOOK)) == ["Eva"]
    _, left_out = answering.preview(db, own_settings, phone.profile, BOOK, {})
    assert left_out == (("it has no number that the phone shows", 2, "Fax"),)


def test_what_is_hidden_from_phones_is_not_there_from_the_next_request_on(phone, db, filled):
    leads = filled.book("sales/leads")
    assert len(names(phone.get(BOOK))) == 2
    with db.write(leads.id) as session:
        phone_books.hide_card(session, leads, "eva.vcf", hidden=True, by=BY)
    assert names(phone.get(BOOK)) == ["Muster, Jan"]
    assert names(phone.get(BOOK, q="eva")) == []
    assert phone.get("lookup", number="+49302312511").text == ""
    with db.write(leads.id) as session:
        phone_books.hide(session, leads, hidden=True, by=BY)
    assert names(phone.get(BOOK)) == []
    assert names(phone.get(BOOK, q="jan")) == []
    assert phone.get("lookup", number="+49302312512").text == ""


def test_a_phone_shows_its_books_alone(office, filled):
    filled.put("ada", "contacts", "own.vcf", card("own", "Own", "TEL:+49 30 23125 5"))
    phone = office(only=["ada/contacts"])

    assert names(phone.get(BOOK)) == ["Own"]
    assert names(phone.get(BOOK, q="mus")) == []


def test_the_same_person_in_two_books_is_there_twice(phone, filled):
    filled.put("ada", "contacts", "eva.vcf", person_card("eva", "Muster", "Eva", "TEL:+49 30 23125 11"))

    assert names(phone.get(BOOK)) == ["Muster, Eva", "Muster, Eva", "Muster, Jan"]


def test_a_book_that_is_searched_is_never_listed(phone, filled, db):
    leads = filled.book("sales/leads")
    filled.put("ada", "contacts", "own.vcf", card("own", "Musette", "TEL:+49 30 23125 5"))
    with db.write() as session:
        mirrored.set_search_only(session, leads, search_only=True)

    assert names(phone.get(BOOK)) == ["Musette"]
    assert names(phone.get(BOOK, q="mu")) == ["Musette"]
    assert names(phone.get(BOOK, q="must")) == ["Muster, Eva", "Muster, Jan"]
    assert phone.get("lookup", number="+49302312511").text == "Eva Muster (Muster GmbH)"


def test_a_phone_gets_as_many_entries_as_it_takes_and_the_preview_tells_how_many_more_there_are(
    office, organisation, db, own_settings
):
    for at in range(12):
        organisation.put("ada", "contacts", f"{at}.vcf", card(f"u{at}", f"Name {at:02}", f"TEL:+49 30 23125 {at:02}"))
    phone = office(max_entries=5)
    document, left_out = answering.preview(db, own_settings, phone.profile, BOOK, {})

    assert names(phone.get(BOOK)) == [f"Name {at:02}" for at in range(5)]
    assert phone.get(BOOK).body == document.body
    assert left_out == (("the phone gets 5 entries, and others come before", 7, "Name 05"),)


@pytest.mark.parametrize("sought", ["", "name", "4930"])
def test_a_search_gives_no_more_than_a_phone_gets_at_all(office, organisation, sought):
    for at in range(12):
        organisation.put("ada", "contacts", f"{at}.vcf", card(f"u{at}", f"Name {at:02}", f"TEL:+49 30 23125 {at:02}"))
    few, many = office("cisco", max_entries=5), office("cisco")

    assert many.get("cisco/list", q=sought).body.count(b"<DirectoryEntry>") == 12
    assert few.get("cisco/list", q=sought).body.count(b"<DirectoryEntry>") == 5
    assert few.get("cisco/list", q=sought, offset="4").body.count(b"<DirectoryEntry>") == 1
    assert few.get("cisco/list", q=sought, offset="5").body.count(b"<DirectoryEntry>") == 0


def test_numbers_are_as_the_phone_dials_them(office, filled):
    phone = office(dial=Dial.NATIONAL, region="DE", outside_prefix="0")

    assert b">003023125" in phone.get(BOOK).body


def test_a_grant_that_ends_takes_its_book_from_the_phone(office, filled, db):
    phone = office(login="carla")
    assert names(phone.get(BOOK)) == []
    with db.write() as session:
        grants.give(session, books.find(session, "sales/leads"), "user:carla", Role.VIEWER, by=BY)
    assert len(names(phone.get(BOOK))) == 2
    with db.write() as session:
        grants.take(session, books.find(session, "sales/leads"), "user:carla", by=BY)

    assert names(phone.get(BOOK)) == []
