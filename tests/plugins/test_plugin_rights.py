"""Grants apply under a plain Radicale too, and what may not be read can't be told from what isn't there."""

import pytest
from radicale_shared.auth_plugin import Rights

from radicale_shared import books, changes, grants, people, sent_bytes

OWN = "/ada/contacts/"
LEADS = "sales~leads"
MOUNTED = f"/carla/{LEADS}/"

# role, then the statuses of: GET, PUT of a new card, PUT of an old one, DELETE, PROPPATCH, GET of the whole book
ROLES = {
    "viewer": (200, 403, 403, 403, 403, 403),
    "contributor": (200, 201, 403, 403, 403, 403),
    "editor": (200, 201, 204, 403, 403, 403),
    "curator": (200, 201, 204, 200, 403, 200),
    "manager": (200, 201, 204, 200, 403, 200),
    "owner": (200, 201, 204, 200, 207, 200),
}


@pytest.fixture
def leads(organisation, a_card):
    """The book sales/leads with one card."""
    organisation.put("ada", LEADS, "old.vcf", a_card("old"))
    return organisation


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_its_verbs_say(leads, carla, a_card, role):
    leads.grant("sales/leads", "user:carla", role)
    get, add, edit, delete, rename, export = ROLES[role]

    assert carla.get(MOUNTED + "old.vcf").status == get
    assert carla.put(MOUNTED + "new.vcf", a_card("new")).status == add
    assert carla.put(MOUNTED + "old.vcf", a_card("old", "Changed")).status == edit
    assert carla.delete(MOUNTED + "old.vcf").status == delete
    assert carla.proppatch(MOUNTED, D__displayname="Renamed").status == rename
    assert carla.request("GET", MOUNTED).status == export
    assert carla.delete(MOUNTED).status == 403


@pytest.mark.parametrize("role", ROLES)
def test_what_was_refused_is_not_written(leads, carla, a_card, role):
    leads.grant("sales/leads", "user:carla", role)
    before = leads.book("sales/leads").revision
    _, add, edit, delete, _, _ = ROLES[role]

    carla.put(MOUNTED + "new.vcf", a_card("new"))
    carla.put(MOUNTED + "old.vcf", a_card("old", "Changed"))
    carla.delete(MOUNTED + "old.vcf")
    assert leads.book("sales/leads").revision - before == [add, edit, delete].count(403) * -1 + 3


@pytest.mark.parametrize("role", ["viewer", "contributor", "editor", "curator"])
def test_clients_are_told_whether_they_may_write(leads, carla, role):
    leads.grant("sales/leads", "user:carla", role)
    told = carla.propfind(MOUNTED, "D:current-user-privilege-set").responses[MOUNTED]

    names = {one.tag for one in told.iter()}
    assert ("{DAV:}write-content" in names) == (role != "viewer")
    assert "{DAV:}read" in names


def test_a_home_lists_own_books_and_those_that_may_be_read(leads, ada, carla):
    assert ada.propfind("/ada/", "D:resourcetype", depth="1").hrefs == ["/ada/", OWN, f"/ada/{LEADS}/"]
    assert carla.propfind("/carla/", "D:resourcetype", depth="1").hrefs == ["/carla/", "/carla/contacts/"]


def test_the_rights_of_all_books_of_a_home_are_asked_for_at_once(leads, ada, statements):
    with leads.db.write() as session:
        for number in range(20):
            by = changes.command_line()
            books.add(session, people.user(session, "ada"), f"book{number}", by=by)
    ada.propfind("/ada/", "D:resourcetype", depth="1")
    statements.clear()

    assert len(ada.propfind("/ada/", "D:resourcetype", "D:displayname", depth="1").hrefs) == 23
    assert len(statements) <= 8


def test_the_root_shows_nobody_else(ada):
    assert ada.propfind("/", "D:resourcetype", depth="1").hrefs == ["/", "/ada/"]


