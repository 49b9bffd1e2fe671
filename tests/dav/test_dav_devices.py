"""Devices over CardDAV: what is outside of their scope is not there; what they may not do is refused and taken back."""

import logging

import pytest
from hypothesis import given

from radicale_shared import books, devices, grants, history, people, settings
from radicale_shared.access import Role
from radicale_shared.dav.application import Application
from radicale_shared.sent_bytes import PERSON
from tests.conftest import BY, card, examples
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, etags_of, write_configuration
from tests.dav.test_dav_rights import requests

OWN, SHARED, SECOND = "/ada/contacts/", "/ada/sales~leads/", "/ada/private/"
MAC = "macOS/14.0 AddressBookCore/2569"


@pytest.fixture
def filled(organisation):
    """A card "old" in each of Ada's books: her own one, the one of Sales, and a second own one."""
    with organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "private", by=BY)
    for name in ("contacts", "sales~leads", "private"):
        organisation.put("ada", name, "old.vcf", card(f"old-{name}"))
    return organisation


@pytest.fixture
def device(application, filled):
    """Makes a device and gives its program."""

    def make(label="phone", only=None, *, login="ada", user_agent="tests/1", **more):
        secret = filled.db.secret
        with filled.db.write() as session:
            more["only"] = [books.find(session, one) for one in only] if only else None
            _, password = devices.add(session, people.user(session, login), label, secret=secret, by=BY, **more)
        return Client(application, login, password, user_agent)

    return make


@pytest.fixture
def configured(database_url, tmp_path):
    """Gives the server with some options set."""

    def serve(section, **options):
        configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
        configuration.update({section: options}, "test")
        return Application(configuration)

    return serve


@pytest.fixture
def revoke(filled):
    def do(label, login="ada"):
        with filled.db.write() as session:
            devices.revoke(session, people.user(session, login), label, by=BY)

    return do


def wishes(client, book):
    """{what is asked: status} of a book."""
    old, new = f"{book}old.vcf", f"{book}new.vcf"
    rename = f"<propertyupdate {XMLNS}><set><prop><displayname>New</displayname></prop></set></propertyupdate>"
    query = f"<C:addressbook-query {XMLNS}><prop><getetag/></prop><C:filter/></C:addressbook-query>"
    uid = f"old-{book.split('/')[2]}"
    asked = {
        "get": client.get(old),
        "options": client.request("OPTIONS", book),
        "list": client.propfind(book, "getetag", depth="1"),
        "sync": client.sync(book),
        "multiget": client.multiget(book, old),
        "query": client.request("REPORT", book, query, Depth="1"),
        "put new": client.put(new, card("new")),
        "post": client.request("POST", book, card("posted"), Content_Type="text/vcard"),
        "put": client.put(old, card(uid, "Two")),
        "copy": client.request("COPY", old, Destination=f"{book}copy.vcf"),
        "delete": client.delete(old),
        "export": client.get(book),
        "rename": client.request("PROPPATCH", book, rename),
        "delete book": client.delete(book),
    }
    return {name: answer.status for name, answer in asked.items()}


