"""What the API takes and how it answers, whichever route it is: signing in, addresses, methods, bodies, errors."""

import io
import json
import logging
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from radicale_shared import group_owners, people, settings
from radicale_shared.errors import BusyError, DirectoryUnavailableError, UnavailableError
from radicale_shared.models import Block, Destruction, now, table
from radicale_shared.web import application as api
from radicale_shared.web.asking import MOST_BYTES, MOST_TEXTS
from tests.conftest import card
from tests.dav.test_dav_queue import Slow
from tests.web.conftest import Tool

LEADS = "books/sales~leads"
GRANT = f"{LEADS}/grants/user:carla"
BLOCK = 999_999
# Each route, as Ada may ask it.
ASKED = {
    ("GET", ""): ("", None),
    ("GET", "groups"): ("groups", None),
    ("GET", "books"): ("books", None),
    ("POST", "books"): ("books", {"owner": "group:sales", "slug": "press"}),
    ("GET", "books/<name>"): ("books/contacts", None),
    ("GET", "books/<name>/grants"): ("books/contacts/grants", None),
    ("PUT", "books/<name>/grants/<rest:principal>"): ("books/contacts/grants/user:carla", {"role": "viewer"}),
    ("DELETE", "books/<name>/grants/<rest:principal>"): ("books/contacts/grants/user:ben", None),
    ("GET", "books/<name>/explain"): ("books/contacts/explain", None),
    ("GET", "books/<name>/who"): ("books/contacts/who", None),
    ("GET", "books/<name>/history"): ("books/contacts/history", None),
    ("POST", "books/<name>/undo"): ("books/contacts/undo", {"since": "2020-01-01T00:00:00Z", "dry_run": True}),
    ("GET", "books/<name>/guard"): ("books/contacts/guard", None),
    ("PUT", "books/<name>/guard"): ("books/contacts/guard", {"cards": 20}),
    ("GET", "books/<name>/phones"): ("books/contacts/phones", None),
    ("PUT", "books/<name>/phones"): ("books/contacts/phones", {"hidden": True}),
    ("POST", "books/<name>/clean-up"): ("books/contacts/clean-up", {}),
    ("GET", "blocks"): ("blocks", None),
    ("POST", "blocks/<block>/release"): (f"blocks/{BLOCK}/release", {}),
    ("POST", "blocks/<block>/revert"): (f"blocks/{BLOCK}/revert", {}),
    ("GET", "devices"): ("devices", None),
    ("POST", "devices"): ("devices", {"label": "phone"}),
    ("DELETE", "devices/<rest:label>"): ("devices/old", None),
}
CHANGING = {route: one for route, one in ASKED.items() if route[0] != "GET"}
SENDING = {route: one for route, one in CHANGING.items() if route[0] != "DELETE"}


@pytest.fixture
def everything(organisation, db, device_of):
    """Ada runs the group Sales, Ben has a grant on her book, where a device was stopped, and she has one called old."""
    organisation.grant("ada/contacts", "user:ben", "viewer")
    with db.write() as session:
        group_owners.add(session, "sales", "ada")
    device_of("ada", "old")
    organisation.put("ada", "contacts", "gone.vcf", card("gone"))
    revision = organisation.remove("ada", "contacts", "gone.vcf")
    of_book = {"book_id": organisation.book("ada/contacts").id, "source": "a phone", "at": now()}
    texts = dict.fromkeys(("actor", "device", "address", "user_agent"), "")
    numbers = {"id": BLOCK, "first_revision": revision, "destroyed": 1, "of_cards": 1}
    times = {"began_at": now(), "until_at": now() + timedelta(days=1)}
    with db.write() as session:
        session.execute(insert(table(Destruction)).values(revision=revision, deleted=True, **of_book))
        session.execute(insert(table(Block)).values(**of_book, **texts, **numbers, **times))


def test_every_route_is_asked_here():
    assert set(ASKED) == set(api.ROUTES)


