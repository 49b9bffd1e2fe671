"""The history of a book over the API: for those who manage it and see all of it, and for nobody else."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from radicale_shared import books, grants, history
from radicale_shared.access import Role
from radicale_shared.models import Book, table
from radicale_shared.web import history as room
from tests.conftest import BY, card
from tests.web.test_web_fuzz import CANARY


@pytest.fixture
def worked(organisation, ben_manages, ada):
    """sales/leads, where Ada has changed a number and deleted a card, and Ben has written a note since."""
    assert ada.put("/ada/sales~leads/a.vcf", card("a", "Ada", "TEL:+1")).status == 201
    assert ada.put("/ada/sales~leads/b.vcf", card("b", CANARY)).status == 201
    assert ada.put("/ada/sales~leads/a.vcf", card("a", "Ada", "TEL:+2")).status == 204
    organisation.grant("sales/leads", "user:ada", "curator")
    assert ada.request("DELETE", "/ada/sales~leads/b.vcf").status == 204
    assert ben_manages.put("/ben/sales~leads/a.vcf", card("a", "Ada", "TEL:+2", "NOTE:mine")).status == 204
    return ben_manages


PATH = "books/sales~leads/history"
UNDO = "books/sales~leads/undo"


def test_a_card_shows_its_life_with_each_difference(worked):
    entries = worked.read(PATH, card="a.vcf")["entries"]

    assert [(one["person"], one["change"]) for one in entries] == [
        ("ben", "changed"),
        ("ada", "changed"),
        ("ada", "added"),
    ]
    assert entries[1]["differences"] == [{"change": "changed", "name": "TEL", "before": "+1", "after": "+2"}]
    assert entries[0]["differences"] == [{"change": "added", "name": "NOTE", "before": "", "after": "mine"}]


def test_the_history_is_narrowed_down_by_person_device_act_and_time(worked):
    every = worked.read(PATH)["entries"]
    (deletion,) = [one for one in every if one["change"] == "deleted"]

    def found(**arguments):
        return [one["act"] for one in worked.read(PATH, **arguments)["entries"]]

    assert len(every) > 5
    assert set(found(person="ada")) == {one["act"] for one in every if one["person"] == "ada"}
    assert found(act=str(deletion["act"])) == [deletion["act"]]
    assert found(device="no such device") == []
    assert found(device=deletion["device"], person="ada", card="b.vcf")[0] == deletion["act"]
    assert found(since=deletion["at"], until=deletion["at"]) == [deletion["act"]]
    assert len(found(limit="2")) == 2


def test_what_a_person_did_is_taken_back_and_the_note_of_another_stays(worked, ada):
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    act = next(one["act"] for one in worked.read(PATH, card="a.vcf")["entries"] if one["person"] == "ada")
    deletion = worked.read(PATH, card="b.vcf")["entries"][0]["act"]

    dry = worked.ask("POST", UNDO, {"acts": [act, deletion], "person": "ada", "since": since, "dry_run": True})
    assert (dry["act"], dry["dry_run"], dry["counts"]["restored"]) == (None, True, 1)
    assert ada.request("GET", "/ada/sales~leads/b.vcf").status == 404
    done = worked.ask("POST", UNDO, {"acts": [act, deletion], "person": "ada", "since": since})

    assert done["steps"] == dry["steps"]
    assert {one["card"]: one["what"] for one in done["steps"]} == {"a.vcf": "changed", "b.vcf": "restored"}
    assert ada.request("GET", "/ada/sales~leads/b.vcf").body == card("b", CANARY)
    assert ada.request("GET", "/ada/sales~leads/a.vcf").body == card("a", "Ada", "TEL:+1", "NOTE:mine")
    newest = worked.read(PATH, limit="1")["entries"][0]
    assert (newest["act"], newest["kind"], newest["person"]) == (done["act"], "undo", "ben")
    again = worked.ask("POST", UNDO, {"acts": [done["act"]]})
    assert again["counts"]["deleted"] == 1


def test_large_cards_are_compared_only_where_few_are_asked_for(worked, monkeypatch):
    monkeypatch.setattr(room, "_MOST_BYTES", 210)

    assert [one["differences"] for one in worked.read(PATH, card="a.vcf")["entries"]] == [None, None, None]
    assert worked.read(PATH, card="a.vcf", limit="1")["entries"][0]["differences"] != []


def test_the_own_book_has_a_history_too(ada):
    ada.put("/ada/contacts/x.vcf", card("x"))

    assert ada.read("books/contacts/history")["entries"][0]["card"] == "x.vcf"
    done = ada.ask("POST", "books/contacts/undo", {"card": "x.vcf"})
    assert done["counts"]["deleted"] == 1


def test_who_reads_without_managing_is_told_so_and_who_does_not_read_nothing(worked, ada, carla):
    for asked in (ada.read(PATH), ada.ask("POST", UNDO, {"card": "b.vcf"})):
        assert asked.status == 403
        assert CANARY not in asked.error
        assert "manage" in asked.error
    there = carla.read(PATH), carla.ask("POST", UNDO, {"card": "b.vcf"})
    nothing = carla.read(PATH.replace("leads", "nope")), carla.ask("POST", UNDO.replace("leads", "nope"), {"card": "b"})
    for one, other in zip(there, nothing, strict=True):
        assert (one.status, one.body) == (404, other.body.replace(b"nope", b"leads"))


def test_where_a_card_came_from_and_went_to_is_told_to_who_reads_that_book_only(organisation, db, worked, ada):
    organisation.grant("ada/contacts", "user:ben", "viewer")
    for number in (1, 2):
        assert ada.put(f"/ada/contacts/x{number} to.vcf", card(f"x{number}")).status == 201
        there = f"/ada/sales~leads/y{number}.vcf"
        assert ada.request("MOVE", f"/ada/contacts/x{number} to.vcf", Destination=there).status == 201
        if number == 1:
            told = worked.read(PATH, card="y1.vcf")["entries"][0]["reason"]
            assert told == "from ada/contacts/x1 to.vcf to sales/leads/y1.vcf"
            with db.write() as session:
                grants.take(session, books.find(session, "ada/contacts"), "user:ben", by=BY)
    assert ada.request("COPY", "/ada/sales~leads/y2.vcf", Destination="/ada/contacts/z.vcf").status == 201

    for at in (1, 2):
        told = worked.read(PATH, card=f"y{at}.vcf")
        assert told["entries"][0]["reason"] == f"from another book to sales/leads/y{at}.vcf"
        assert b"contacts" not in told.body
    assert ada.read("books/contacts/history", card="x1 to.vcf")["entries"][0]["kind"] == "move"


def test_who_does_not_see_all_fields_sees_no_history(organisation, db, ada, worked):
    with db.write() as session:
        leads = books.find(session, "sales/leads")
        grants.take(session, leads, "user:ada", by=BY)
        grants.take(session, leads, "group:sales", by=BY)
        grants.give(session, leads, "user:ada", Role.MANAGER, by=BY, hide=["note"])

    for asked in (ada.read(PATH), ada.ask("POST", UNDO, {"card": "b.vcf"})):
        assert asked.status == 403
        assert "hidden" in asked.error


def test_a_device_password_neither_reads_the_history_nor_takes_anything_back(worked, device_of):
    for label, more in (("a", {}), ("b", {"read_only": True}), ("c", {"only": ["sales/leads"]})):
        phone = device_of("ben", label, **more)
        assert phone.read(PATH).status == 403
        assert phone.ask("POST", UNDO, {"card": "b.vcf"}).status == 403


def test_the_book_of_a_directory_is_not_written(organisation, db, worked):
    with db.write() as session:
        session.execute(update(table(Book)).where(table(Book).c.slug == "leads").values(mirrored_from="main"))

    asked = worked.ask("POST", UNDO, {"card": "b.vcf"})
    assert asked.status == 403
    assert "'main'" in asked.error


UNCLEAR = [
    {},
    {"person": "ada"},
    {"device": "x"},
    {"acts": ["1"]},
    {"acts": [True]},
    {"acts": [2**70]},
    {"acts": 1},
    {"since": "2h"},
    {"since": "2026-01-01T00:00:00"},
    {"card": 1},
    {"properties": "TEL", "card": "a.vcf"},
    {"unknown": 1},
]


def test_what_is_not_to_be_understood_is_refused(worked):
    assert [value for value in UNCLEAR if worked.ask("POST", UNDO, value).status != 400] == []
    arguments = [
        *({"limit": one} for one in ("0", "201", "x")),
        *({"act": one} for one in ("0", "²", "-1")),
        *({"since": "2h"}, {"until": "0001-01-01T00:00:00+23:00"}, {"x": "1"}),
    ]
    assert [one for one in arguments if worked.read(PATH, **one).status != 400] == []


def test_what_nobody_did_is_not_taken_back(worked, db):
    assert worked.ask("POST", UNDO, {"acts": [2**40]}).status == 404
    assert worked.ask("POST", UNDO, {"card": "nope.vcf"}).status == 404
    assert worked.ask("POST", UNDO, {"since": "2020-01-01T00:00:00Z", "device": "nothing like it"}).status == 404
    with db.snapshot() as session:
        other = next(one.act_id for one in history.entries(session) if one.book != "sales/leads")
    assert worked.ask("POST", UNDO, {"acts": [other]}).status == 404