READ = {"get": 200, "options": 200, "list": 207, "sync": 207, "multiget": 207, "query": 207}
NOTHING = dict.fromkeys([*READ, "put new", "post", "put", "copy", "delete", "export", "rename", "delete book"], 404)
READ_ONLY = {**NOTHING, **READ, **dict.fromkeys(NOTHING.keys() - READ.keys(), 403)}
ALL = {**READ, "put new": 201, "post": 201, "put": 204, "copy": 409, "delete": 204, "export": 200, "rename": 207}
ALL |= {"delete book": 204}
EDITOR = {**ALL, "delete": 403, "export": 403, "rename": 403, "delete book": 403}
SOME = {**ALL, "rename": 403, "delete book": 403}
SCOPES = {
    "all books": (None, False, {OWN: ALL, SHARED: EDITOR, SECOND: ALL}),
    "all books, read-only": (None, True, {OWN: READ_ONLY, SHARED: READ_ONLY, SECOND: READ_ONLY}),
    "an own book": (["ada/contacts"], False, {OWN: SOME, SHARED: NOTHING, SECOND: NOTHING}),
    "a shared book": (["sales/leads"], False, {OWN: NOTHING, SHARED: EDITOR, SECOND: NOTHING}),
    "a book, read-only": (["ada/contacts"], True, {OWN: READ_ONLY, SHARED: NOTHING, SECOND: NOTHING}),
    "two books": (["ada/private", "sales/leads"], False, {OWN: NOTHING, SHARED: EDITOR, SECOND: SOME}),
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("book", [OWN, SHARED, SECOND])
def test_a_device_may_do_this_over_http(device, scope, book):
    only, read_only, expected = SCOPES[scope]

    assert wishes(device(only=only, read_only=read_only), book) == expected[book]


def test_a_device_with_all_books_may_do_what_its_owner_may(application, device, filled):
    ada = Client(application, "ada")
    by_password = {book: ada.propfind(book, "current-user-privilege-set").body for book in (OWN, SHARED)}

    phone = device()

    assert {book: phone.propfind(book, "current-user-privilege-set").body for book in by_password} == by_password


@pytest.mark.parametrize("more", [{"only": ["ada/contacts"]}, {"read_only": True}])
def test_a_device_without_all_rights_makes_no_book(device, filled, more):
    phone = device(**more)

    for path in ("/ada/new/", "/ada/private/", OWN):
        answer = phone.mkcol(path)
        assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    with filled.db.read() as session:
        assert len(books.owned_by(session, people.user(session, "ada").id)) == 2


def test_a_device_with_all_books_makes_one_and_uses_it_at_once(device):
    phone = device()

    assert phone.mkcol("/ada/new/").status == 201
    assert phone.put("/ada/new/a.vcf", card("a")).status == 201


# -- what is outside of the scope is not there -------------------------------------------------------------------------


def test_a_device_with_one_book_sees_one_book(device):
    phone = device(only=["sales/leads"])

    assert phone.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", SHARED]
    assert phone.sync("/ada/").hrefs == [SHARED]


def test_the_token_of_a_home_names_only_books_of_the_scope(device, filled):
    token = device(only=["sales/leads"]).sync("/ada/").token

    assert filled.book("sales/leads").uuid in token
    assert filled.book("ada/contacts").uuid not in token
    assert filled.book("ada/private").uuid not in token


def test_who_changes_to_a_device_with_one_book_is_told_that_the_others_are_gone(application, device):
    token = Client(application, "ada").sync("/ada/").token

    told = device(only=["sales/leads"]).sync("/ada/", token)

    assert {href: told.status_of(href) for href in told.hrefs} == dict.fromkeys([OWN, SECOND], "HTTP/1.1 404 Not Found")


@examples(60)
@given(wish=requests)
@pytest.mark.parametrize(
    ("hidden", "absent"), [("/ada/sales~leads", "/ada/sales~nopes"), ("/ada/private", "/ada/nothere")]
)
def test_no_request_tells_a_book_outside_of_the_scope_from_one_that_is_not_there(
    application, one_book, hidden, absent, wish
):
    phone, tokens, etags = one_book

    def answer(book):
        body = wish["body"].replace(b"TOKEN", tokens[hidden].encode()).replace(b"HREF", book.encode())
        headers = {name: value.replace("ETAG", etags[hidden]) for name, value in wish["headers"].items()}
        found = phone.request(wish["method"], book + wish["below"], body, **headers)
        return (
            found.status,
            list(found.headers.items()),
            found.body.replace(book.encode(), b"BOOK").replace(book.rpartition("/")[2].encode(), b"NAME"),
        )

    assert answer(hidden) == answer(absent)


@pytest.fixture
def one_book(application, device):
    """A device with one book; the tokens and ETags of the others, as somebody else may have told them."""
    ada = Client(application, "ada")
    names = ("/ada/sales~leads", "/ada/private")
    tokens = {name: ada.sync(f"{name}/").token for name in names}
    return device(only=["ada/contacts"]), tokens, {name: ada.get(f"{name}/old.vcf").etag for name in names}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_no_card_leaves_the_scope_of_a_device_or_comes_into_it(device, organisation, method):
    phone = device(only=["ada/contacts"])

    out = phone.request(method, f"{OWN}old.vcf", Destination=f"{SECOND}x.vcf")
    nowhere = phone.request(method, f"{OWN}old.vcf", Destination="/ada/nothere/x.vcf")
    into = phone.request(method, f"{SECOND}old.vcf", Destination=f"{OWN}x.vcf")

    assert (out.status, out.body) == (nowhere.status, nowhere.body)
    assert out.status == 409
    assert into.status == 404


def test_the_me_card_in_another_book_is_not_told_to_a_device(application, device):
    me = "<CS:me-card><href>{}</href></CS:me-card>"
    ada = Client(application, "ada")
    body = f"<propertyupdate {XMLNS}><set><prop>{me.format(SECOND + 'old.vcf')}</prop></set></propertyupdate>"
    assert ada.request("PROPPATCH", "/ada/", body).status == 207
    assert SECOND.encode() in ada.propfind("/ada/", "CS:me-card").body

    for only, is_told in ((["ada/contacts"], False), (["ada/private"], True), (None, True)):
        phone = device(f"phone {only}", only=only)
        for names in (("CS:me-card",), ()):
            assert (SECOND.encode() in phone.propfind("/ada/", *names).body) == is_told
    mac = device("mac", only=["ada/contacts"], merged=True)
    assert b"old.vcf" not in mac.propfind("/ada/", "CS:me-card").body


def test_a_device_cannot_name_a_card_of_another_book_its_owner(device):
    me = f"<CS:me-card><href>{SECOND}old.vcf</href></CS:me-card>"
    body = f"<propertyupdate {XMLNS}><set><prop>{me}</prop></set></propertyupdate>"

    answer = device(only=["ada/contacts"]).request("PROPPATCH", "/ada/", body)

    assert b"409 Conflict" in answer.body


def test_a_read_only_device_sets_nothing_on_the_home(device):
    body = f"<propertyupdate {XMLNS}><set><prop><x xmlns='urn:x'>1</x></prop></set></propertyupdate>"

    answer = device(read_only=True).request("PROPPATCH", "/ada/", body)

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])


