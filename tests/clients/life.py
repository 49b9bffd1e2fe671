"""What every client lives through, as test classes: a client's own file says which of them are true of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from radicale_shared.vcard import Card, convert, meaning
from tests.clients.conftest import Office
from tests.clients.programs import LEADS, NEVER, OWN, WELL_KNOWN, Program
from tests.conftest import card
from tests.dav.conftest import Client, token_of

BOTH = ("ada/contacts", "sales/leads")
OTHERS = {OWN: LEADS}
ALL = {"create", "edit", "delete"}


def wherever_it_is_pointed(*found: str) -> dict[str, list[str]]:
    """{where its user points it: the books it finds}, the same from everywhere."""
    return {start: list(found) for start in (WELL_KNOWN, "/", "/ada/", LEADS)}


def by_role(**acts: str) -> dict[str, set[str]]:
    """{role: what a program lets its user do}"""
    return {role: set(some.split()) for role, some in acts.items()}


class Life:
    """Ada's ``program`` is set up and in step with the server before each test.

    kind: the client
    starts: where its user may point it, and the books it finds there
    """

    kind: type[Program]
    starts: ClassVar[Mapping[str, list[str]]] = {WELL_KNOWN: [OWN, LEADS]}

    def new(self, application, start=None):
        program = self.kind(application)
        program.set_up(start or next(iter(self.starts)))
        return program

    @pytest.fixture
    def program(self, application, office):
        program = self.new(application)
        program.sync()
        return program

    def settle(self, program):
        """The sync after which program and server agree."""
        program.sync()


class Reading(Life):
    """Setting up, and what others do."""

    def test_it_finds_the_own_books_first_then_the_shared_ones_wherever_it_is_pointed(self, application, office):
        for start, found in self.starts.items():
            assert self.new(application, start).books == found

    def test_the_first_sync_brings_every_card_in_a_version_it_reads(self, application, office: Office):
        program = self.new(application)
        program.sync()

        assert_equal(program, office.stored(*BOTH))
        assert {"own", "three", "four", "odd"} == set(program.shown())
        assert {Card.parse(data).version for data in program.shown().values()} <= set(program.reads)

    def test_what_somebody_else_changes_adds_and_removes_arrives(self, program, office: Office):
        office.put("three.vcf", card("three", "Björn Two", "TEL:1", version="3.0"))
        office.put("new.vcf", card("new", "", "NICKNAME:Newt", version="4.0"))
        office.remove("four.vcf")

        program.sync()

        assert_equal(program, office.stored(*BOTH))
        assert program.text("three", "TEL") == "1"
        assert program.text("new", "NICKNAME") == "Newt"
        assert "four" not in program.shown()

    def test_a_book_that_is_taken_away_is_gone_like_one_that_never_was_and_comes_back_whole(
        self, program, office: Office
    ):
        office.dismiss()
        self.assert_like_one_that_never_was(program)
        program.refresh()
        program.sync()
        self.assert_lost(program, office)
        office.put("while-away.vcf", card("while-away"))
        office.remove("three.vcf")

        office.welcome()
        program.refresh()
        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def assert_like_one_that_never_was(self, program):
        def told_of(book):
            url = f"{book}three.vcf"
            answers = [program.poll(book), program.send("PUT", url, card("three"))]
            answers += [program.send(method, url) for method in ("GET", "DELETE", "PROPFIND")]
            return [(one.status, one.headers, one.body) for one in answers]

        assert {status for status, _, _ in told_of(LEADS)} == {404}
        assert told_of(LEADS) == told_of(NEVER)

    def assert_lost(self, program, office):
        """What is left of a book that is gone; most programs drop it with its cards."""
        assert program.books == [OWN]
        assert_equal(program, office.stored("ada/contacts"))

    def test_after_a_rollback_that_nobody_told_of_it_ends_equal(self, program, office: Office):
        office.put("three.vcf", card("three", "Still there"))
        program.sync()
        backup = office.backup()
        office.put("three.vcf", card("three", "Lost"))
        office.put("lost.vcf", card("lost"))
        program.sync()
        assert "lost" in program.shown()

        office.roll_back(backup)
        program.sync()

        assert_equal(program, office.stored(*BOTH))
        assert program.text("three", "FN") == "Still there"
        office.put("later.vcf", card("later"))
        program.sync()
        assert_equal(program, office.stored(*BOTH))


class Polling(Life):
    """It holds a token or a ctag for each book."""

    def test_a_sync_after_which_nothing_changed_fetches_nothing(self, program):
        program.fetched.clear()
        held = dict(program.held)

        program.sync()

        assert program.fetched == []
        assert program.held == held

    @pytest.mark.parametrize("way", ["rubbish", "another book's", "an older epoch's"])
    def test_with_an_unknown_token_it_starts_over_and_ends_equal(self, program, office: Office, way):
        for book in program.tokens:
            if way == "rubbish":
                program.tokens[book] = "a-token-of-old"
            elif way == "another book's":
                program.tokens[book] = token_of(Client(program.http.application, "ada"), OTHERS.get(book, OWN))
        office.put("three.vcf", card("three", "Changed"))
        office.remove("four.vcf")
        office.put("added.vcf", card("added"))
        if way == "an older epoch's":
            office.new_epoch()

        program.sync()

        assert_equal(program, office.stored(*BOTH))
        office.put("later.vcf", card("later"))
        program.sync()
        assert_equal(program, office.stored(*BOTH))


class Writing(Life):
    """What its user does where they may."""

    @pytest.mark.parametrize("uid", ["three", "four", "odd"])
    def test_an_edit_arrives_and_leaves_all_else_of_the_card_as_it_was(self, program, office: Office, uid):
        before = office.stored()[uid]

        program.edit(uid, "NOTE", "after\nÜ, ;")
        self.settle(program)

        after = office.stored()[uid]
        assert Card.parse(after).text("NOTE") == "after\nÜ, ;"
        assert changed_names(before, after) == {"NOTE", "PRODID"}
        assert_equal(program, office.stored(*BOTH))

    def test_a_new_card_arrives_as_it_was_sent_and_can_be_edited(self, program, office: Office):
        program.create(program.books[-1], "made", "TEL:030 1")
        self.settle(program)
        assert office.stored(*BOTH)["made"] == card("made", "", "TEL:030 1", version=program.writes)

        program.edit("made", "TEL", "030 2")
        self.settle(program)

        assert Card.parse(office.stored(*BOTH)["made"]).text("TEL") == "030 2"
        assert_equal(program, office.stored(*BOTH))

    def test_a_deletion_arrives(self, program, office: Office):
        program.delete("four")
        self.settle(program)

        assert "four" not in office.stored()
        assert_equal(program, office.stored(*BOTH))

    def test_an_own_and_a_foreign_edit_of_one_card_end_equal_here_and_there(self, program, office: Office):
        office.put("three.vcf", card("three", "Björn", "NOTE:before", "TEL:2"))

        program.edit("three", "NOTE", "after")
        self.settle(program)

        assert_equal(program, office.stored(*BOTH))
        # Who names the state it edited is refused; who doesn't gets both edits.
        assert program.text("three", "TEL") == "2"
        assert program.text("three", "NOTE") == ("before" if program.careful else "after")


class RefusedWrites(Life):
    """What its user does where they may no longer; the program hasn't looked at its rights again.

    sees: {role: what the program lets its user do, by what it is told}
    """

    sees: ClassVar[Mapping[str, set[str]]] = {}

    @pytest.mark.parametrize("role", ["viewer", "contributor", "editor", "curator"])
    def test_it_knows_what_may_be_done_as_far_as_it_looks(self, application, office: Office, role):
        office.give(role)
        program = self.new(application)

        assert program.may[OWN] == ALL
        assert program.may[LEADS] == self.sees.get(role, ALL)

    def test_a_refused_edit_is_taken_back_once_and_the_next_one_works(self, program, office: Office):
        office.give("contributor")
        before = office.stored(*BOTH)
        for value in ("refused", "refused again"):
            program.edit("three", "NOTE", value)
            self.settle(program)
            assert office.stored(*BOTH) == before
            assert_equal(program, before)
        program.fetched.clear()
        program.sync()
        assert program.fetched == []

        office.give("editor")
        program.edit("three", "NOTE", "allowed")
        self.settle(program)

        assert Card.parse(office.stored()["three"]).text("NOTE") == "allowed"
        assert_equal(program, office.stored(*BOTH))

    def test_a_card_whose_deletion_was_refused_comes_back(self, program, office: Office):
        office.give("editor")
        before = office.stored(*BOTH)

        program.delete("three")
        self.settle(program)

        assert office.stored(*BOTH) == before
        assert_equal(program, before)


class RefusedNewCards(Life):
    """It takes back a new card that was refused."""

    def test_a_refused_new_card_is_taken_back(self, program, office: Office):
        office.give("viewer")
        before = office.stored(*BOTH)

        program.create(LEADS, "made")
        self.settle(program)

        assert office.stored(*BOTH) == before
        assert_equal(program, before)
        office.give("contributor")
        program.create(LEADS, "made-later")
        self.settle(program)
        assert "made-later" in office.stored()
        assert_equal(program, office.stored(*BOTH))


def changed_names(before: bytes, after: bytes) -> set[str]:
    """The names of the properties of which a line is in one of two cards only."""
    ones, others = list(Card.parse(before).lines), list(Card.parse(after).lines)
    for line in list(ones):
        if line in others:
            ones.remove(line)
            others.remove(line)
    return {line.name for line in ones + others}


def assert_equal(program: Program, stored: Mapping[str, bytes]) -> None:
    """A program shows what is stored, each card in the version the program has it in."""
    shown = program.shown()
    assert sorted(shown) == sorted(stored)
    for uid, data in shown.items():
        version = Card.parse(data).version
        assert meaning(Card.parse(data)) == meaning(convert(Card.parse(stored[uid]), version)), uid
        if version == Card.parse(stored[uid]).version:
            assert data == stored[uid]
