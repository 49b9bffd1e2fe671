"""A foreign client: a real Thunderbird, through its own dialogs' code, against the real server.

Thunderbird reads rights once, when a book is added; it writes without If-Match, and asks for the card afterwards; its
editor rewrites more of a card than was edited (``REWRITTEN``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from radicale_shared import books, grants, people
from radicale_shared.access import Role
from tests.conftest import BY, PROFILE, Organisation, card
from tests.proofs.conftest import RunningServer
from tests.proofs.thunderbird import NOTE, PROGRAM, TELEPHONE, Thunderbird

pytestmark = [
    pytest.mark.skipif(PROFILE != "nightly", reason="part of the nightly profile only: make nightly"),
    pytest.mark.skipif(PROGRAM is None, reason="Thunderbird is not installed: apt-get install thunderbird"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="

# Two cards with more in them than Thunderbird knows: version -> lines between UID and END.
RICH = {
    "3.0": (
        "FN:Björn Ø 山田 🎉",
        "N:Ø 山田;Björn;;Dr.;",
        "EMAIL;TYPE=INTERNET,HOME:bjoern@example.org",
        "item1.TEL;TYPE=HOME,VOICE:030 1",
        "item1.X-ABLabel:Ferien",
        "TEL;TYPE=CELL:+49 170 1",
        "ADR;TYPE=HOME:;;Street 1;Town;;12345;Germany",
        "ORG:Example;Sales;North",
        "NICKNAME:Al,Bob",
        "BDAY:1985-04-12",
        "TZ:+01:00",
        "URL:https://example.org/a,b;c?x=1",
        "CATEGORIES:Customers,North\\, far",
        f"PHOTO;ENCODING=b;TYPE=PNG:{PIXEL}",
        "NOTE:before",
        "X-SOCIALPROFILE;type=twitter:https://example.org/u",
        "X-ODD;X-P=1:a,b;c\\,d\\;e\\nf\\\\g",
        "X-TWICE:1",
        "X-TWICE:1",
    ),
    "4.0": (
        "FN:Žofie Ø 山田 🎉",
        "N:Ø 山田;Žofie;;Dr.;",
        "EMAIL;TYPE=home:zofie@example.org",
        'TEL;VALUE=uri;TYPE="voice,home":tel:+49-30-123',
        "ADR;TYPE=home:;;Street 1;Town;;12345;Germany",
        "ORG:Example;Sales;North",
        "NICKNAME:Al,Bob",
        "BDAY:19850412",
        "TZ:Europe/Berlin",
        "URL:https://example.org/a,b;c?x=1",
        "GEO:geo:52.5,13.4",
        "CATEGORIES:Customers,North\\, far",
        f"PHOTO:data:image/png;base64,{PIXEL}",
        "NOTE:before",
        "RELATED;TYPE=spouse:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "group.X-GROUPED:1",
        "X-ODD;X-P=1:a,b;c\\,d\\;e\\nf\\\\g",
    ),
}

# What Thunderbird 153 makes of lines that nobody edited, by the version that is stored and the one it was given: other
# spelling, lists flattened to one text, commas of URIs escaped, a 3.0 TZ dropped. All else must come through as it was.
_LISTS = {"ORG:Example;Sales;North": "ORG:Example;Sales\\, North", "NICKNAME:Al,Bob": "NICKNAME:Al\\,Bob"}
_EMAIL = {"EMAIL;TYPE=home:zofie@example.org": "EMAIL;TYPE=home;PREF=1:zofie@example.org"}
REWRITTEN: dict[tuple[str, str], dict[str, str | None]] = {
    ("3.0", "3.0"): {
        **_LISTS,
        "EMAIL;TYPE=INTERNET,HOME:bjoern@example.org": "EMAIL;TYPE=INTERNET,HOME;PREF=1:bjoern@example.org",
        "item1.TEL;TYPE=HOME,VOICE:030 1": "ITEM1.TEL;TYPE=HOME,VOICE:030 1",
        "item1.X-ABLabel:Ferien": "ITEM1.X-ABLABEL:Ferien",
        "BDAY:1985-04-12": "BDAY;VALUE=DATE:1985-04-12",
        "TZ:+01:00": None,
        "X-SOCIALPROFILE;type=twitter:https://example.org/u": "X-SOCIALPROFILE;TYPE=twitter:https://example.org/u",
    },
    ("4.0", "3.0"): {**_LISTS, **_EMAIL},
    ("4.0", "4.0"): {
        **_LISTS,
        **_EMAIL,
        'TEL;VALUE=uri;TYPE="voice,home":tel:+49-30-123': "TEL;TYPE=voice,home:tel:+49-30-123",
        "URL:https://example.org/a,b;c?x=1": "URL:https://example.org/a\\,b;c?x=1",
        "GEO:geo:52.5,13.4": "GEO:geo:52.5\\,13.4",
        f"PHOTO:data:image/png;base64,{PIXEL}": f"PHOTO:data:image/png;base64\\,{PIXEL}",
        "group.X-GROUPED:1": "GROUP.X-GROUPED:1",
    },
}


def rich(version: str) -> bytes:
    lines = ["BEGIN:VCARD", f"VERSION:{version}", "UID:rich", *RICH[version], "END:VCARD", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture
def archive(organisation: Organisation) -> None:
    """ "sales/archive": Sales may only read it, Carla may do everything to its cards."""
    with organisation.db.write() as session:
        book = books.add(session, people.group(session, "sales"), "archive", name="Archive", by=BY)
        grants.give(session, book, "group:sales", Role.VIEWER, by=BY)
        grants.give(session, book, "user:carla", Role.CURATOR, by=BY)


@pytest.fixture
def server(running: Callable[..., RunningServer], archive: None) -> Iterator[RunningServer]:
    started = running()
    yield started
    assert "Traceback" not in started.log.read_text()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Thunderbird]:
    """A Thunderbird without any account."""
    thunderbird = Thunderbird(tmp_path / "thunderbird")
    try:
        thunderbird.start()
        yield thunderbird
    finally:
        thunderbird.stop()


@pytest.fixture
def ben(empty: Thunderbird, server: RunningServer, organisation: Organisation) -> Thunderbird:
    """Ben's Thunderbird in step with the server; "Contacts", "Leads" and "Archive" have one card each."""
    organisation.put("ben", "contacts", "own.vcf", card("own", "Own", "NOTE:before", "TEL:1"))
    organisation.put("ada", "sales~leads", "lead.vcf", card("lead", "Lead", "NOTE:before", "TEL:1"))
    organisation.put("carla", "sales~archive", "old.vcf", card("old", "Old", "NOTE:before", "TEL:1"))
    empty.add_account(server.url, "ben", "benben")
    empty.sent()
    return empty