def test_people_of_a_book_outside_of_the_scope_are_not_told_of(device, filled):
    with filled.db.write() as session:
        grants.give(session, books.find(session, "ada/private"), "user:carla", Role.VIEWER, by=BY)

    assert device("whole").propfind("/carla/", "displayname").status == 207
    for only in (["ada/contacts"], ["sales/leads"]):
        phone = device(f"phone {only}", only=only)
        nobody = phone.propfind("/nobody/", "displayname")
        assert phone.propfind("/carla/", "displayname").body == nobody.body
        assert b"carla" not in phone.propfind(f"/ada/{'contacts' if 'ada/contacts' in only else 'sales~leads'}/").body
        search = (
            f'<principal-property-search {XMLNS} test="anyof"><property-search><prop><displayname/></prop>'
            "<match>carla</match></property-search><prop><displayname/></prop></principal-property-search>"
        )
        assert b"Carla" not in phone.request("REPORT", "/", search).body


def test_a_device_with_some_books_does_not_learn_how_full_the_others_are(filled, device, configured):
    with_limit = configured("storage", max_user_bytes="1000000")
    told_of = {}
    for only in (None, ["ada/contacts"]):
        phone = device(f"phone {only}", only=only)
        phone.application = with_limit
        told = phone.propfind("/ada/", "quota-used-bytes", "quota-available-bytes")
        used, left = (told.prop("/ada/", f"{DAV}quota-{name}-bytes") for name in ("used", "available"))
        told_of[only is None] = (used.text, left is not None)

    own, second = (filled.book(f"ada/{name}").card_bytes for name in ("contacts", "private"))
    assert told_of == {True: (str(own + second), True), False: (str(own), False)}


# -- the merged book ---------------------------------------------------------------------------------------------------


def test_a_device_decides_itself_whether_it_gets_the_merged_book(device):
    separate = device("mac", merged=False, user_agent=MAC)
    merged = device("phone", merged=True)
    by_program = device("other mac", user_agent=MAC)

    assert separate.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", OWN, SECOND, SHARED]
    assert merged.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", "/ada/all/"]
    assert by_program.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", "/ada/all/"]


def test_the_merged_book_of_a_device_has_the_cards_of_its_scope(device, filled):
    phone = device(only=["sales/leads", "ada/private"], merged=True)

    cards = [href.rpartition("/")[2] for href in phone.sync("/ada/all/").hrefs]
    assert sorted(cards) == sorted(f"{filled.book(one).uuid}-old.vcf" for one in ("sales/leads", "ada/private"))
    assert phone.get(f"/ada/all/{filled.book('ada/contacts').uuid}-old.vcf").status == 404
    assert phone.put("/ada/all/new.vcf", card("new")).status == 201
    assert phone.get("/ada/private/new.vcf").status == 200


def test_the_merged_book_of_a_read_only_device_takes_no_card(device, filled):
    phone = device(read_only=True, merged=True)
    token = phone.sync("/ada/all/").token
    old = f"/ada/all/{filled.book('ada/contacts').uuid}-old.vcf"

    assert phone.put("/ada/all/new.vcf", card("new")).status == 403
    assert phone.put(old, card("old-contacts", "Two")).status == 403

    told = phone.sync("/ada/all/", token)
    assert old in told.hrefs
    assert told.status_of("/ada/all/new.vcf") == "HTTP/1.1 404 Not Found"


# -- a device is a client of its own -----------------------------------------------------------------------------------


def test_a_refused_write_comes_back_on_the_device_that_made_it_alone(device):
    app = "DAVx5/4.4 (Android)"
    phone = device("phone", read_only=True, user_agent=app)
    tablet = device("tablet", read_only=True, user_agent=app)
    token, other = phone.sync(OWN).token, tablet.sync(OWN).token
    known = etags_of(phone, OWN)[f"{OWN}old.vcf"]

    answer = phone.put(f"{OWN}old.vcf", card("old-contacts", "Mine"), If_Match=known)

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    told = phone.sync(OWN, token)
    assert told.hrefs == [f"{OWN}old.vcf"]
    assert told.text(f"{OWN}old.vcf", f"{DAV}getetag") != known
    assert tablet.sync(OWN, other).hrefs == []
    assert etags_of(tablet, OWN)[f"{OWN}old.vcf"] == known


