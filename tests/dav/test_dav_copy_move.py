"""COPY and MOVE (RFC 4918, sections 9.8, 9.9, 10.3 and 10.6; RFC 6352, section 6.3.2.1)."""

import pytest

from radicale_shared import history
from tests.conftest import card
from tests.dav.conftest import DAV, Client, etags_of, token_of

OWN, LEADS = "/ada/contacts/", "/ada/sales~leads/"
A, NEW = f"{OWN}a.vcf", f"{OWN}new.vcf"


@pytest.fixture
def filled(organisation):
    """Ada's card "a" in her own book, "lead" in the group's; Ada may not delete there, as an editor."""
    organisation.put("ada", "contacts", "a.vcf", card("a", "A"))
    organisation.put("ada", "sales~leads", "lead.vcf", card("lead", "Lead"))
    return organisation


def copy(client, path, to, **headers):
    return client.request("COPY", path, Destination=to, **headers)


def move(client, path, to, **headers):
    return client.request("MOVE", path, Destination=to, **headers)


@pytest.fixture
def everything(filled, application):
    """A function that tells all Ada can see of both books."""
    ada = Client(application, "ada", user_agent="observer")

    def look():
        return [(etags_of(ada, book), token_of(ada, book)) for book in (OWN, LEADS)]

    return look


# -- what they do ------------------------------------------------------------------------------------------------------


def test_a_copy_to_a_free_name_of_another_book_is_201_with_the_new_card_s_etag(ada, filled):
    answer = copy(ada, A, f"{LEADS}copied.vcf")

    assert (answer.status, answer.body) == (201, b"")
    there = ada.get(f"{LEADS}copied.vcf")
    assert (there.etag, there.body) == (answer.etag, card("a", "A"))
    assert ada.get(A).body == card("a", "A")


def test_a_move_between_books_is_told_by_the_sync_of_both(ada, filled):
    tokens = token_of(ada, OWN), token_of(ada, LEADS)

    assert move(ada, A, f"{LEADS}a.vcf").status == 201

    here, there = ada.sync(OWN, tokens[0]), ada.sync(LEADS, tokens[1], data=True)
    assert (here.hrefs, here.status_of(A)) == ([A], "HTTP/1.1 404 Not Found")
    assert there.hrefs == [f"{LEADS}a.vcf"]
    assert ada.get(f"{LEADS}a.vcf").body == card("a", "A")
    assert ada.get(A).status == 404


def test_a_move_inside_a_book_keeps_the_uid_and_tells_both_names(ada, filled):
    token = token_of(ada, OWN)

    assert move(ada, A, NEW).status == 201

    told = ada.sync(OWN, token)
    assert sorted(told.hrefs) == [A, NEW]
    assert told.status_of(A) == "HTTP/1.1 404 Not Found"
    assert ada.get(NEW).body == card("a", "A")


def test_a_copy_inside_a_book_is_a_uid_conflict_with_the_card_itself(ada, filled, everything):
    before = everything()

    answer = copy(ada, A, NEW)

    assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
    assert answer.xml.findtext(f".//{DAV}href") == A
    assert everything() == before


def test_a_uid_conflict_names_the_card_in_the_target_s_book(ada, filled):
    filled.put("ada", "sales~leads", "other.vcf", card("a", "Other"))

    answer = move(ada, A, f"{LEADS}a.vcf")

    assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
    assert answer.xml.findtext(f".//{DAV}href") == f"{LEADS}other.vcf"


@pytest.mark.parametrize("headers", [{}, {"Overwrite": "T"}, {"Overwrite": "t"}])
def test_a_card_with_the_same_uid_is_replaced_which_is_204_without_an_etag(ada, filled, headers):
    filled.put("ada", "sales~leads", "a.vcf", card("a", "Old"))

    answer = move(ada, A, f"{LEADS}a.vcf", **headers)

    assert (answer.status, "ETag" in answer.headers) == (204, False)
    assert ada.get(f"{LEADS}a.vcf").body == card("a", "A")


def test_overwrite_f_protects_what_is_there_and_nothing_else(ada, filled, everything):
    filled.put("ada", "sales~leads", "a.vcf", card("a", "Old"))
    before = everything()

    assert move(ada, A, f"{LEADS}a.vcf", Overwrite="F").status == 412
    assert copy(ada, A, f"{LEADS}a.vcf", Overwrite="F").status == 412
    assert everything() == before
    assert move(ada, A, NEW, Overwrite="F").status == 201


