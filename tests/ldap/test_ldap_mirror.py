"""The mirrored book against a real slapd: what is in it, what changes write, and what is not believed."""

import dataclasses
import gc
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radicale_shared import books, database, directories, mirrored, reading, vcard
from radicale_shared.access import Verb, administrator
from radicale_shared.directory_settings import MirrorKind, MirrorSettings
from radicale_shared.errors import DirectoryUnavailableError, NotAllowedHereError
from radicale_shared.ldap import mapping, mirror
from radicale_shared.ldap.entries import Entry
from radicale_shared.mirrored import Shown
from radicale_shared.models import now
from tests.conftest import BY, examples
from tests.ldap import people

ADDRESS = "company/people"
MIRROR = MirrorSettings(book=ADDRESS, name="Company", readers=("everyone",))
PEOPLE = "ou=people,dc=example,dc=org"


@pytest.fixture
def mirroring(directory):
    """Gives the Directory of a slapd, with a mirror that is changed so."""

    def make(server, *, servers=None, **changes):
        settings = server.settings(mirror=dataclasses.replace(MIRROR, **changes))
        return directory(dataclasses.replace(settings, servers=servers or settings.servers))

    return make


def dn(login):
    return f"uid={login},{PEOPLE}"


def shown(db, address=ADDRESS):
    """{UID: (href, bytes)} of the book."""
    with db.snapshot() as session:
        access = administrator(books.find(session, address))
        cards = [(one.href, one.data) for one in reading.every(session, access)]
    return {vcard.Card.parse(data).uid: (href, data) for href, data in cards}


def names(db):
    return sorted(vcard.Card.parse(data).text("FN") for _, data in shown(db).values())


def revision(db):
    with db.read() as session:
        return books.find(session, ADDRESS).revision


def counts(report):
    return report.new, report.changed, report.removed


EVERYBODY = ["Ada Lovelace", "Ben Bitdiddle", "Flann O'Brien", "Zoë Ω"]


# -- who is in it ------------------------------------------------------------------------------------------------------


def test_the_people_of_a_directory_become_a_book_without_those_it_has_disabled(db, company, mirroring, organisation):
    report = mirror.run(mirroring(company), db)
    assert (report.book, counts(report), report.unchanged, report.left_out) == (ADDRESS, (4, 0, 0), 0, 0)
    assert names(db) == EVERYBODY
    assert organisation.access("carla", "company~people").verbs == {Verb.READ}


def test_the_filter_says_who_is_in_it(db, company, mirroring):
    mirror.run(mirroring(company, filter="(uid=a*)"), db)
    assert names(db) == ["Ada Lovelace"]


def test_further_kinds_are_in_it_whatever_their_accounts_are(db, company, mirroring):
    kinds = (MirrorKind("(uid=carla)", "org"), MirrorKind("(|(uid=carla)(uid=ben))", "location"))
    mirror.run(mirroring(company, kinds=kinds), db)
    assert names(db) == sorted([*EVERYBODY, "Carla Locked"])
    said = {vcard.Card.parse(data).text("FN"): data for _, data in shown(db).values()}
    assert b"X-ABShowAs:COMPANY" in said["Carla Locked"]
    assert b"X-VCARD4-KIND:location" in said["Ben Bitdiddle"]
    assert b"KIND" not in said["Ada Lovelace"]


def test_where_the_entries_are_may_be_said(db, company, mirroring):
    mirror.run(mirroring(company, base=(f"uid=ada,{PEOPLE}",)), db)
    assert names(db) == ["Ada Lovelace"]


def test_a_directory_without_a_mirror_has_no_book(db, company, directory):
    assert mirror.run(directory(company.settings()), db) == mirror.Report()


def test_another_book_is_not_taken(db, company, mirroring, organisation):
    with pytest.raises(NotAllowedHereError):
        mirror.run(mirroring(company, book="sales/leads"), db)


# -- what changes ------------------------------------------------------------------------------------------------------


def test_a_second_run_writes_no_card_and_raises_no_revision(db, company, mirroring, statements):
    directory = mirroring(company)
    mirror.run(directory, db)
    before = revision(db)
    statements.clear()
    report = mirror.run(directory, db)
    assert (counts(report), report.unchanged, report.read_all) == ((0, 0, 0), 4, False)
    assert revision(db) == before
    assert wrote(statements) == {"directory_states"}