def stored(server: RunningServer, path: str) -> list[str]:
    """The unfolded lines of a card on the server, as Ben sees it; [] if there is none."""
    answer = requests.get(f"{server.url}/ben/{path}", auth=("ben", "benben"), timeout=30)
    return [] if answer.status_code == 404 else answer.content.decode().replace("\r\n ", "").splitlines()


def names(thunderbird: Thunderbird, book: str) -> dict[str, str]:
    return {uid: shown.name for uid, shown in thunderbird.cards(book).items()}


def lines(thunderbird: Thunderbird, book: str, uid: str) -> list[str]:
    """The unfolded lines of a card in Thunderbird."""
    return thunderbird.cards(book)[uid].text.replace("\r\n ", "").splitlines()


def only_readable(organisation: Organisation) -> None:
    """Take Sales' right to write away from "sales/leads", which Thunderbird doesn't notice."""
    with organisation.db.write() as session:
        grants.change(session, books.find(session, "sales/leads"), "group:sales", Role.VIEWER, by=BY)


# -- setting up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", {"Contacts", "Leads", "Archive"}),
        ("/ben/", {"Contacts", "Leads", "Archive"}),
        ("/not/there/", {"Contacts", "Leads", "Archive"}),
        ("/ben/sales~leads/", {"Leads"}),
    ],
)
def test_own_and_shared_books_are_found(empty: Thunderbird, server: RunningServer, path: str, found: set[str]) -> None:
    assert set(empty.add_account(f"{server.url}{path}", "ben", "benben")) == found
    assert empty.read_only() == {name: name == "Archive" for name in found}