@pytest.mark.parametrize("method", ["DELETE", "MOVE"])
def test_a_refused_deletion_by_a_read_only_device_comes_back(device, method):
    phone = device(read_only=True)
    token = phone.sync(OWN).token

    assert phone.request(method, f"{OWN}old.vcf", Destination=f"{SECOND}x.vcf").status == 403

    assert phone.sync(OWN, token).hrefs == [f"{OWN}old.vcf"]


def test_each_device_gets_the_vcard_version_that_it_writes(device):
    old, new = device("old"), device("new")
    assert old.put(f"{OWN}a.vcf", card("a")).status == 201
    assert new.put(f"{OWN}b.vcf", card("b", version="4.0")).status == 201

    for phone, version in ((old, "3.0"), (new, "4.0")):
        told = phone.multiget(OWN, f"{OWN}a.vcf", f"{OWN}b.vcf")
        for name in ("a", "b"):
            assert f"VERSION:{version}" in told.text(f"{OWN}{name}.vcf", f"{CARDDAV}address-data")


def test_the_history_names_the_device(device, filled):
    assert device("Ada's phone", user_agent="DAVx5/4.4").put(f"{OWN}a.vcf", card("a")).status == 201

    with filled.db.snapshot() as session:
        deed = next(iter(history.entries(session, book_id=filled.book("ada/contacts").id)))
    assert (deed.actor, deed.device, deed.user_agent) == ("ada", "Ada's phone", "DAVx5/4.4")


# -- signing in --------------------------------------------------------------------------------------------------------


def test_a_revoked_device_is_out_with_its_next_request(device, revoke):
    phone, tablet = device("phone"), device("tablet")
    assert phone.propfind(OWN, "getetag").status == 207

    revoke("phone")

    assert phone.propfind(OWN, "getetag").status == 401
    assert tablet.propfind(OWN, "getetag").status == 207


def test_a_device_password_with_the_login_of_somebody_else_is_401(device):
    phone = device()
    phone.login = "ben"

    assert phone.propfind("/ben/", "getetag").status == 401


def test_after_a_device_its_owner_signs_in_with_all_rights(application, device):
    phone, ada = device(only=["sales/leads"], read_only=True), Client(application, "ada")

    for _ in range(3):
        assert phone.propfind(OWN, "getetag").status == 404
        assert ada.propfind(OWN, "getetag").status == 207


def test_signing_in_costs_a_device_one_statement_and_no_more_than_its_owner(application, device, statements):
    phone, ada = device(), Client(application, "ada")
    token = ada.sync(OWN).token
    costs = []
    for client in (ada, phone):
        statements.clear()
        assert client.sync(OWN, token).hrefs == []
        costs.append(len([one for one in statements.texts if one.startswith(("SELECT", "WITH"))]))

    assert costs[0] == costs[1] == 2


def test_where_and_by_what_a_device_signs_in_is_told(device, filled):
    phone = device(user_agent="DAVx5/4.4")
    phone.environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"}
    while True:
        assert phone.propfind(OWN, "getetag").status == 207
        with filled.db.read() as session:
            found = devices.of_user(session, people.user(session, "ada").id)[0]
        if found.last_used_at:
            break
    assert (found.last_address, found.last_user_agent) == ("192.0.2.7", "DAVx5/4.4")


@pytest.mark.parametrize(
    "method", ["OPTIONS", "GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "REPORT", "COPY", "MOVE", "POST"]
)
def test_the_password_of_a_desk_phone_is_403_here_and_never_401(device, caplog, method):
    phone = device("desk", phones_only=True)

    with caplog.at_level(logging.WARNING):
        answers = [phone.request(method, path) for path in ("/", "/ada/", OWN, f"{OWN}old.vcf", "/.well-known/carddav")]

    assert {one.status for one in answers} == {403}
    assert all(b"desk phones" in one.body for one in answers)
    assert "'desk'" in caplog.text
    assert phone.password not in caplog.text


def test_where_only_device_passwords_count_a_person_s_own_is_not_looked_at(device, configured):
    phone = device()
    phone.application = configured("auth", device_passwords_only="True")
    ada = Client(phone.application, "ada")

    assert phone.propfind(OWN, "getetag").status == 207
    assert ada.propfind(OWN, "getetag").status == 401
    # Elsewhere, as on a page, people are asked for their own.
    ada.environ = {PERSON: True}
    assert ada.propfind(OWN, "getetag").status == 207