def wrote(statements):
    """The tables that were written."""
    found = (re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", text) for text in statements.texts)
    return {one[1] for one in found if one}


def test_only_what_changed_is_written(db, new_slapd, mirroring):
    server = new_slapd()
    directory = mirroring(server)
    mirror.run(directory, db)
    before, start = shown(db), revision(db)
    server.set(dn("ada"), title="Countess")
    server.set(dn("ben"), description="not mirrored")
    report = mirror.run(directory, db)
    assert (counts(report), report.read_all) == ((0, 1, 0), False)
    assert revision(db) == start + 1
    after = shown(db)
    assert [uid for uid in before if before[uid] != after[uid]] == [uid_of(db, "Ada Lovelace")]


def uid_of(db, name):
    return next(uid for uid, (_, data) in shown(db).items() if vcard.Card.parse(data).text("FN") == name)


def test_who_leaves_is_deleted_and_who_comes_back_has_the_same_name_and_uid(db, new_slapd, mirroring):
    server = new_slapd()
    directory = mirroring(server)
    mirror.run(directory, db)
    before = shown(db)
    ben = uid_of(db, "Ben Bitdiddle")
    server.set(dn("ben"), pwdAccountLockedTime="000001010000Z")
    assert counts(mirror.run(directory, db)) == (0, 0, 1)
    assert ben not in shown(db)
    server.set(dn("ben"), pwdAccountLockedTime=[])
    assert counts(mirror.run(directory, db)) == (1, 0, 0)
    assert shown(db) == before


def test_a_renamed_person_keeps_name_and_uid(db, new_slapd, mirroring):
    server = new_slapd()
    directory = mirroring(server)
    mirror.run(directory, db)
    ben = uid_of(db, "Ben Bitdiddle")
    server.rename(dn("ben"), "uid=benjamin")
    server.set(dn("benjamin"), cn="Benjamin Bitdiddle")
    assert counts(mirror.run(directory, db)) == (0, 1, 0)
    assert uid_of(db, "Benjamin Bitdiddle") == ben


def test_who_is_removed_or_filtered_out_is_deleted(db, new_slapd, mirroring):
    server = new_slapd()
    mirror.run(mirroring(server), db)
    server.remove(dn("ben"))
    assert counts(mirror.run(mirroring(server, filter="(!(uid=ada))"), db)) == (0, 0, 2)
    assert names(db) == ["Flann O'Brien", "Zoë Ω"]


def test_an_entry_that_no_change_announces_is_found_by_its_key(db, new_slapd, mirroring, monkeypatch):
    """One that was moved here with its branch, or that the reader was allowed to see only now, has an old time."""
    server = new_slapd()
    directory = mirroring(server, filter="(!(uid=ada))")
    mirror.run(directory, db)
    wider = mirroring(server)
    monkeypatch.setattr(mirror._Run, "_configuration", lambda _run: "same")
    mirror.run(directory, db)
    monkeypatch.setattr(mirror, "_OVERLAP", -timedelta(days=1))
    report = mirror.run(wider, db)
    assert (counts(report), report.read_all) == ((1, 0, 0), True)
    report = mirror.run(wider, db)
    assert (counts(report), report.read_all) == ((0, 0, 0), False)


def test_another_map_writes_the_cards_that_it_changes(db, company, mirroring):
    mirror.run(mirroring(company), db)
    start = revision(db)
    unused = mirror.run(mirroring(company, map={"TEL-cell": ("mobile",)}), db)
    assert (counts(unused), unused.unchanged, unused.read_all, revision(db)) == ((0, 0, 0), 4, True, start)
    report = mirror.run(mirroring(company, map={"NICKNAME": ("uid",)}), db)
    assert counts(report) == (0, 4, 0)


def test_all_is_read_once_a_day(db, company, mirroring, monkeypatch):
    directory = mirroring(company)
    assert mirror.run(directory, db).read_all
    assert not mirror.run(directory, db).read_all
    monkeypatch.setattr(mirror, "_READ_ALL", timedelta(0))
    assert mirror.run(directory, db).read_all


def test_less_is_asked_for_where_little_changed(db, large, mirroring, monkeypatch):
    directory = mirroring(large, filter="(uid=p1*)")
    mirror.run(directory, db)
    monkeypatch.setattr(mirror, "_OVERLAP", -timedelta(days=1))
    before = directory.operations
    assert counts(mirror.run(directory, db)) == (0, 0, 0)
    # Keys of 1,111 people in pages of 500, the time, what changed.
    assert directory.operations - before <= 3 + 1 + 1 + 2


# -- values and cards that can't be ------------------------------------------------------------------------------------


def test_what_is_left_out_is_told_once(db, new_slapd, mirroring, caplog):
    server = new_slapd()
    server.set(dn("ada"), labeledURI=["javascript:alert(1)", "data:x"])
    server.set(dn("ben"), labeledURI="javascript:alert(2)")
    with caplog.at_level(logging.WARNING):
        report = mirror.run(mirroring(server), db)
    assert report.reasons == {mapping.NO_URL: 2}
    assert [one.levelname for one in caplog.records if one.name == mirror.__name__] == ["WARNING"]


def test_an_entry_that_can_be_no_card_is_left_out_and_written_once_it_can(db, new_slapd, mirroring, statements):
    server = new_slapd()
    directory = mirroring(server, map={"FN": ("description",), "N-family": (), "EMAIL": ()})
    report = mirror.run(directory, db)
    assert (counts(report), report.left_out) == ((0, 0, 0), 4)
    server.set(dn("ada"), description="Ada")
    report = mirror.run(directory, db)
    assert (counts(report), report.left_out, report.unchanged) == ((1, 0, 0), 3, 0)
    assert not report.read_all
    statements.clear()
    report = mirror.run(directory, db)
    assert (counts(report), report.left_out, report.unchanged) == ((0, 0, 0), 3, 1)
    assert wrote(statements) == {"directory_states"}


def test_a_key_of_any_length_is_kept(db, company, mirroring):
    """That of a directory without stable keys is the DN."""
    directory = mirroring(company)
    directory.settings = dataclasses.replace(directory.settings, key_attribute="")
    assert counts(mirror.run(directory, db)) == (4, 0, 0)
    assert counts(mirror.run(directory, db)) == (0, 0, 0)
    assert mirror._kept("short") == "short"
    for odd in ("x" * 513, "a\x00b"):
        assert re.fullmatch("[0-9a-f]{128}", mirror._kept(odd))


# -- what is not believed ----------------------------------------------------------------------------------------------


def crew(number):
    return "".join(
        [people.unit("people", "dc=example,dc=org")]
        + [people.person(f"p{one}", f"P {one}", "dc=example,dc=org") for one in range(number)]
    )


def guard(db):
    with db.read() as session:
        return directories.state(session, "main").guard(directories.MIRROR)


def test_too_many_who_are_gone_at_once_change_nothing_until_it_is_accepted(db, new_slapd, mirroring, caplog):
    server = new_slapd(crew(30))
    directory = mirroring(server)
    mirror.run(directory, db)
    for number in range(7):
        server.remove(dn(f"p{number}"))
    server.set(dn("p20"), title="changed")
    before = shown(db)
    for _ in range(2):
        report = mirror.run(directory, db)
        assert report.guard == "7 of 30 people in the address book company/people would be gone at once."
        assert counts(report) == (0, 0, 0)
        assert shown(db) == before
        assert guard(db) == report.guard
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 2
    assert mirror.run(directory, db, dry_run=True).guard

    assert counts(mirror.run(directory, db, accept=True)) == (0, 1, 7)
    assert len(shown(db)) == 23
    assert guard(db) == ""


def test_too_many_who_can_be_no_card_at_once_keep_theirs_until_it_is_accepted(db, new_slapd, mirroring):
    """A directory that hides its attributes from the reader still has all entries."""
    server = new_slapd(crew(30))
    directory = mirroring(server, map={"FN": ("description",), "N-family": (), "EMAIL": ()})
    for number in range(30):
        server.set(dn(f"p{number}"), description=f"P {number}")
    mirror.run(directory, db)
    before = shown(db)
    for number in range(7):
        server.set(dn(f"p{number}"), description=[])
    server.set(dn("p20"), description="Changed")
    assert mirror.run(directory, db, dry_run=True).guard
    for changed in (1, 0):
        report = mirror.run(directory, db)
        assert report.guard == "7 of 30 people in the address book company/people would be gone at once."
        assert (counts(report), report.left_out, report.unchanged) == ((0, changed, 0), 0, 30 - changed)
        assert shown(db).keys() == before.keys()
        assert guard(db) == report.guard

    report = mirror.run(directory, db, accept=True)
    assert (counts(report), report.left_out) == ((0, 0, 7), 7)
    assert len(shown(db)) == 23
    assert guard(db) == ""


def test_a_directory_that_has_them_again_is_believed_by_itself(db, new_slapd, mirroring):
    server = new_slapd(crew(30))
    mirror.run(mirroring(server), db)
    assert mirror.run(mirroring(server, filter="(uid=nobody)"), db).guard
    assert guard(db)
    assert counts(mirror.run(mirroring(server), db)) == (0, 0, 0)
    assert guard(db) == ""


def test_a_directory_that_breaks_off_loses_nobody_and_the_next_run_goes_on(db, large, relay, mirroring, monkeypatch):
    before = relay(large.port)
    directory = mirroring(large, servers=(before.url,), filter="(uid=p1*)")
    monkeypatch.setattr(mirrored.slices, "pause", before.refuse)
    with pytest.raises(DirectoryUnavailableError):
        mirror.run(directory, db)
    written = len(shown(db))
    assert 0 < written < 1111
    with db.read() as session:
        assert directories.state(session, "main").mirrored_at is None
    monkeypatch.undo()
    before.accept()
    assert counts(mirror.run(directory, db)) == (1111 - written, 0, 0)
    before.refuse()
    with pytest.raises(DirectoryUnavailableError):
        mirror.run(directory, db)
    assert len(shown(db)) == 1111


def test_two_runs_at_once_write_every_card_once(db, large, mirroring):
    runs = [mirroring(large, filter="(uid=p1*)") for _ in range(2)]
    mirror.run(mirroring(large, filter="(uid=nobody)"), db)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda directory: mirror.run(directory, db), runs))
    assert sum(report.new for report in reports) == 1111
    assert [report.changed + report.removed for report in reports] == [0, 0]
    assert revision(db) == 1 + 1111