def requests_of(client, book, a_card):
    """One request of each kind on a book, as (status, body without the book's name)."""
    segment = book.encode()
    path = f"/carla/{book}/"
    answers = [
        client.get(path),
        client.get(path + "old.vcf"),
        client.get(path + "none.vcf"),
        client.propfind(path, "D:displayname", "D:getetag", depth="1"),
        client.propfind(path + "old.vcf", "D:getetag"),
        client.put(path + "new.vcf", a_card("new")),
        client.put(path + "old.vcf", a_card("old")),
        client.put(path + "other.vcf", a_card("old")),
        client.put(path + "old.vcf", a_card("old"), if_match='"x"'),
        client.put(path + "old.vcf", b"no card"),
        client.put(path, a_card("x")),
        client.delete(path + "old.vcf"),
        client.delete(path),
        client.proppatch(path, D__displayname="Mine"),
        client.mkcol(path),
        client.mkcol(path, method="MKCALENDAR"),
        client.multiget(path, path + "old.vcf"),
        client.multiget("/carla/contacts/", path + "old.vcf"),
        client.query(path, ""),
        client.sync(path),
        client.move(path + "old.vcf", "/carla/contacts/old.vcf"),
        client.move("/carla/contacts/mine.vcf", path + "old.vcf"),
        client.request("REPORT", path, "<unknown/>"),
        client.request("OPTIONS", path),
        client.request("POST", path),
        client.request("COPY", path),
    ]
    return [(one.status, one.body.replace(segment, b"BOOK")) for one in answers]


def test_a_book_that_may_not_be_read_can_t_be_told_from_one_that_isn_t_there(leads, carla, a_card):
    carla.put("/carla/contacts/mine.vcf", a_card("mine"))

    assert requests_of(carla, LEADS, a_card) == requests_of(carla, "sales~nothing", a_card)
    assert requests_of(carla, "ada~contacts", a_card) == requests_of(carla, "nobody~nothing", a_card)


def test_a_home_that_is_somebody_s_can_t_be_told_from_one_that_is_nobody_s(ada, carla, a_card):
    ada.put(OWN + "x.vcf", a_card("x"))

    def answers(home):
        return [
            (one.status, one.body)
            for path in (f"/{home}/", f"/{home}/contacts/", f"/{home}/contacts/x.vcf")
            for one in (carla.get(path), carla.propfind(path, "D:getetag"), carla.delete(path), carla.mkcol(path))
        ]

    assert answers("ada") == answers("nobody")


def test_an_own_book_that_was_given_away_can_t_be_told_from_a_free_name(leads, ada, a_card):
    ada.mkcol("/ada/given/")
    with leads.db.write() as session:
        book = books.find(session, "ada/given")
        books.give(session, book, people.user(session, "carla"), by=changes.command_line())

    def answers(name):
        path = f"/ada/{name}/"
        one = [
            ada.get(path),
            ada.propfind(path, "D:getetag"),
            ada.put(path + "x.vcf", a_card("x")),
            ada.delete(path),
            ada.delete(path + "x.vcf"),
            ada.sync(path),
            ada.proppatch(path, D__displayname="Mine"),
        ]
        return [(answer.status, answer.body.replace(name.encode(), b"BOOK")) for answer in one]

    assert answers("given") == answers("free")
    # Its address stays the book's for ever: that it can't be made again is the one thing left to see, as of a
    # reserved name.
    assert ada.mkcol("/ada/given/").status == ada.mkcol("/ada/all/").status == 403


def test_a_grant_counts_from_the_next_request_on_and_so_does_its_end(leads, carla):
    assert carla.get(MOUNTED + "old.vcf").status == 403
    leads.grant("sales/leads", "user:carla", "viewer")
    assert carla.get(MOUNTED + "old.vcf").status == 200
    with leads.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.take(session, book, "user:carla", by=changes.command_line())
    assert carla.get(MOUNTED + "old.vcf").status == 403