def test_all_cards_come_with_the_first_sync(
    empty: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    organisation.put("ben", "contacts", "4.vcf", rich("4.0"))
    organisation.put("ben", "sales~leads", "3.vcf", rich("3.0"))
    organisation.put("ben", "sales~leads", "Ümläut; 100%,~.vcf", card("odd-href", "Odd Href"))
    empty.add_account(server.url, "ben", "benben")
    (four,) = empty.cards("Contacts").values()
    assert (four.name, four.first_name, four.last_name) == ("Žofie Ø 山田 🎉", "Žofie", "Ø 山田")
    three = empty.cards("Leads")["rich"]
    assert (three.name, three.first_name, three.last_name) == ("Björn Ø 山田 🎉", "Björn", "Ø 山田")
    assert three.photo == four.photo == f"data:image/png;base64,{PIXEL}"
    assert names(empty, "Leads") == {"rich": three.name, "odd-href": "Odd Href"}


def test_a_large_book_arrives_whole_in_several_requests(
    empty: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    for number in range(1201):
        organisation.put("ben", "contacts", f"{number}.vcf", card(f"uid-{number}"))
    empty.add_account(server.url, "ben", "benben")
    assert set(empty.cards("Contacts")) == {f"uid-{number}" for number in range(1201)}
    reports = [one for one in empty.sent() if (one.method, one.path) == ("REPORT", "/ben/contacts/")]
    assert len(reports) == 3  # multigets of 500


# -- changes, both ways ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "given"), list(REWRITTEN))
def test_editing_a_note_keeps_all_that_thunderbird_does_not_rewrite(
    ben: Thunderbird, server: RunningServer, organisation: Organisation, version: str, given: str
) -> None:
    if given == "4.0":  # it is given what it wrote last
        assert ben.create("Contacts", card("made", version="4.0").decode()) == ""
    organisation.put("ada", "sales~leads", "rich.vcf", rich(version))
    assert ben.sync("Leads") == ""
    assert f"VERSION:{given}" in lines(ben, "Leads", "rich")
    assert ben.edit("Leads", "rich", NOTE, "after\nÜ, ;") == ""
    first, version_line, *after, last = stored(server, "sales~leads/rich.vcf")
    assert (first, version_line, last) == ("BEGIN:VCARD", f"VERSION:{version}", "END:VCARD")
    rewritten = REWRITTEN[version, given] | {"NOTE:before": "NOTE:after\\nÜ\\, ;"}
    expected = [line if line in after else rewritten.get(line, line) for line in ("UID:rich", *RICH[version])]
    assert sorted(after) == sorted(line for line in expected if line is not None)


def test_a_change_by_another_client_arrives_at_the_next_sync(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    organisation.put("ada", "sales~leads", "lead.vcf", card("lead", "Ledña"))
    organisation.put("ada", "sales~leads", "new.vcf", card("new", "New", version="4.0"))
    assert ben.sync("Leads") == ""
    assert names(ben, "Leads") == {"lead": "Ledña", "new": "New"}
    organisation.remove("ben", "contacts", "own.vcf")
    assert ben.sync("Contacts") == ""
    assert names(ben, "Contacts") == {}


def test_cards_are_created_and_deleted_in_thunderbird(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    assert ben.create("Leads", card("made", "Måde", version="4.0").decode()) == ""
    assert "FN:Måde" in stored(server, "sales~leads/made.vcf")
    organisation.put("ada", "sales~leads", "made.vcf", card("made", "Made by both"))
    assert ben.sync("Leads") == ""
    assert names(ben, "Leads") == {"lead": "Lead", "made": "Made by both"}
    assert ben.delete("Contacts", "own") == ""
    assert stored(server, "contacts/own.vcf") == []
    assert ben.sync("Contacts") == ""
    assert names(ben, "Contacts") == {}


def test_what_was_done_while_the_server_was_away_reaches_it_later(ben: Thunderbird, server: RunningServer) -> None:
    server.stop()
    assert ben.edit("Leads", "lead", NOTE, "offline") == "Connection error"
    assert ben.create("Leads", card("made").decode()) == "Connection error"
    assert ben.delete("Contacts", "own") == "Connection error"
    server.start()
    assert ben.sync("Leads") == ben.sync("Contacts") == ""
    assert "NOTE:offline" in stored(server, "sales~leads/lead.vcf")
    assert "UID:made" in stored(server, "sales~leads/made.vcf")
    assert stored(server, "contacts/own.vcf") == []


def test_edits_of_the_same_card_here_and_there_are_both_kept(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    organisation.put("ada", "sales~leads", "lead.vcf", card("lead", "Lead", "NOTE:before", "TEL:2"))
    assert ben.edit("Leads", "lead", NOTE, "after") == ""
    assert {"TEL:2", "NOTE:after"} <= set(stored(server, "sales~leads/lead.vcf"))
    assert {"TEL:2", "NOTE:after"} <= set(lines(ben, "Leads", "lead"))


def test_thunderbird_writes_blindly_and_reads_the_card_again(ben: Thunderbird) -> None:
    # What the server's merge of such writes, and its answers to Thunderbird, rest on.
    assert ben.edit("Leads", "lead", TELEPHONE, "2") == ""
    assert ben.sync("Leads") == ""
    put, multiget, sync = ben.sent()
    assert (put.method, put.path) == ("PUT", "/ben/sales~leads/lead.vcf")
    assert (multiget.method, multiget.path, multiget.headers["depth"]) == ("REPORT", "/ben/sales~leads/", "1")
    assert (sync.method, sync.path, sync.headers["depth"]) == ("REPORT", "/ben/sales~leads/", "1")
    assert not {"if-match", "if-none-match"} & put.headers.keys()
    assert put.headers["content-type"] == "text/vcard"
    assert all(one.headers["accept"] == "*/*" and "Thunderbird/" in one.headers["user-agent"] for one in (put, sync))


# -- rights ------------------------------------------------------------------------------------------------------------


def test_a_book_that_was_read_only_from_the_start_is_not_written_to(ben: Thunderbird) -> None:
    assert ben.create("Archive", card("made").decode()) == "Directory is read-only"
    assert ben.delete("Archive", "old") == "Directory is read-only"
    assert names(ben, "Archive") == {"old": "Old"}
    assert ben.sent() == []


def test_a_refused_edit_is_taken_back_by_the_next_sync(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    only_readable(organisation)
    for attempt in ("once", "twice"):
        ben.edit("Leads", "lead", NOTE, attempt)
        assert ("PUT", "/ben/sales~leads/lead.vcf") in [(one.method, one.path) for one in ben.sent()]
        assert ben.sync("Leads") == ""
        assert "NOTE:before" in lines(ben, "Leads", "lead")
    assert "NOTE:before" in stored(server, "sales~leads/lead.vcf")


def test_a_card_whose_deletion_was_refused_comes_back(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    ben.delete("Leads", "lead")
    assert names(ben, "Leads") == {}
    assert ben.sync("Leads") == ""
    assert names(ben, "Leads") == {"lead": "Lead"}
    assert "UID:lead" in stored(server, "sales~leads/lead.vcf")


def test_a_refused_new_card_stays_in_thunderbird_and_the_book_goes_on(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    # No server can take it back: Thunderbird looks for what was removed among the cards it got from the server.
    only_readable(organisation)
    ben.create("Leads", card("made").decode())
    organisation.grant("sales/leads", "user:ada", "editor")
    organisation.put("ada", "sales~leads", "lead.vcf", card("lead", "Changed"))
    assert ben.sync("Leads") == ""
    assert names(ben, "Leads") == {"lead": "Changed", "made": "Made"}
    assert stored(server, "sales~leads/made.vcf") == []


def test_a_write_that_waited_and_was_refused_does_not_stop_the_book(
    ben: Thunderbird, server: RunningServer, organisation: Organisation
) -> None:
    server.stop()
    ben.edit("Leads", "lead", NOTE, "offline")
    only_readable(organisation)
    server.start()
    ben.sync("Leads")
    assert ben.sync("Leads") == ""
    assert "NOTE:before" in lines(ben, "Leads", "lead")


# -- starting over -----------------------------------------------------------------------------------------------------


def change_everything(organisation: Organisation, login: str, book: str) -> dict[str, str]:
    """Change one card, remove one, add one; the names that are left."""
    organisation.put(login, book, "kept.vcf", card("kept", "Changed"))
    organisation.remove(login, book, "removed.vcf")
    organisation.put(login, book, "added.vcf", card("added", "Added"))
    return {"kept": "Changed", "added": "Added"}


def make_token_unknown(ben: Thunderbird, book: str, organisation: Organisation, way: str) -> None:
    if way == "new epoch":
        with organisation.db.write() as session:
            books.new_epoch(session)
    else:
        ben.set_token(book, way)


@pytest.mark.parametrize("way", ["new epoch", "rubbish", "radicale-shared:/sync/0/0/1/0/0/0"])
def test_a_book_with_an_unknown_token_ends_equal_to_the_server(
    ben: Thunderbird, server: RunningServer, organisation: Organisation, way: str
) -> None:
    organisation.put("ben", "contacts", "kept.vcf", card("kept"))
    organisation.put("ben", "contacts", "removed.vcf", card("removed"))
    assert ben.sync("Contacts") == ""
    expected = {"own": "Own", **change_everything(organisation, "ben", "contacts")}
    make_token_unknown(ben, "Contacts", organisation, way)
    assert ben.sync("Contacts") == ""
    assert names(ben, "Contacts") == expected
    organisation.put("ben", "contacts", "own.vcf", card("own", "Later"))
    assert ben.sync("Contacts") == ""
    assert names(ben, "Contacts") == expected | {"own": "Later"}


@pytest.mark.parametrize("way", ["new epoch", "rubbish"])
def test_a_read_only_book_with_an_unknown_token_ends_equal_to_the_server(
    ben: Thunderbird, server: RunningServer, organisation: Organisation, way: str
) -> None:
    organisation.put("carla", "sales~archive", "kept.vcf", card("kept"))
    organisation.put("carla", "sales~archive", "removed.vcf", card("removed"))
    assert ben.sync("Archive") == ""
    expected = {"old": "Old", **change_everything(organisation, "carla", "sales~archive")}
    make_token_unknown(ben, "Archive", organisation, way)
    assert ben.sync("Archive") == ""
    assert names(ben, "Archive") == expected