def test_a_route_answers_json_that_nobody_keeps(everything, ada):
    for (method, _), (path, value) in ASKED.items():
        answer = ada.ask(method, path, value)

        assert answer.status in {"GET": {200}, "PUT": {200, 201}, "POST": {200, 201}, "DELETE": {200, 204}}[method]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        if answer.status == 204:
            assert answer.body == b""
        else:
            assert answer.headers["Content-Type"] == "application/json"
            assert isinstance(answer.value, dict)


def test_nobody_asks_without_signing_in(everything, application):
    for tool in (Tool(application), Tool(application, "ada", "wrong"), Tool(application, "sales", "salessales")):
        for (method, _), (path, value) in ASKED.items():
            answer = tool.ask(method, path, value)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
            assert answer.error == "Sign in with your login and password."


def test_who_is_signed_in_is_told_with_the_ways_on(ada, device_of):
    told = ada.read("").value

    assert told == {
        "login": "ada",
        "name": "Ada",
        "email": "",
        "groups": [{"principal": "group:sales", "name": "Sales"}],
        "device": None,
        "links": {"books": "/api/books", "groups": "/api/groups", "devices": "/api/devices"},
    }
    assert device_of(label="Ada's phone").read("")["device"] == "Ada's phone"
    assert {ada.read(path).status for path in told["links"].values()} == {200}


def test_a_login_that_is_no_user_here_is_told_so(organisation, serving, tmp_path):
    users = tmp_path / "htpasswd"
    users.write_text("zoe:zoe\nada:ada\n")
    application = serving(auth={"type": "htpasswd", "htpasswd_filename": str(users), "htpasswd_encryption": "plain"})

    assert Tool(application, "zoe", "zoe").read("").error == "There is no user 'zoe'."
    assert Tool(application, "zoe", "zoe").read("books").value == {"books": []}
    assert Tool(application, "ada", "ada").read("")["login"] == "ada"


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/"])
def test_the_api_is_found_with_and_without_a_slash(ada, path):
    assert ada.read(f"/api{path}")["login"] == "ada"
    assert ada.read(f"/api/books{path}")["books"]


@pytest.mark.parametrize(
    ("path", "environ", "root"),
    [
        ("/contacts/api/", {"HTTP_X_SCRIPT_NAME": "/contacts", "REMOTE_ADDR": "10.1.1.1"}, "/contacts/api/"),
        ("/api/", {"HTTP_X_SCRIPT_NAME": "/contacts", "REMOTE_ADDR": "10.1.1.1"}, "/contacts/api/"),
        ("/api/", {"SCRIPT_NAME": "/contacts"}, "/contacts/api/"),
        ("/api/", {"HTTP_X_SCRIPT_NAME": "/contacts", "REMOTE_ADDR": "192.0.2.1"}, "/api/"),
        ("/api/", {"HTTP_X_SCRIPT_NAME": "/ap", "REMOTE_ADDR": "10.1.1.1"}, "/ap/api/"),
    ],
)
def test_the_prefix_of_a_trusted_proxy_stands_before_the_api(ada, path, environ, root):
    ada.environ = environ

    assert ada.read(path)["links"]["books"] == f"{root}books"


def test_a_configured_prefix_stands_before_the_api(organisation, serving):
    ada = Tool(serving(server={"script_name": "/contacts"}), "ada")

    for path in ("/contacts/api/books", "/api/books"):
        assert ada.read(path).status == 200
    assert ada.propfind("/contacts/ada/", "resourcetype").hrefs == ["/contacts/ada/"]
    assert ada.read("/contactsapi/books").status == 404


def test_a_prefix_that_is_api_too_leaves_both_surfaces_where_they_are(organisation, serving):
    ada = Tool(serving(server={"script_name": "/api"}), "ada")

    assert ada.read("/api/api/")["login"] == "ada"
    assert ada.propfind("/api/ada/", "resourcetype").hrefs == ["/api/ada/"]


def test_what_only_looks_like_the_api_is_an_address_of_carddav(ada):
    assert ada.mkcol("/ada/phones/").status == 201
    for path in ("/ada/", "/ada/phones/"):
        assert ada.propfind(path, "resourcetype").status == 207
    for path in ("/apis", "/Api/books", "/ada/api/books", "/ada/phones/api", "//api/books", "/%61pi/books"):
        answer = ada.request("GET", path)
        assert "application/json" not in answer.headers.get("Content-Type", "")


