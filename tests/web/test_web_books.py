"""Books by the API: what there is, why one may do what, who sees it, and books for groups that one runs."""

import pytest

from radicale_shared import books, group_owners, history, people
from tests.conftest import BY, card
from tests.web.conftest import Tool

LEADS = "sales~leads"
EDITOR = ["read", "add", "edit"]
ALL = ["read", "add", "edit", "delete", "export", "manage", "own"]


@pytest.fixture
def carla_runs_sales(organisation, db, carla):
    with db.write() as session:
        group_owners.add(session, "sales", "carla")
    return carla


# -- what there is -----------------------------------------------------------------------------------------------------


def test_books_are_told_in_the_order_of_the_home(organisation, ben):
    organisation.put("ben", LEADS, "a.vcf", card("a"))

    own, shared = ben.read("books")["books"]

    assert shared == {
        "name": LEADS,
        "title": "Leads",
        "description": "",
        "owner": "group:sales",
        "cards": 1,
        "verbs": EDITOR,
        "hidden": [],
        "default": False,
        "mirrored_from": None,
        "search_only": False,
    }
    assert (own["name"], own["owner"], own["verbs"]) == ("contacts", "user:ben", ALL)
    assert [ben.read(f"books/{one['name']}").value for one in (own, shared)] == [own, shared]


def test_a_device_is_told_the_books_of_its_scope_and_what_it_may_do(device_of):
    phone = device_of("ben", only=["sales/leads"], read_only=True)

    (told,) = phone.read("books")["books"]

    assert (told["name"], told["verbs"]) == (LEADS, ["read"])
    explained = phone.read(f"books/{LEADS}/explain").value
    assert (explained["role"], explained["verbs"]) == ("viewer", ["read"])
    assert explained["reasons"][0]["role"] == "editor"


def test_a_book_with_letters_of_all_kinds_is_told(organisation, db, ada):
    with db.write() as session:
        books.add(session, people.user(session, "ada"), "press@2.0_x", name='Übér "uns" \u2028 ☎', by=BY)

    assert ada.read("books/press@2.0_x")["title"] == 'Übér "uns" \u2028 ☎'


# -- why ---------------------------------------------------------------------------------------------------------------


def test_anyone_may_ask_why(organisation, ben):
    assert ben.read(f"books/{LEADS}/explain").value == {
        "user": "ben",
        "state": "active",
        "mirrored_from": None,
        "role": "editor",
        "verbs": EDITOR,
        "hidden": [],
        "reasons": [
            {
                "principal": "group:sales",
                "path": ["user ben", "group sales"],
                "role": "editor",
                "until": None,
                "hide": [],
            }
        ],
        "ended": [],
        "deciders": [],
    }
    assert ben.read(f"books/{LEADS}/explain", user="BEN").value == ben.read(f"books/{LEADS}/explain").value


def test_who_decides_is_told_by_name(carla_runs_sales, organisation, ben, carla):
    organisation.grant("sales/leads", "user:ada", "manager")

    assert ben.read(f"books/{LEADS}/explain")["deciders"] == ["Ada"]
    assert carla.read(f"books/{LEADS}/explain")["deciders"] == ["Carla", "Ada"]


def test_who_decides_is_not_told_to_whom_nobody_may_be_known(organisation, serving):
    organisation.grant("sales/leads", "user:ada", "manager")
    ben = Tool(serving(auth={"find_people": "nobody"}), "ben")

    assert ben.read(f"books/{LEADS}/explain")["deciders"] == []
    assert [one["principal"] for one in ben.read(f"books/{LEADS}/who")["principals"]] == ["group:sales"]


def test_a_manager_asks_why_somebody_else_may(ben_manages):
    told = ben_manages.read(f"books/{LEADS}/explain", user="ADA").value

    assert (told["user"], told["verbs"]) == ("ada", EDITOR)
    assert [one["path"] for one in told["reasons"]] == [["user ada", "group sales"]]


@pytest.mark.parametrize("find_people", ["shared", "nobody", "everyone"])
def test_a_manager_learns_of_nobody_whom_they_may_not_find(organisation, db, serving, find_people):
    with db.write() as session:
        people.add_user(session, "emil", password="emil")
    organisation.grant("sales/leads", "user:ben", "manager")
    ben = Tool(serving(auth={"find_people": find_people}), "ben")

    def asked(login):
        answer = ben.read(f"books/{LEADS}/explain", user=login)
        return answer.status, list(answer.headers.items()), answer.body.replace(login.encode(), b"LOGIN")

    assert asked("none")[0] == 404
    assert (asked("emil") == asked("none")) == (find_people != "everyone")
    assert (asked("ada") == asked("nix")) == (find_people == "nobody")


@pytest.mark.parametrize("find_people", ["shared", "nobody"])
def test_whom_a_manager_gave_a_right_by_their_exact_login_they_know(organisation, serving, find_people):
    organisation.grant("sales/leads", "user:ben", "manager")
    ben_manages = Tool(serving(auth={"find_people": find_people}), "ben")
    assert ben_manages.read(f"books/{LEADS}/explain", user="carla").status == 404

    ben_manages.give(LEADS, "user:carla", "viewer")

    assert ben_manages.read(f"books/{LEADS}/explain", user="carla")["verbs"] == ["read"]