def test_ten_thousand_people_are_mirrored_as_a_stream_and_cost_nothing_unchanged(
    new_database_url, large, mirroring, statements, monkeypatch
):
    db = database.connect(new_database_url("sqlite"))
    directory = mirroring(large)
    alive = []

    def look():
        if len(alive) < 10:
            alive.append(sum(isinstance(one, Entry | Shown) for one in gc.get_objects()))

    monkeypatch.setattr(mirrored.slices, "pause", look)
    report = mirror.run(directory, db)
    assert (counts(report), report.left_out) == ((10_000, 0, 0), 0)
    assert max(alive) <= 500 + 2 * 200, "a page of the directory, a slice of the book and one that is read ahead"
    with db.read() as session:
        assert books.find(session, ADDRESS).search_only, "more than can be listed"
    before = revision(db)
    statements.clear()
    again = mirror.run(directory, db, accept=True)
    assert (counts(again), again.unchanged, again.read_all) == ((0, 0, 0), 10_000, True)
    assert wrote(statements) == {"directory_states"}
    assert revision(db) == before


# -- dry runs, schedule, size ------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_would_be_written_and_writes_nothing(db, new_slapd, mirroring, statements):
    server = new_slapd()
    directory = mirroring(server)
    statements.clear()
    assert counts(mirror.run(directory, db, dry_run=True)) == (4, 0, 0)
    assert wrote(statements) == set()
    mirror.run(directory, db)
    server.set(dn("ada"), title="Countess")
    server.remove(dn("ben"))
    statements.clear()
    assert counts(mirror.run(directory, db, dry_run=True)) == (0, 1, 1)
    assert wrote(statements) == set()


