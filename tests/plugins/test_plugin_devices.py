"""Devices under a plain Radicale: nothing outside of their scope is there, and what they may not do is refused."""

import pytest

from radicale_shared import books, devices, history, people, sent_bytes
from tests.conftest import BY

OWN, SHARED, SECOND = "/ada/contacts/", "/ada/sales~leads/", "/ada/private/"


@pytest.fixture
def filled(organisation, a_card):
    """A card "old" in each of Ada's books: her own one, the one of Sales, and a second own one."""
    with organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "private", by=BY)
    for name in ("contacts", "sales~leads", "private"):
        organisation.put("ada", name, "old.vcf", a_card(f"old-{name}"))
    return organisation


@pytest.fixture
def device(ada, filled, tools):
    """Makes a device of Ada's and gives its program."""

    def make(label="phone", only=None, **more):
        secret = filled.db.secret
        with filled.db.write() as session:
            more["only"] = [books.find(session, one) for one in only] if only else None
            _, password = devices.add(session, people.user(session, "ada"), label, secret=secret, by=BY, **more)
        return tools.client(ada.application, "ada", password)

    return make


def wishes(client, book, a_card):
    """Whether each of these is done: read, list, sync, add, edit, delete, rename, delete the book."""
    uid = f"old-{book.split('/')[2]}"
    answers = [
        client.get(f"{book}old.vcf"),
        client.propfind(book, "D:getetag", depth="1"),
        client.sync(book),
        client.put(f"{book}new.vcf", a_card("new")),
        client.put(f"{book}old.vcf", a_card(uid, "Two")),
        client.delete(f"{book}old.vcf"),
        client.proppatch(book, D__displayname="New"),
        client.delete(book),
    ]
    return "".join("x" if one.status < 300 else "-" for one in answers)


# (scope, book) -> what is done
TABLE = {
    "all books": (None, False, {OWN: "xxxxxxxx", SHARED: "xxxxx---", SECOND: "xxxxxxxx"}),
    "all books, read-only": (None, True, {OWN: "xxx-----", SHARED: "xxx-----", SECOND: "xxx-----"}),
    "an own book": (["ada/contacts"], False, {OWN: "xxxxxx--", SHARED: "--------", SECOND: "--------"}),
    "a shared book": (["sales/leads"], False, {OWN: "--------", SHARED: "xxxxx---", SECOND: "--------"}),
    "a book, read-only": (["ada/contacts"], True, {OWN: "xxx-----", SHARED: "--------", SECOND: "--------"}),
}


@pytest.mark.parametrize("scope", TABLE)
@pytest.mark.parametrize("book", [OWN, SHARED, SECOND])
def test_a_device_may_do_this_under_a_plain_radicale(device, a_card, scope, book):
    only, read_only, expected = TABLE[scope]

    assert wishes(device(only=only, read_only=read_only), book, a_card) == expected[book]


def test_a_device_with_one_book_sees_one_book(device):
    assert device(only=["sales/leads"]).propfind("/ada/", "D:resourcetype", depth="1").hrefs == ["/ada/", SHARED]


@pytest.mark.parametrize("more", [{"only": ["ada/contacts"]}, {"read_only": True}])
def test_a_device_without_all_rights_makes_no_book(device, filled, more):
    phone = device(**more)

    assert phone.mkcol("/ada/new/").status == 403
    assert phone.mkcol("/ada/private/").status in {403, 409}
    with filled.db.read() as session:
        assert len(books.owned_by(session, people.user(session, "ada").id)) == 2


def test_no_card_leaves_the_scope_of_a_device_or_comes_into_it(device, filled):
    phone = device(only=["ada/contacts"])

    for source, target in ((OWN, SECOND), (SECOND, OWN)):
        answer = phone.request(
            "MOVE", f"{source}old.vcf", destination=f"http://localhost{target}moved.vcf", host="localhost"
        )
        assert answer.status >= 400
    with filled.db.read() as session:
        assert [books.find(session, f"ada/{name}").card_count for name in ("contacts", "private")] == [1, 1]


def test_a_refused_write_comes_back_on_the_device_that_made_it_alone(device, a_card):
    phone, tablet = device("phone", read_only=True), device("tablet", read_only=True)
    token, other = phone.sync(OWN).token, tablet.sync(OWN).token

    assert phone.put(f"{OWN}old.vcf", a_card("old-contacts", "Mine")).status == 403
    assert phone.delete(f"{OWN}old.vcf").status == 403

    assert phone.sync(OWN, token).hrefs == [f"{OWN}old.vcf"]
    assert tablet.sync(OWN, other).hrefs == []


def test_the_history_names_the_device(device, filled, a_card):
    assert device("Ada's phone").put(f"{OWN}a.vcf", a_card("a")).status == 201

    with filled.db.snapshot() as session:
        deed = next(iter(history.entries(session, book_id=filled.book("ada/contacts").id)))
    assert (deed.actor, deed.device, deed.user_agent) == ("ada", "Ada's phone", "Tester/1.0")


def test_the_password_of_a_desk_phone_opens_no_book(device, a_card):
    phone = device("desk", phones_only=True)

    for book in (OWN, SHARED, SECOND):
        assert wishes(phone, book, a_card) == "--------"
    assert phone.propfind("/ada/", "D:resourcetype", depth="1").status == 403


def test_after_a_device_its_owner_signs_in_with_all_rights(device, ada):
    phone = device(only=["sales/leads"], read_only=True)

    for _ in range(3):
        assert phone.propfind("/ada/", "D:resourcetype", depth="1").hrefs == ["/ada/", SHARED]
        assert ada.propfind("/ada/", "D:resourcetype", depth="1").hrefs == ["/ada/", OWN, SECOND, SHARED]


def test_a_new_request_knows_nothing_of_who_signed_in_before():
    sent_bytes.set_signed_in("ada")
    assert sent_bytes.signed_in() == sent_bytes.SignedIn("ada")

    for environ in ({"REQUEST_METHOD": "GET"}, {"REQUEST_METHOD": "GET", sent_bytes.DISPATCHER: True}):
        sent_bytes.set_signed_in("ada")
        sent_bytes.begin(environ, limit=0)

        assert sent_bytes.signed_in() is None


def test_a_revoked_device_is_out_with_its_next_request(device, filled):
    phone = device()
    assert phone.get(f"{OWN}old.vcf").status == 200
    with filled.db.write() as session:
        devices.revoke(session, people.user(session, "ada"), "phone", by=BY)

    assert phone.get(f"{OWN}old.vcf").status == 401