def test_of_somebody_who_is_disabled_it_is_told_what_they_would_have(ben_manages, db):
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)

    told = ben_manages.read(f"books/{LEADS}/explain", user="ada").value

    assert (told["state"], told["verbs"], len(told["reasons"])) == ("disabled", [], 1)


# -- who ---------------------------------------------------------------------------------------------------------------


def test_a_reader_learns_which_principals_see_a_book_and_a_manager_which_people(ben_manages, organisation, ada):
    organisation.put("ben", LEADS, "a.vcf", card("a"))
    ben_manages.give(LEADS, "user:carla", "viewer", hide=["note"], until="2099-01-01T00:00:00Z")

    for arguments in ({}, {"card": "a.vcf"}):
        reader, manager = (tool.read(f"books/{LEADS}/who", **arguments) for tool in (ada, ben_manages))
        assert reader["people"] is None
        assert [(one["principal"], one["role"]) for one in reader["principals"]] == [
            ("group:sales", "editor"),
            ("user:ben", "manager"),
            ("user:carla", "viewer"),
        ]
        assert [one["hide"] for one in reader["principals"]] == [[], [], []]
        assert [one["hide"] for one in manager["principals"]] == [[], [], ["note"]]
        assert [(one["login"], one["role"], one["hidden"]) for one in manager["people"]] == [
            ("ada", "editor", []),
            ("ben", "manager", []),
            ("carla", "viewer", ["note"]),
        ]
        assert [one["is_owner"] for one in manager["principals"]] == [False, False, False]
        assert manager["people"][2]["reasons"][0]["until"] == "2099-01-01T00:00:00+00:00"


def test_of_everyone_only_managers_learn_how_many_they_are(ben_manages, ada):
    ben_manages.give(LEADS, "everyone", "viewer")

    counted = {}
    for tool in (ada, ben_manages):
        told = tool.read(f"books/{LEADS}/who")["principals"]
        counted[tool.login] = next(one["people"] for one in told if one["principal"] == "everyone")
    assert counted == {"ada": None, "ben": 3}


# -- books of groups ---------------------------------------------------------------------------------------------------


def test_who_runs_a_group_makes_books_for_it(carla_runs_sales, carla, ben, db):
    carla.user_agent = "tool/1"
    assert carla.read("groups").value == {"groups": [{"principal": "group:sales", "name": "Sales", "books": [LEADS]}]}

    made = carla.ask("POST", "books", {"owner": "group:sales", "slug": "press", "name": "Press & Co"})

    assert (made.status, made["name"], made["title"], made["verbs"]) == (201, "sales~press", "Press & Co", ALL)
    assert carla.read("groups")["groups"][0]["books"] == [LEADS, "sales~press"]
    assert carla.put("/carla/sales~press/a.vcf", card("a")).status == 201
    assert ben.read("books/sales~press").status == 404
    assert carla.give("sales~press", "group:sales", "editor").status == 201
    assert ben.read("books/sales~press")["verbs"] == EDITOR
    with db.snapshot() as session:
        act = next(one for one in history.entries(session) if one.kind == "create-book" and one.book == "sales/press")
    assert (act.actor, act.device, act.address) == ("carla", "tool/", "127.0.0.1")


def test_a_book_that_cannot_be_is_refused_with_the_reason(carla_runs_sales):
    for value, status, told in (
        ({"owner": "group:sales", "slug": "leads"}, 409, "There is a book 'sales/leads' already."),
        ({"owner": "group:sales", "slug": "Über"}, 400, "'Über' can't be a book's name in URLs: "),
        ({"owner": "group:sales", "slug": "all"}, 400, "'all' can't be a book's name in URLs: "),
        ({"owner": "group:sales", "slug": "x", "name": "n" * 501}, 400, "The name has more than 500 characters."),
        ({"owner": "group:ada", "slug": "x"}, 404, "There is no group 'group:ada'."),
        ({"owner": "group:", "slug": "x"}, 404, "There is no group 'group:'."),
        ({"owner": "user:ada", "slug": "x"}, 400, "'owner' must be a group that you run, as in group:NAME."),
        ({"owner": "sales", "slug": "x"}, 400, "'owner' must be a group that you run, as in group:NAME."),
    ):
        answer = carla_runs_sales.ask("POST", "books", value)
        assert answer.status == status
        assert answer.error.startswith(told)


def test_a_group_that_somebody_else_runs_is_answered_like_none(organisation, ben):
    def asked(name):
        answer = ben.ask("POST", "books", {"owner": name, "slug": "press"})
        return answer.status, list(answer.headers.items()), answer.body.replace(name.encode(), b"NAME")

    assert asked("group:sales")[0] == 404
    for there, nowhere in (("group:sales", "group:nopes"), ("group:Sales", "group:Nopes")):
        assert asked(there) == asked(nowhere)
    assert ben.read("groups")["groups"] == []


def test_a_group_is_named_by_its_name_where_only_one_of_theirs_has_it(carla_runs_sales, db):
    carla = carla_runs_sales
    with db.write() as session:
        people.add_group(session, "Vertrieb")
        group_owners.add(session, "vertrieb", "group:sales")
        people.add_member(session, "sales", "carla")

    assert carla.ask("POST", "books", {"owner": "group:Vertrieb", "slug": "a"})["name"] == "vertrieb~a"
    assert [one["principal"] for one in carla.read("groups")["groups"]] == ["group:sales", "group:vertrieb"]