def test_a_book_is_due_every_some_minutes(db, company, mirroring, directory):
    settings = mirroring(company, every_minutes=5).settings
    with db.read() as session:
        assert mirror.due(directories.state(session, "main"), settings, now())
    mirror.run(mirroring(company, every_minutes=5), db)
    with db.read() as session:
        state = directories.state(session, "main")
    assert not mirror.due(state, settings, now())
    assert mirror.due(state, settings, now() + timedelta(minutes=6))
    assert not mirror.due(state, company.settings(), now() + timedelta(days=9))


@pytest.mark.parametrize(("listed", "searched"), [("auto", True), ("full", False), ("search", True)])
def test_a_large_book_is_searched_only_unless_it_shall_be_listed(db, company, mirroring, listed, searched):
    mirror.run(mirroring(company, list=listed, full_up_to=3), db)
    with db.read() as session:
        assert books.find(session, ADDRESS).search_only == searched


def test_a_book_that_grows_stays_listed_until_somebody_says_otherwise(db, new_slapd, mirroring, caplog):
    server = new_slapd()
    mirror.run(mirroring(server, full_up_to=4), db)
    server.add(dn("eve"), objectClass=["inetOrgPerson"], uid="eve", cn="Eve", sn="Eve")
    mirror.run(mirroring(server, full_up_to=4), db)
    with db.read() as session:
        assert not books.find(session, ADDRESS).search_only
    assert "has grown to 5 people" in caplog.text
    for listed, searched in (("search", True), ("full", False)):
        mirror.run(mirroring(server, list=listed), db)
        with db.read() as session:
            assert books.find(session, ADDRESS).search_only == searched


