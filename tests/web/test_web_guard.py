"""The guard through the API: managers see, release, take back, set rules; nobody else learns of anything."""

import pytest

from radicale_shared import access, blocks, books, cards, grants, guard_rules
from radicale_shared.changes import Actor
from radicale_shared.errors import GuardedError
from radicale_shared.models import now
from tests.conftest import BY, card

FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n")


@pytest.fixture
def leads(organisation):
    """The book of Sales, in which a phone of Ada's was stopped; the block's number."""
    for one in range(14):
        organisation.put("ada", "sales~leads", f"{one}.vcf", card(f"{one}", f"CANARY {one}", *FULL))
    db = organisation.db
    ada = organisation.access("ada", "sales~leads")
    whole = access.Access(ada.principal_id, ada.book, access.VERBS[access.Role.CURATOR])
    for one in range(14):
        try:
            with db.write(ada.book.id) as session:
                cards.remove(session, whole, f"{one}.vcf", by=Actor(ada.principal_id, "ada", "CANARY phone"))
        except GuardedError as error:
            blocks.record(db, error)
            break
    with db.read() as session:
        (block,) = blocks.standing(session)
    return block.id


def number_of_cards(organisation):
    return organisation.book("sales/leads").card_count


def test_a_manager_sees_who_was_stopped_releases_and_takes_back(leads, ben_manages, organisation):
    (block,) = ben_manages.read("blocks")["blocks"]
    assert (block["block"], block["book"], block["person"]) == (leads, "sales~leads", "ada")
    assert (block["destroyed"], block["of_cards"], block["stands"]) == (10, 14, True)

    looked = ben_manages.ask("POST", f"blocks/{leads}/revert", {"dry_run": True})
    assert looked.status == 200
    assert len(looked["steps"]) == 10
    assert number_of_cards(organisation) == 4
    done = ben_manages.ask("POST", f"blocks/{leads}/revert", {})
    assert (done.status, done["released"]) == (200, False)
    assert {one["what"] for one in done["steps"]} == {"restored"}
    assert number_of_cards(organisation) == 14

    assert ben_manages.ask("POST", f"blocks/{leads}/release", {})["released_by"] == "ben"
    assert ben_manages.read("blocks")["blocks"] == []
    (over,) = ben_manages.read("blocks", all="1")["blocks"]
    assert (over["stands"], over["reverted_act"]) == (False, done["act"])
    assert ben_manages.ask("POST", f"blocks/{leads}/release", {}).status == 403


def test_reverting_can_release_at_once(leads, ben_manages, organisation):
    done = ben_manages.ask("POST", f"blocks/{leads}/revert", {"release": True})

    assert (done.status, done["released"]) == (200, True)
    assert ben_manages.read("blocks")["blocks"] == []


ROUTES = [
    ("POST", "blocks/{block}/release", {}),
    ("POST", "blocks/{block}/revert", {}),
    ("POST", "blocks/{block}/revert", {"dry_run": True}),
]


@pytest.mark.parametrize(("method", "path", "value"), ROUTES)
def test_who_doesn_t_manage_the_book_is_told_what_is_told_of_a_block_that_isn_t_there(
    leads, ada, carla, method, path, value
):
    for who in (ada, carla):
        real = who.ask(method, path.format(block=leads), value)
        none = who.ask(method, path.format(block=leads + 1), value)

        assert (real.status, real.error.replace(f"'{leads}'", "")) == (404, none.error.replace(f"'{leads + 1}'", ""))
        assert who.read("blocks", all="1")["blocks"] == []
        assert b"CANARY" not in real.body


@pytest.mark.parametrize("block", ["x", "-1", "0", "9" * 30, "1.5", "٣"])
def test_what_is_no_number_is_no_block(leads, ben_manages, block):
    assert ben_manages.ask("POST", f"blocks/{block}/release", {}).status == 404