def test_a_card_can_be_moved_only_with_rights_on_both_ends(leads, ada, carla, a_card):
    leads.grant("sales/leads", "user:carla", "contributor")
    carla.put("/carla/contacts/mine.vcf", a_card("mine"))

    assert carla.move(MOUNTED + "old.vcf", "/carla/contacts/old.vcf").status == 403
    assert carla.get("/carla/contacts/old.vcf").status == 404
    assert carla.move("/carla/contacts/mine.vcf", MOUNTED + "mine.vcf").status == 201
    assert carla.get("/carla/contacts/mine.vcf").status == 404
    ada.put(OWN + "old.vcf", a_card("old", "Other"))
    assert ada.move(OWN + "old.vcf", f"/ada/{LEADS}/old.vcf", overwrite="T").status == 204


def test_a_move_that_fails_at_its_end_leaves_the_beginning(leads, carla, a_card):
    leads.grant("sales/leads", "user:carla", "viewer")
    carla.put("/carla/contacts/mine.vcf", a_card("mine"))

    assert carla.move("/carla/contacts/mine.vcf", MOUNTED + "mine.vcf").status == 403
    assert carla.get("/carla/contacts/mine.vcf").status == 200


def test_only_address_books_are_made_and_none_is_replaced_as_a_whole(ada, a_card):
    ada.put(OWN + "x.vcf", a_card("x"))

    assert ada.mkcol("/ada/calendar/", kind="<CAL:calendar/>").status == 403
    assert ada.mkcol("/ada/calendar/", method="MKCALENDAR").status == 403
    assert ada.mkcol("/ada/folder/", kind="").status == 403
    assert ada.mkcol("/ada/Upper Case/").status == 403
    assert ada.put(OWN, a_card("y")).status == 403
    assert ada.put("/ada/new", a_card("y")).status == 403
    assert ada.put("/ada/", a_card("y")).status == 403
    assert ada.propfind("/ada/", "D:resourcetype", depth="1").hrefs == ["/ada/", OWN, f"/ada/{LEADS}/"]
    assert ada.propfind(OWN, "D:getetag", depth="1").hrefs == [OWN, OWN + "x.vcf"]


def test_a_home_can_be_neither_changed_nor_deleted(ada):
    assert ada.proppatch("/ada/", D__displayname="Me").status == 403
    assert ada.delete("/ada/").status == 403
    assert ada.delete("/").status == 403
    assert ada.propfind("/ada/", "D:displayname").text("/ada/", "D:displayname") == "Ada"


def test_a_property_that_isn_t_kept_is_not_answered_as_if_it_were(ada):
    assert ada.proppatch(OWN, D__displayname="New", I__order="1").status == 403
    assert ada.propfind(OWN, "D:displayname").text(OWN, "D:displayname") == "Contacts"


def test_a_deleted_book_lies_in_the_trash(ada, leads, a_card):
    ada.put(OWN + "x.vcf", a_card("x"))

    assert ada.delete(OWN).status == 200
    with leads.db.read() as session:
        assert books.find_trashed(session, "ada/contacts").name == "Contacts"


# (user, path): letters, as asked outside any request
LETTERS = {
    ("", "/"): "",
    ("", "/ada/"): "",
    ("ada", "/"): "R",
    ("ada", "/ada/"): "RW",
    ("ada", "/ada"): "RW",
    ("ada", OWN): "rwo",
    ("ada", "/ada/contacts"): "rwo",
    ("ada", "/ada/contacts/x.vcf"): "",
    ("ada", "/ada/free/"): "rwo",
    ("ada", f"/ada/{LEADS}/"): "rwold",
    ("ada", "/ada/sales~nothing/"): "",
    ("ada", "/ada/ada~contacts/"): "",
    ("ada", "/carla/"): "",
    ("ada", "/carla/contacts/"): "",
    ("ada", "/sales/leads/"): "",
    ("ada", "/nobody/"): "",
    ("ada", "/ada/contacts/x/y/"): "",
    ("carla", f"/carla/{LEADS}/"): "",
}


@pytest.mark.parametrize(("user", "path"), LETTERS)
def test_the_letters_are_those_of_the_grants(leads, tools, user, path):
    sent_bytes.begin({sent_bytes.DISPATCHER: True}, limit=0)

    assert Rights(tools.configuration(leads.db.url)).authorization(user, set(), path) == LETTERS[user, path]