@pytest.mark.parametrize("depth", ["0", "1", "infinity", "anything"])
def test_the_depth_of_a_card_is_ignored(ada, filled, depth):
    assert copy(ada, A, f"{LEADS}a.vcf", Depth=depth).status == 201


def test_the_history_names_both_ends_in_one_act(ada, filled):
    move(ada, A, f"{LEADS}there.vcf")

    with filled.db.snapshot() as session:
        told = [one for one in history.entries(session) if one.kind == "move"]
    assert sorted((one.book, one.href) for one in told) == [("ada/contacts", "a.vcf"), ("sales/leads", "there.vcf")]
    assert {one.reason for one in told} == {"from ada/contacts/a.vcf to sales/leads/there.vcf"}
    assert {(one.actor, one.device) for one in told} == {("ada", "tests/")}


# -- Destination -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "environ"),
    [
        (NEW, {}),
        (f"http://localhost{NEW}", {}),
        (f"http://LOCALHOST:80{NEW}", {}),
        (f"https://books.example.org{NEW}", {"HTTP_HOST": "books.example.org"}),
        (f"https://books.example.org:443{NEW}", {"HTTP_HOST": "books.example.org"}),
        (f"https://books.example.org:8443{NEW}", {"HTTP_HOST": "books.example.org:8443"}),
        (f"http://[::1]:5232{NEW}", {"HTTP_HOST": "[::1]:5232"}),
        (f"https://outside.example.org{NEW}", {"HTTP_HOST": "in:1", "HTTP_X_FORWARDED_HOST": "outside.example.org"}),
        (f"{OWN}n%65w.vcf", {}),
        (f"  {NEW} ", {}),
    ],
)
def test_the_destination_may_be_an_url_of_this_server_or_a_path(ada, filled, destination, environ):
    ada.environ = environ

    assert move(ada, A, destination).status == 201
    assert ada.get(NEW).status == 200


@pytest.mark.parametrize("destination", ["/pre/ada/contacts/new.vcf", "http://localhost/pre/ada/contacts/new.vcf"])
def test_the_destination_has_the_prefix_that_all_urls_have(ada, filled, destination):
    ada.environ = {"SCRIPT_NAME": "/pre"}

    assert move(ada, A, destination).status == 201
    assert ada.get(NEW).status == 200


def test_a_name_in_any_script_can_be_a_destination(ada, filled):
    assert move(ada, A, f"{OWN}%C3%A4%F0%9F%98%80%20b.vcf").status == 201
    assert ada.get(f"{OWN}ä😀 b.vcf").status == 200


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        (None, 400),
        ("", 400),
        ("new.vcf", 400),
        ("//localhost/ada/contacts/new.vcf", 400),
        ("http:///ada/contacts/new.vcf", 400),
        ("http://localhost:x/ada/contacts/new.vcf", 400),
        ("http://[::1/ada/contacts/new.vcf", 400),
        ("mailto:ada@example.org", 400),
        (f"{NEW}#part", 400),
        ("/ada/contacts/../contacts/new.vcf", 400),
        ("/ada/contacts//new.vcf", 400),
        ("/ada/contacts/%FF.vcf", 400),
        ("/ada/contacts/%00.vcf", 400),
        ("\u20ac", 400),
        ("http://elsewhere.example.org/ada/contacts/new.vcf", 502),
        ("http://localhost:5232/ada/contacts/new.vcf", 502),
        ("ftp://localhost/ada/contacts/new.vcf", 502),
        (A, 403),
        (f"http://localhost{A}", 403),
        ("/ada/contacts/%61.vcf", 403),
        ("/", 403),
        ("/ada/", 403),
        (OWN, 403),
        (LEADS, 403),
        ("/ada/new.vcf", 403),
        ("/.well-known/carddav", 403),
        ("/ada/contacts/" + "x" * 1001, 403),
        ("/ada/nowhere/new.vcf", 409),
        ("/ben/contacts/new.vcf", 409),
        ("/nobody/contacts/new.vcf", 409),
        ("/ada/all/new.vcf", 409),
        ("/ada/contacts/a.vcf/deeper.vcf", 409),
    ],
)
def test_a_destination_that_can_not_be_is_refused_and_changes_nothing(ada, filled, everything, destination, status):
    before = everything()

    for method in ("COPY", "MOVE"):
        assert ada.request(method, A, Destination=destination).status == status, method
    assert everything() == before