def test_there_is_nothing_elsewhere(ada):
    for path in ("nothing", "books/contacts/nothing", "books//grants", "x/y/z"):
        answer = ada.read(path)
        assert (answer.status, answer.error) == (404, "There is nothing at this address; see /api/.")


def test_a_book_that_is_none_is_not_there(ada):
    for name in ("..", ".", "none", "ada/contacts", "%2e", "ada~contacts", "ben~contacts", "ü" * 300):
        assert ada.read(f"books/{name}/who").status == 404


def test_a_path_that_is_not_readable_is_refused(ada):
    for path in (b"books/\xff/who", b"books/a\x00b/who", b"books/a\nb/who", b"devices/\xed\xa0\x80"):
        answer = ada.read(path)
        assert (answer.status, answer.error) == (400, "The path is not UTF-8, or has control characters.")


def test_an_unknown_argument_is_refused_as_it_would_go_unnoticed(ada):
    for path, argument in (("books/contacts/explain", "user"), ("books/contacts/who", "card")):
        assert ada.read(path, usr="ben").error == f"There is no argument 'usr' here; use {argument}."
        assert ada.read(path, **{argument: "a\0b"}).status == 400
        assert ada.read(path, **{argument: "no body"}).status == 404


# -- methods -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "GET, HEAD"),
        ("books", "GET, HEAD, POST"),
        ("books/contacts/grants", "GET, HEAD"),
        ("books/contacts/grants/user:ben", "DELETE, PUT"),
        ("devices", "GET, HEAD, POST"),
        ("devices/phone", "DELETE"),
    ],
)
def test_another_method_is_told_which_there_are(ada, path, allowed):
    for method in ("OPTIONS", "PATCH", "PROPFIND", "TRACE", "BREW"):
        answer = ada.ask(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
        assert answer.error == "This address has no such method."


def test_head_is_get_without_its_body(ada):
    for path in ("", "books", "books/contacts/who", "books/none/who"):
        got, head = ada.read(path), ada.ask("HEAD", path)
        assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


def test_a_page_of_another_site_gets_no_leave_to_send_anything(ada, application):
    asking = {"Origin": "https://evil.example", "Access_Control_Request_Method": "PUT"}

    for tool, status in ((ada, 405), (Tool(application), 401)):
        answer = tool.ask("OPTIONS", GRANT, **asking)
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


# -- bodies ------------------------------------------------------------------------------------------------------------


FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None)


@pytest.mark.parametrize("route", SENDING)
def test_what_a_form_of_another_site_can_send_is_refused(everything, ada, ben, route):
    path, value = SENDING[route]
    before = ben.read("books").value, ada.read("devices").value

    for kind in (*FORMS, "text/plain; application/json", "application/jsonp", "text/json"):
        answer = ada.ask(route[0], path, body=json.dumps(value).encode(), Content_Type=kind)
        assert (answer.status, answer.error) == (415, "Send a JSON object, as application/json.")
    assert (ben.read("books").value, ada.read("devices").value) == before


def test_json_may_say_its_charset(ada):
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert ada.ask("POST", "devices", {"label": kind}, Content_Type=kind).status == 201


NOT_JSON = (
    *(b"", b"{", b"role=viewer", b"\xff\xfe\xff", b'{"a":1}}'),
    *(b"[" * 60_000, b'{"a":' * 12_000, b"1" * 60_000, b'{"until": ' + b"1" * 5_000 + b"}"),
)


@pytest.mark.parametrize("route", SENDING)
def test_a_body_that_is_no_json_object_is_refused(everything, ada, route):
    def answered(body):
        answer = ada.ask(route[0], SENDING[route][0], body=body)
        return answer.status, answer.error

    for body in NOT_JSON:
        assert answered(body) == (400, "The body is not JSON.")
    for body in (b"[]", b"null", b'"text"', b"1", b"NaN", b"true"):
        assert answered(body) == (400, "Send a JSON object.")