# -- any changes -------------------------------------------------------------------------------------------------------

_WHO = st.integers(1, 3)
_DEEDS = st.one_of(
    st.tuples(st.just("hire"), _WHO, st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)),
    st.tuples(st.sampled_from(["title", "displayName", "l"]), _WHO, st.sampled_from(["a@b", "Ω;,", "x" * 5000])),
    st.tuples(st.sampled_from(["fire", "lock", "unlock", "rename"]), _WHO, st.just("")),
    st.tuples(st.just("mirror"), st.just(0), st.just("")),
)


class Branch:
    """A branch of a slapd in which people come, change and go; what can't be done isn't."""

    def __init__(self, server, number):
        self.server = server
        self.base = f"ou=branch{number},dc=example,dc=org"
        server.add(self.base, objectClass=["organizationalUnit"], ou=f"branch{number}")
        self.people = {}
        self.do("hire", 0, "Somebody who stays")

    def do(self, deed, who, value):
        if deed == "hire":
            if who not in self.people:
                self.people[who] = f"uid=p{who},{self.base}"
                self.server.add(self.people[who], objectClass=["inetOrgPerson"], uid=f"p{who}", cn=value, sn="S")
        elif who not in self.people:
            return
        elif deed == "fire":
            self.server.remove(self.people.pop(who))
        elif deed == "rename":
            renamed = "r" if self.people[who].startswith("uid=p") else "p"
            self.server.rename(self.people[who], f"uid={renamed}{who}")
            self.people[who] = f"uid={renamed}{who},{self.base}"
        elif deed in {"lock", "unlock"}:
            self.server.set(self.people[who], pwdAccountLockedTime="000001010000Z" if deed == "lock" else [])
        else:
            self.server.set(self.people[who], **{deed: value})


def test_after_any_changes_the_book_is_as_one_that_is_made_anew(new_database_url, new_slapd, directory):
    db = database.connect(new_database_url("sqlite"))
    server = new_slapd("")
    numbers = count()

    @given(st.lists(_DEEDS, max_size=15))
    @example([("hire", 1, "A"), ("mirror", 0, ""), ("lock", 1, ""), ("mirror", 0, ""), ("unlock", 1, "")])
    @examples(30)
    def is_as_made_anew(deeds):
        number = next(numbers)
        branch, address = Branch(server, number), f"company/branch{number}"
        wanted = dataclasses.replace(MIRROR, book=address, base=(branch.base,))
        one = directory(dataclasses.replace(server.settings(mirror=wanted), name=f"branch{number}"))
        mirror.run(one, db)
        for deed in deeds:
            if deed[0] == "mirror":
                mirror.run(one, db)
            else:
                branch.do(*deed)
        assert not mirror.run(one, db).read_all, "else it says nothing of what is followed"
        followed = shown(db, address)
        with db.write() as session:
            books.trash(session, books.find(session, address), by=BY)
        mirror.run(one, db)
        assert shown(db, address) == followed

    is_as_made_anew()