def test_an_existing_collection_is_not_overwritten_where_that_is_asked(ada, filled):
    assert copy(ada, A, LEADS, Overwrite="F").status == 412
    assert copy(ada, A, "/ada/nowhere/", Overwrite="F").status == 403


def test_overwrite_is_t_or_f(ada, filled):
    assert move(ada, A, NEW, Overwrite="X").status == 400


@pytest.mark.parametrize("path", ["/", "/.well-known/carddav", "/ada/", OWN, LEADS])
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_books_homes_and_the_root_keep_their_addresses(ada, filled, everything, method, path):
    before = everything()

    answer = ada.request(method, path, Destination="/ada/elsewhere/")

    assert (answer.status, answer.conditions) == (403, [])
    assert everything() == before
    assert ada.propfind("/ada/elsewhere/", "resourcetype").status == 404


@pytest.mark.parametrize("path", [f"{OWN}none.vcf", "/ada/nowhere/a.vcf", "/ben/contacts/a.vcf", "/nobody/b/a.vcf"])
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_what_is_not_there_is_404(ada, filled, method, path):
    assert ada.request(method, path, Destination=NEW).status == 404


# -- rights ------------------------------------------------------------------------------------------------------------


def need(answer):
    resource = answer.xml.find(f"{DAV}need-privileges/{DAV}resource")
    privilege = resource.find(f"{DAV}privilege")
    return answer.status, resource.findtext(f"{DAV}href"), privilege[0].tag.removeprefix(DAV)


def test_a_move_needs_to_delete_here_and_a_copy_does_not(ada, filled, everything):
    before = everything()

    assert need(move(ada, f"{LEADS}lead.vcf", NEW)) == (403, LEADS, "unbind")
    assert everything() == before
    assert copy(ada, f"{LEADS}lead.vcf", NEW).status == 201


def test_both_need_to_add_or_to_edit_there(application, filled):
    filled.grant("sales/leads", "user:carla", "viewer")
    carla = Client(application, "carla")
    carla.put("/carla/contacts/c.vcf", card("c"))
    carla.put("/carla/contacts/lead.vcf", card("lead", "Mine"))
    there = "/carla/sales~leads/"

    for method in ("COPY", "MOVE"):
        added = carla.request(method, "/carla/contacts/c.vcf", Destination=f"{there}c.vcf")
        edited = carla.request(method, "/carla/contacts/lead.vcf", Destination=f"{there}lead.vcf")
        assert need(added) == (403, there, "bind")
        assert need(edited) == (403, f"{there}lead.vcf", "write-content")
    assert carla.get("/carla/contacts/c.vcf").status == 200


def test_a_destination_one_may_not_read_is_answered_as_one_that_is_not_there(application, filled):
    carla = Client(application, "carla")
    carla.put("/carla/contacts/c.vcf", card("c"))

    def answers(home, book):
        for method in ("COPY", "MOVE"):
            for name in ("lead.vcf", "new.vcf", "a/b", ""):
                for overwrite in ("T", "F"):
                    path = f"/{home}/{book}/{name}"
                    yield carla.request(method, "/carla/contacts/c.vcf", Destination=path, Overwrite=overwrite)

    assert list(answers("carla", "sales~leads")) == list(answers("carla", "sales~nopes"))
    assert list(answers("sales", "leads")) == list(answers("sales", "nopes"))
    assert list(answers("ada", "contacts")) == list(answers("eve", "contents"))


# -- conditions and refused writes -------------------------------------------------------------------------------------


def test_if_match_is_about_the_card_that_is_moved(ada, filled, everything):
    etag = ada.get(A).etag
    before = everything()

    assert move(ada, A, NEW, If_Match='"other"').status == 412
    assert copy(ada, A, f"{LEADS}a.vcf", If_None_Match=etag).status == 412
    assert everything() == before
    assert move(ada, A, NEW, If_Match=etag).status == 201


def test_the_etag_after_a_refusal_can_be_named_too(ada, filled):
    stored = ada.get(A).etag
    assert move(ada, A, f"{OWN}{'x' * 1001}").status == 403
    shown = etags_of(ada, OWN)[A]

    assert stored != shown
    assert move(ada, A, NEW, If_Match=shown).status == 201