@pytest.mark.parametrize("route", SENDING)
def test_a_key_with_a_slip_in_it_is_told(everything, ada, route):
    path, value = SENDING[route]

    answer = ada.ask(route[0], path, {**value, "rolle": "viewer"})

    assert answer.status == 400
    assert answer.error.startswith("There is no key 'rolle' here; use ")


HALF = "\ud800"
WRONG = {
    ("POST", "books"): [
        ({}, "'owner' must be a text."),
        ({"owner": 1, "slug": "a"}, "'owner' must be a text."),
        ({"owner": "sales", "slug": None}, "'slug' must be a text."),
        ({"owner": "sales", "slug": "a", "name": ["b"]}, "'name' must be a text."),
        ({"owner": "sales", "slug": "a\0b"}, "'slug' has characters that can't be shown."),
        ({"owner": HALF, "slug": "a"}, "'owner' has characters that can't be shown."),
    ],
    ("PUT", GRANT): [
        ({}, "'role' must be a text."),
        ({"role": "boss"}, "'role' must be one of viewer, contributor, editor, curator, manager, owner."),
        ({"role": {"x": 1}}, "'role' must be a text."),
        ({"role": "viewer", "until": 5}, "'until' must be a time such as 2026-12-31T23:59:59+01:00, or null."),
        ({"role": "viewer", "until": "soon"}, "'until' must be a time such as 2026-12-31T23:59:59+01:00, or null."),
        ({"role": "viewer", "until": HALF}, "'until' must be a time such as 2026-12-31T23:59:59+01:00, or null."),
        (
            {"role": "viewer", "until": "9999-12-31T23:59:59-12:00"},
            "'until' must be a time such as 2026-12-31T23:59:59+01:00, or null.",
        ),
        ({"role": "viewer", "until": "2099-12-31"}, "'until' must name its zone, as in 2026-12-31T23:59:59+01:00."),
        ({"role": "viewer", "hide": "note"}, "'hide' must be a list of texts."),
        ({"role": "viewer", "hide": [1]}, "'hide' must be a list of texts."),
        ({"role": "viewer", "hide": None}, "'hide' must be a list of texts."),
        ({"role": "viewer", "hide": ["tel"] * (MOST_TEXTS + 1)}, f"'hide' has at most {MOST_TEXTS} entries."),
        ({"role": "viewer", "hide": ["no\0te"]}, "'hide' has characters that can't be shown."),
        ({HALF: 1, "role": "viewer"}, "There is no key '\\ud800' here; use role, until, hide."),
    ],
    ("POST", "devices"): [
        ({}, "'label' must be a text."),
        ({"label": True}, "'label' must be a text."),
        ({"label": "a", "read_only": "yes"}, "'read_only' must be true or false."),
        ({"label": "a", "phones_only": 1}, "'phones_only' must be true or false."),
        ({"label": "a", "merged": "no"}, "'merged' must be true or false."),
        ({"label": "a", "books": "contacts"}, "'books' must be a list of texts."),
        ({"label": "a", "books": {"contacts": 1}}, "'books' must be a list of texts."),
        ({"label": HALF}, "'label' has characters that can't be shown."),
    ],
}


@pytest.mark.parametrize("route", WRONG)
def test_a_wrong_value_is_told_by_its_key(ben_manages, route):
    for value, told in WRONG[route]:
        answer = ben_manages.ask(*route, value)
        assert (answer.status, answer.error) == (400, told)


def test_a_body_that_is_too_long_is_refused(ada):
    for size in (MOST_BYTES + 1, 1024 * 1024, 5 * 1024 * 1024):
        for length in (str(size), None):
            answer = ada.ask("POST", "devices", body=b" " * size, Content_Length=length)
            assert (answer.status, answer.error) == (413, f"The body is larger than {MOST_BYTES} bytes.")


def test_a_body_of_the_largest_size_is_taken(ada):
    start, end = b'{"label": "a"', b"}"

    assert ada.ask("POST", "devices", body=start + b" " * (MOST_BYTES - 14) + end).status == 201


def test_a_body_in_chunks_is_read_to_its_end(ada):
    answer = ada.ask("POST", "devices", {"label": "in chunks"}, Content_Length=None, Transfer_Encoding="chunked")

    assert (answer.status, answer["label"]) == (201, "in chunks")


