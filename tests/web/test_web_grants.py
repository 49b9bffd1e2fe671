"""Grants by the API: managers give, change and take them without an administrator, and no more than they have."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from radicale_shared import group_owners, history, people
from radicale_shared.models import Grant, now
from tests.conftest import card
from tests.web.conftest import Tool

LEADS = "sales~leads"
ALL = ["read", "add", "edit", "delete", "export", "manage", "own"]
MANAGER = ALL[:-1]


def grants_of(tool, book=LEADS):
    return {one["principal"]: one["role"] for one in tool.read(f"books/{book}/grants")["grants"]}


def acts(db):
    with db.snapshot() as session:
        return list(history.entries(session))


# -- giving, changing, taking ------------------------------------------------------------------------------------------


def test_a_manager_works_without_an_administrator(ben_manages, carla):
    book = next(one["name"] for one in ben_manages.read("books")["books"] if one["verbs"] == MANAGER)
    assert book == LEADS
    assert grants_of(ben_manages) == {"group:sales": "editor", "user:ben": "manager"}
    assert carla.read("books")["books"] == [carla.read("books/contacts").value]

    given = ben_manages.give(book, "user:carla", "viewer")

    assert given.status == 201
    assert (given["principal"], given["role"], given["until"], given["hide"]) == ("user:carla", "viewer", None, [])
    assert (given["ended"], given["left"]) == (False, MANAGER)
    assert grants_of(ben_manages)["user:carla"] == "viewer"
    assert ben_manages.read(f"books/{book}/explain", user="carla")["verbs"] == ["read"]
    assert carla.read(f"books/{book}")["verbs"] == ["read"]
    assert carla.propfind(f"/carla/{book}/", "displayname").status == 207

    taken = ben_manages.take(book, "user:carla")

    assert (taken.status, taken.value) == (200, {"left": MANAGER})
    assert carla.read(f"books/{book}").status == 404
    assert carla.propfind(f"/carla/{book}/", "displayname").status == 404


def test_a_grant_that_is_put_again_is_what_the_body_says_and_nothing_else(ben_manages):
    until = (now() + timedelta(days=9)).replace(microsecond=0)
    first = ben_manages.give(LEADS, "user:carla", "editor", until=until.isoformat(), hide=["note", "TEL:Private"])
    assert (first.status, first["until"], first["hide"]) == (201, until.isoformat(), ["note", "tel:home"])

    second = ben_manages.give(LEADS, "user:carla", "viewer", hide=["bday"])

    assert (second.status, second["role"], second["until"], second["hide"]) == (200, "viewer", None, ["bday"])
    assert ben_manages.read(f"books/{LEADS}/grants")["grants"][-1]["hide"] == ["bday"]


def test_a_time_is_told_in_utc_whatever_its_zone_was(ben_manages):
    given = ben_manages.give(LEADS, "user:carla", "viewer", until="2099-12-31T23:30:00+01:00")

    assert given["until"] == "2099-12-31T22:30:00+00:00"


def test_a_principal_may_have_odd_letters(ben_manages, db):
    with db.write() as session:
        people.add_group(session, "Über uns / Wir")
        for login in ("zoë@example.org", "dom\\ana/b", "/"):
            people.add_user(session, login)

    for written, kept in (
        ("everyone", "everyone"),
        ("domain:Example.ORG", "domain:example.org"),
        ("user:CARLA", "user:carla"),
        ("group:Über uns / Wir", "group:uber-uns-wir"),
        ("group:uber-uns-wir", "group:uber-uns-wir"),
        ("user:zoë@example.org", "user:zoë@example.org"),
        ("user:dom\\ana/b", "user:dom\\ana/b"),
        ("user:/", "user:/"),
    ):
        given = ben_manages.give(LEADS, written, "viewer")

        assert (given.status, given["principal"]) == (201, kept)
        assert ben_manages.give(LEADS, kept, "editor").status == 200
        assert ben_manages.take(LEADS, written).status == 200
        assert ben_manages.take(LEADS, kept).error == f"There is no grant {kept!r}."


def test_an_ended_grant_is_listed_and_given_anew(ben_manages, db, carla):
    ben_manages.give(LEADS, "user:carla", "viewer", until="2099-01-01T00:00:00Z")
    with db.write() as session:
        session.execute(update(Grant).where(Grant.until_at.is_not(None)).values(until_at=now()))
    assert carla.read(f"books/{LEADS}").status == 404
    assert [one["ended"] for one in ben_manages.read(f"books/{LEADS}/grants")["grants"]] == [False, False, True]
    told = ben_manages.read(f"books/{LEADS}/explain", user="carla").value
    assert (told["verbs"], [one["role"] for one in told["ended"]]) == ([], ["viewer"])

    assert ben_manages.give(LEADS, "user:carla", "viewer").status == 200

    assert carla.read(f"books/{LEADS}").status == 200


def test_what_hides_fields_hides_them_on_devices_from_the_next_request_on(ben_manages, organisation, carla):
    organisation.put("ben", LEADS, "a.vcf", card("a", "A", "NOTE:canary", "TEL:+49301"))

    ben_manages.give(LEADS, "user:carla", "viewer", hide=["note"])

    seen = carla.get(f"/carla/{LEADS}/a.vcf").body
    assert b"canary" not in seen
    assert b"+49301" in seen
    assert carla.read(f"books/{LEADS}")["hidden"] == ["note"]
    assert [one["hidden"] for one in carla.read("books")["books"]] == [[], ["note"]]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "curator"])
def test_who_does_not_manage_gives_nothing_and_learns_no_grants(organisation, carla, role):
    organisation.grant("sales/leads", "user:carla", role)
    told = "Only those who manage this book can do this; explain tells who they are."

    for answer in (
        carla.give(LEADS, "user:carla", "owner"),
        carla.give(LEADS, "user:nobody", "viewer"),
        carla.take(LEADS, "user:carla"),
        carla.take(LEADS, "user:nobody"),
        carla.read(f"books/{LEADS}/grants"),
        carla.read(f"books/{LEADS}/explain", user="ada"),
        carla.read(f"books/{LEADS}/explain", user="nobody"),
    ):
        assert (answer.status, answer.error) == (403, told)


NOT_GIVEN = (
    ("user:carla", {"role": "owner"}, 403, "You can't give the role owner: it is more than you have on this book."),
    ("user:nobody", {"role": "viewer"}, 404, "There is no user 'nobody'."),
    ("group:none", {"role": "viewer"}, 404, "There is no group 'none'."),
    (
        "group:Twice",
        {"role": "viewer"},
        404,
        "There is no single group 'Twice'. Several have this name; write the one you mean as lists do.",
    ),
    (
        "carla",
        {"role": "viewer"},
        404,
        "There is no principal 'carla'. Write user:LOGIN, group:NAME, domain:NAME or everyone.",
    ),
    ("domain:a b", {"role": "viewer"}, 400, "'a b' can't be a domain; write it as in domain:example.org."),
    (
        "user:carla",
        {"role": "viewer", "until": "2001-01-01T00:00:00Z"},
        400,
        "A grant can't end at 2001-01-01 00:00 UTC: that is over.",
    ),
    (
        "user:carla",
        {"role": "viewer", "hide": ["tel:home:work"]},
        400,
        "'tel:home:work': behind the colon stands one type, as in tel:home or email:work.",
    ),
)


def test_what_cannot_be_given_is_refused_with_the_reason(ben_manages, db):
    with db.write() as session:
        for name in ("Twice", "two"):
            people.add_group(session, name)
        # As groups of two directories may be.
        people.alter(session, people.group(session, "two").id, ends_sign_ins=False, name="Twice")
    before = grants_of(ben_manages)

    for principal, value, status, told in NOT_GIVEN:
        answer = ben_manages.ask("PUT", f"books/{LEADS}/grants/{principal}", value)
        assert (answer.status, answer.error) == (status, told)
    assert grants_of(ben_manages) == before


def test_a_manager_does_not_touch_an_owner_s_grant(ben_manages, organisation):
    organisation.grant("sales/leads", "user:carla", "owner")
    told = "Only owners of this book can do this; explain tells who decides."

    for answer in (ben_manages.give(LEADS, "user:carla", "viewer"), ben_manages.take(LEADS, "user:carla")):
        assert (answer.status, answer.error) == (403, told)


def test_an_owner_gives_and_takes_every_role(organisation, ada, ben):
    assert ada.give("contacts", "user:ben", "owner").status == 201
    assert ben.read("books/ada~contacts")["verbs"] == ALL
    assert ben.give("ada~contacts", "user:carla", "owner").status == 201

    assert ben.take("ada~contacts", "user:carla").status == 200
    assert ada.take("contacts", "user:ben")["left"] == ALL
    assert ben.read("books/ada~contacts").status == 404


def test_a_manager_who_does_not_see_notes_shows_them_to_nobody(organisation, ada, ben, carla):
    ada.give("contacts", "user:ben", "manager", hide=["note", "tel:home"])
    book = "ada~contacts"

    refused = ben.give(book, "user:carla", "viewer", hide=["note"])

    told = "You can't show to others what you don't see yourself; hide at least: note, tel:home."
    assert (refused.status, refused.error) == (403, told)
    assert ben.give(book, "user:carla", "viewer", hide=["note", "tel"]).status == 201
    assert ben.give(book, "user:carla", "viewer", hide=["tel:home"]).status == 403
    assert ben.give(book, "user:ben", "manager").status == 403
    assert carla.read(f"books/{book}")["hidden"] == ["note", "tel"]


def test_a_manager_whose_right_ends_gives_nothing_beyond(organisation, ada, ben):
    end = now() + timedelta(days=3)
    ada.give("contacts", "user:ben", "manager", until=end.isoformat())
    told = "You can't give a right for longer than you have it yourself; name an earlier end."

    for until in (None, (end + timedelta(seconds=1)).isoformat()):
        refused = ben.give("ada~contacts", "user:carla", "viewer", until=until)
        assert (refused.status, refused.error) == (403, told)
    assert ben.give("ada~contacts", "user:carla", "viewer", until=end.isoformat()).status == 201


def test_a_manager_gives_to_a_group_they_are_in(ben_manages):
    assert ben_manages.give(LEADS, "group:sales", "curator")["left"] == MANAGER
    assert ben_manages.take(LEADS, "group:sales")["left"] == MANAGER


def test_who_takes_their_own_grant_is_told_what_is_left(ben_manages):
    assert ben_manages.give(LEADS, "user:ben", "viewer")["left"] == ["read", "add", "edit"]
    assert ben_manages.give(LEADS, "user:ben", "manager").status == 403


def test_who_takes_their_last_grant_is_told_that_nothing_is_left(organisation, ada, ben):
    ada.give("contacts", "user:ben", "manager")

    assert ben.take("ada~contacts", "user:ben").value == {"left": []}

    assert ben.read("books/ada~contacts").status == 404


# -- what is not there -------------------------------------------------------------------------------------------------


@pytest.fixture
def wishes(organisation):
    """All that can be asked of a book, with the bytes of its answers; what was asked for stands as NAME."""

    def asked(tool, name):
        book = f"books/{name}"
        answers = [
            tool.read(book),
            tool.read(f"{book}/grants"),
            tool.give(name, "user:ben", "viewer"),
            tool.give(name, "user:nobody", "viewer"),
            tool.give(name, "user:ben", "boss"),
            tool.take(name, "user:ada"),
            tool.take(name, "group:sales"),
            tool.read(f"{book}/explain"),
            tool.read(f"{book}/explain", user="ada"),
            tool.read(f"{book}/explain", user="nobody"),
            tool.read(f"{book}/who"),
            tool.read(f"{book}/who", card="a.vcf"),
            tool.ask("DELETE", book),
            tool.ask("POST", "devices", {"label": "a", "books": [name]}),
        ]
        return [(one.status, list(one.headers.items()), one.body.replace(name.encode(), b"NAME")) for one in answers]

    return asked


def test_a_book_that_may_not_be_read_is_answered_like_one_that_is_not_there(organisation, wishes, carla):
    organisation.put("ben", LEADS, "a.vcf", card("a"))

    assert wishes(carla, "sales~leads") == wishes(carla, "sales~nopes")
    assert wishes(carla, "ada~contacts") == wishes(carla, "ada~nothings")
    assert {status for status, *_ in wishes(carla, "sales~leads")} == {404, 400, 405}


def test_a_book_outside_of_a_device_s_scope_is_not_there(organisation, db, device_of):
    phone = device_of("ada", only=["ada/contacts"])

    for path in ("", "/grants", "/explain", "/who"):
        hidden, absent = phone.read(f"books/sales~leads{path}"), phone.read(f"books/sales~nopes{path}")
        assert (hidden.status, hidden.body) == (404, absent.body.replace(b"nopes", b"leads"))


def test_a_card_that_is_deleted_or_was_never_there_is_not_told_of(organisation, ada, ben):
    organisation.grant("sales/leads", "user:ada", "curator")
    organisation.put("ben", LEADS, "a.vcf", card("a"))
    assert ben.read(f"books/{LEADS}/who", card="a.vcf").value == ben.read(f"books/{LEADS}/who").value
    ada.delete(f"/ada/{LEADS}/a.vcf")

    for href in ("a.vcf", "b.vcf"):
        answer = ben.read(f"books/{LEADS}/who", card=href)
        assert (answer.status, answer.error) == (404, f"There is no card {href!r}.")


def test_a_manager_cannot_ask_for_logins_without_giving_something(ben_manages, db):
    """Who gives a right to an exact login learns that it is there; that stands in the history."""
    before = acts(db)

    def asked(login):
        who = f"user:{login}"
        answers = [
            ben_manages.take(LEADS, who),
            ben_manages.give(LEADS, who, "owner"),
            ben_manages.give(LEADS, who, "viewer", until="2001-01-01T00:00:00Z"),
            ben_manages.give(LEADS, who, "viewer", hide=["nothing"]),
            ben_manages.read(f"books/{LEADS}/explain", user=login),
        ]
        return [(one.status, list(one.headers.items()), one.body.replace(login.encode(), b"LOGIN")) for one in answers]

    assert asked("carla") == asked("karla")
    assert {status for status, *_ in asked("carla")} == {400, 403, 404}
    assert acts(db) == before


# -- the history -------------------------------------------------------------------------------------------------------


def test_each_deed_stands_in_the_history_with_who_and_whence(ben_manages, db):
    ben_manages.user_agent = "tool/1.0"
    ben_manages.environ = {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "203.0.113.7"}

    ben_manages.give(LEADS, "user:carla", "editor", hide=["note"])
    ben_manages.give(LEADS, "user:carla", "viewer")
    ben_manages.take(LEADS, "user:carla")

    taken, changed, given = acts(db)[:3]
    assert [one.kind for one in (given, changed, taken)] == ["grant", "change-grant", "remove-grant"]
    assert given.reason == "editor without note to user:carla"
    for act in (given, changed, taken):
        assert (act.book, act.actor, act.device) == ("sales/leads", "ben", "tool/.")
        assert (act.user_agent, act.address) == ("tool/1.0", "203.0.113.7")


def test_what_was_refused_leaves_nothing(ben_manages, db):
    before = acts(db)

    ben_manages.give(LEADS, "user:carla", "owner")
    ben_manages.give(LEADS, "user:nobody", "viewer")
    ben_manages.take(LEADS, "user:carla")
    ben_manages.ask("PUT", f"books/{LEADS}/grants/user:carla", body=b"{")

    assert acts(db) == before


def test_a_group_owner_s_deed_is_theirs(organisation, db, carla, application):
    with db.write() as session:
        group_owners.add(session, "sales", "carla")

    assert carla.give(LEADS, "user:ada", "manager").status == 201

    assert (acts(db)[0].actor, acts(db)[0].kind) == ("carla", "grant")
    assert Tool(application, "ada").read(f"books/{LEADS}")["verbs"] == MANAGER