def test_a_refused_move_comes_back_on_both_ends(ada, filled):
    tokens = token_of(ada, LEADS), token_of(ada, OWN)
    known = etags_of(ada, LEADS)

    assert move(ada, f"{LEADS}lead.vcf", NEW).status == 403

    here, there = ada.sync(LEADS, tokens[0]), ada.sync(OWN, tokens[1])
    assert here.hrefs == [f"{LEADS}lead.vcf"]
    assert here.text(f"{LEADS}lead.vcf", f"{DAV}getetag") != known[f"{LEADS}lead.vcf"]
    assert (there.hrefs, there.status_of(NEW)) == ([NEW], "HTTP/1.1 404 Not Found")


def test_a_refused_copy_comes_back_at_its_destination_only(ada, filled):
    tokens = token_of(ada, OWN)

    assert copy(ada, A, NEW).status == 409

    told = ada.sync(OWN, tokens)
    assert (told.hrefs, told.status_of(NEW)) == ([NEW], "HTTP/1.1 404 Not Found")


# -- the merged book ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mac(application, filled):
    return Client(application, "ada", user_agent="macOS/14.4 AddressBookCore/2498.4.1")


def shown_in_merged(mac):
    """{UID: URL} of the merged book."""
    listed = [href for href in mac.propfind("/ada/all/", "getetag", depth="1").hrefs if href != "/ada/all/"]
    return {mac.get(href).body.partition(b"UID:")[2].split(b"\r")[0].decode(): href for href in listed}


def test_a_card_of_the_merged_book_is_moved_to_a_new_name_in_its_own_book(mac, ada):
    answer = move(mac, shown_in_merged(mac)["a"], "/ada/all/fresh.vcf")

    assert (answer.status, answer.headers["Location"]) == (201, shown_in_merged(mac)["a"])
    assert ada.get(f"{OWN}fresh.vcf").body == card("a", "A")


def test_a_card_is_moved_from_one_book_to_another_inside_the_merged_book(mac, ada):
    urls = shown_in_merged(mac)
    to = urls["lead"].replace("lead.vcf", "moved.vcf")

    assert move(mac, urls["a"], to).status == 201
    assert shown_in_merged(mac) == {"lead": urls["lead"], "a": to}
    assert ada.get(f"{LEADS}moved.vcf").status == 200


def test_a_copy_inside_the_merged_book_is_a_uid_conflict_in_any_of_its_books(mac):
    urls = shown_in_merged(mac)

    for to in ("/ada/all/fresh.vcf", urls["lead"].replace("lead.vcf", "copied.vcf")):
        answer = copy(mac, urls["a"], to)
        assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
        assert answer.xml.findtext(f".//{DAV}href") == urls["a"]


def test_the_same_card_under_its_two_urls_is_one_place(mac):
    assert move(mac, shown_in_merged(mac)["a"], A).status == 403
    assert move(mac, A, shown_in_merged(mac)["a"]).status == 403


@pytest.mark.parametrize("to", ["/ada/all/", "/ada/all"])
def test_the_merged_book_itself_is_no_destination_and_is_not_moved(mac, to):
    assert move(mac, A, to).status == 403
    assert move(mac, to, "/ada/elsewhere/").status == 403


# -- OPTIONS -----------------------------------------------------------------------------------------------------------


def test_allow_tells_what_can_be_done_with_a_card(ada, filled):
    own = ada.request("OPTIONS", A).headers["Allow"].split(", ")
    lead = ada.request("OPTIONS", f"{LEADS}lead.vcf").headers["Allow"].split(", ")

    assert {"COPY", "MOVE", "PROPPATCH"} <= set(own)
    assert {"COPY", "PROPPATCH"} <= set(lead)
    assert "MOVE" not in lead


@pytest.mark.parametrize("path", ["/", "/ada/", OWN, A])
def test_there_are_no_locks(ada, filled, path):
    answer = ada.request("OPTIONS", path)

    assert "2" not in answer.headers["DAV"].split(", ")
    assert not {"LOCK", "UNLOCK"} & set(answer.headers["Allow"].split(", "))
    for method in ("LOCK", "UNLOCK"):
        assert ada.request(method, path).status == 405