def test_a_body_that_came_by_half_does_nothing(ada):
    whole = json.dumps({"label": "half"}).encode()

    for part in (whole, whole[:5], b""):
        answer = ada.ask("POST", "devices", body=part, Content_Length=str(len(whole) + 1))
        assert (answer.status, answer.error) == (400, "The body ended before its Content-Length.")
    assert ada.read("devices")["devices"] == []


def test_a_slow_body_keeps_nobody_waiting(ada, db):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            with db.write() as session:  # waits for whoever has begun to write
                people.set_password(session, "carla", "new")
            return super().read(size)

    body = b'{"label": "slow"}'
    ada.environ = {"wsgi.input": Slow(body)}

    assert ada.ask("POST", "devices", body=body).status == 201


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "headers", "told"),
    [
        (BusyError(7), 503, {"Retry-After": "7"}, "Other writes took too long; try again in 7 seconds."),
        (
            BusyError(1, "Too many passwords are being verified"),
            503,
            {"Retry-After": "1"},
            "Too many passwords are being verified; try again in 1 second.",
        ),
        (
            UnavailableError("secret host"),
            503,
            {"Retry-After": "30"},
            "The database can't be reached; try again later.",
        ),
        (
            DirectoryUnavailableError("secret", "secret reason", 9),
            503,
            {"Retry-After": "9"},
            "Your password can't be checked at the moment; try again later.",
        ),
        (
            ZeroDivisionError("secret detail"),
            500,
            {},
            "Something went wrong here. It was logged; nothing was changed.",
        ),
    ],
)
@pytest.mark.parametrize("where", ["sign-in", "route"])
def test_trouble_inside_is_answered_without_its_details(
    organisation, db, configured, caplog, monkeypatch, where, error, status, headers, told
):
    def broken(*_arguments):
        raise error

    if where == "route":
        monkeypatch.setattr(db, "read", broken)
    found = settings.from_configuration(configured())
    answer = Tool(api.Api(db, found, broken if where == "sign-in" else lambda _environ: "ada")).read("books")

    assert (answer.status, answer.error) == (status, told)
    assert {name: answer.headers[name] for name in headers} == headers
    assert ("secret" in caplog.text) == (not isinstance(error, BusyError | DirectoryUnavailableError))


def test_guessing_is_slowed_down_here_too(organisation, serving, caplog):
    application = serving(auth={"attempts_per_account": "3", "attempts_per_address": "20"})
    assert Tool(application, "ada").read("books").status == 200

    with caplog.at_level(logging.WARNING):
        answers = [Tool(application, "ada", f"guess {number}").read("books") for number in range(8)]

    assert {one.status for one in answers} == {401, 429}
    slowed = [one for one in answers if one.status == 429]
    assert all(one.error.startswith("Too many wrong passwords; try again in ") for one in slowed)
    assert all(1 <= int(one.headers["Retry-After"]) <= 60 for one in slowed)
    assert "guess" not in caplog.text
    assert Tool(application, "ada").read("books").status == 200


# -- statements --------------------------------------------------------------------------------------------------------


def test_listing_books_is_three_statements_however_many_there_are(ada, statements):
    counts = []
    for number in range(3):
        for more in range(number * 5):
            ada.mkcol(f"/ada/book-{number}-{more}/")
        ada.read("books")
        statements.clear()
        assert ada.read("books").status == 200
        counts.append(len(statements))

    assert counts == [3, 3, 3]


def test_a_client_that_sends_slowly_holds_up_nobody(ada, ben):
    body = Slow(json.dumps({"label": "x" * 70_000}).encode())
    answers = []

    def ask(tool, **headers):
        answers.append(tool.ask("POST", "devices", body=b" " * 70_000, **headers).status)

    slow = replace(ada, environ={"wsgi.input": body})
    threads = [threading.Thread(target=ask, args=(tool,), daemon=True) for tool in (slow, ben)]
    threads[0].start()
    assert body.is_read.wait(30)
    threads[1].start()
    threads[1].join(10)
    assert answers == [413]
    body.goes_on.set()
    threads[0].join(10)
    assert len(answers) == 2