def test_a_book_s_rules_are_its_manager_s(leads, ben_manages, ada, carla):
    told = ben_manages.ask("PUT", "books/sales~leads/guard", {"cards": 3, "percent": 1})
    assert told["rules"] == [{"role": None, "guard": "on", "cards": 3, "percent": 1}]
    told = ben_manages.ask("PUT", "books/sales~leads/guard", {"role": "curator", "guard": "off"})
    assert told["rules"][1] == {"role": "curator", "guard": "off", "cards": None, "percent": None}
    assert ben_manages.read("books/sales~leads/guard").value == told.value
    told = ben_manages.ask("PUT", "books/sales~leads/guard", {"guard": "default"})
    assert [one["role"] for one in told["rules"]] == ["curator"]
    assert told["otherwise"] == [{"role": None, "guard": "on", "cards": 10, "percent": 5}]

    assert ada.read("books/sales~leads/guard").status == 403
    assert ada.ask("PUT", "books/sales~leads/guard", {"guard": "off"}).status == 403
    assert carla.read("books/sales~leads/guard").status == 404
    assert carla.ask("PUT", "books/sales~leads/guard", {"guard": "off"}).status == 404


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"guard": "on"},
        {"cards": -1},
        {"cards": 1.5},
        {"cards": True},
        {"cards": "3"},
        {"percent": 101},
        {"cards": 10**30},
        {"role": "king", "cards": 1},
        {"role": ["curator"], "cards": 1},
        {"guard": "off", "cards": 1},
        {"guard": "default", "cards": 1},
        {"guard": "maybe"},
        {"card": 1},
    ],
)
def test_rules_that_can_t_be_are_refused(leads, ben_manages, value):
    assert ben_manages.ask("PUT", "books/sales~leads/guard", value).status == 400


def test_who_may_delete_announces_a_clean_up_for_themselves_and_a_manager_for_others(
    organisation, ben_manages, ada, carla
):
    assert ada.ask("POST", "books/sales~leads/clean-up", {}).status == 403
    organisation.grant("sales/leads", "user:carla", "curator")
    assert carla.ask("POST", "books/sales~leads/clean-up", {"hours": 2})["user"] == "carla"
    assert carla.ask("POST", "books/sales~leads/clean-up", {"user": "ben"}).status == 403
    assert carla.ask("POST", "books/sales~leads/clean-up", {"hours": 25}).status == 400
    assert ben_manages.ask("POST", "books/sales~leads/clean-up", {"user": "carla"}).status == 200
    # Who may not delete, or isn't there: the same words.
    refused = [ben_manages.ask("POST", "books/sales~leads/clean-up", {"user": who}) for who in ("ada", "nobody")]
    assert [one.status for one in refused] == [404, 404]
    assert refused[0].error.replace("'ada'", "") == refused[1].error.replace("'nobody'", "")

    told = ben_manages.read("books/sales~leads/guard")
    assert [(one["user"], one["said_by"]) for one in told["clean_ups"]] == [("carla", "ben")]


def test_a_clean_up_of_one_s_own_doesn_t_lift_a_block(leads, organisation, ada):
    ada_ = organisation.access("ada", "sales~leads")
    with organisation.db.write() as session:
        until = now() + guard_rules.LONGEST_CLEAN_UP
        guard_rules.announce(session, ada_.book, ada_.principal_id, "ada", until, by=Actor(None, "x"))
    whole = access.Access(ada_.principal_id, ada_.book, access.VERBS[access.Role.CURATOR])
    with pytest.raises(GuardedError), organisation.db.write(ada_.book.id) as session:
        cards.remove(session, whole, "13.vcf", by=Actor(ada_.principal_id, "ada", "CANARY phone"))


def test_a_personal_book_s_owner_is_its_manager(organisation, ada, carla):
    assert ada.ask("PUT", "books/contacts/guard", {"cards": 20}).status == 200
    assert ada.ask("POST", "books/contacts/clean-up", {}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("POST", "blocks/{block}/release", {}),
        ("POST", "blocks/{block}/revert", {}),
        ("PUT", "books/sales~leads/guard", {"guard": "off"}),
        ("POST", "books/sales~leads/clean-up", {}),
    ],
)
def test_a_device_changes_nothing_of_the_guard(leads, ben_manages, device_of, method, path, value):
    assert device_of("ben").ask(method, path.format(block=leads), value).status == 403


def test_who_doesn_t_see_all_fields_takes_nothing_back(leads, organisation, carla):
    with organisation.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.give(session, book, "user:carla", access.Role.MANAGER, by=BY, hide=["NOTE"])

    assert len(carla.read("blocks")["blocks"]) == 1
    assert carla.ask("POST", f"blocks/{leads}/revert", {}).status == 403
    assert number_of_cards(organisation) == 4
