"""A stock Radicale's folders, written by Radicale itself where it can be made to."""

from __future__ import annotations

import base64
import io
import json
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from radicale import config as radicale_config
from radicale.app import Application

from radicale_shared import access, books, cards, history, people, reading, retention, vcard
from radicale_shared.changes import Actor
from radicale_shared.errors import NotFoundError
from radicale_shared.exchange import radicale_folders as folders
from radicale_shared.exchange import slices, vcards
from radicale_shared.models import now
from tests.conftest import kinds_of_deeds

BY = Actor(None, "tests", device="tests")
MAX = 100_000
MKCOL = """<?xml version="1.0" encoding="utf-8"?>
<mkcol xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav" xmlns:I="http://inf-it.com/ns/ab/"><set><prop>
<resourcetype><collection/><CR:addressbook/></resourcetype><displayname>Kunden &amp; Łódź</displayname>
<CR:addressbook-description>Wichtige Leute</CR:addressbook-description>
<I:addressbook-color>#ff8800ff</I:addressbook-color></prop></set></mkcol>"""


def small(uid: str, *lines: str, version: str = "3.0") -> bytes:
    content = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{uid}", f"N:{uid};;;;", *lines, "END:VCARD", ""]
    return "\r\n".join(content).encode()


class StockRadicale:
    """Radicale 3.9 with its own storage, in this process."""

    def __init__(self, folder: Path) -> None:
        configuration = radicale_config.load()
        configuration.update(
            {
                "storage": {"type": "multifilesystem", "filesystem_folder": str(folder), "_filesystem_fsync": "False"},
                "auth": {"type": "none"},
                "rights": {"type": "owner_only"},
                "logging": {"level": "critical"},
            },
            "test",
            privileged=True,
        )
        self._application = Application(configuration)

    def send(self, method: str, path: str, body: bytes, content_type: str = "text/vcard; charset=utf-8") -> int:
        statuses: list[int] = []
        login = path.split("/")[1]
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{login}:x".encode()).decode(),
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "5232",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        b"".join(self._application(environ, lambda status, _headers: statuses.append(int(status.split()[0]))))
        return statuses[0]


@pytest.fixture
def radicale(tmp_path) -> StockRadicale:
    return StockRadicale(tmp_path / "collections")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "collections"


@pytest.fixture
def book(folder):
    """Makes an address book's folder by hand and returns it."""

    def make(name: str, tag: str | None = "VADDRESSBOOK", **files: bytes) -> Path:
        path = folder / "collection-root" / name
        path.mkdir(parents=True)
        if tag:
            (path / ".Radicale.props").write_text(json.dumps({"tag": tag}))
        for key, content in files.items():
            (path / f"{key}.vcf").write_bytes(content)
        return path

    return make


def bring(db, folder: Path, **options):
    return folders.import_folder(db, str(folder), by=BY, max_size=MAX, **options)


def stored(db, address: str) -> dict[str, bytes]:
    with db.snapshot() as session:
        whole = access.administrator(books.find(session, address))
        return {one.href: one.data for one in reading.every(session, whole)}


def totals(migration) -> dict[str, tuple[int, int, int, int, int]]:
    return {
        one.address: (
            one.report.added,
            one.report.updated,
            one.report.unchanged,
            len(one.report.kept),
            len(one.report.refused),
        )
        for one in migration.books
    }


def test_what_radicale_stored_arrives_with_urls_names_colours_and_bytes(db, radicale, folder):
    assert radicale.send("MKCOL", "/ada/kunden/", MKCOL.encode(), "application/xml") == 201
    for href in ("bob.vcf", "Bob Müller.vcf", "a-b_c"):
        path = "/ada/kunden/" + href
        assert radicale.send("PUT", path, small(href.split(".")[0], "TEL;TYPE=CELL:+1 505 555 0101")) == 201
    on_disk = {
        file.name: file.read_bytes()
        for file in (folder / "collection-root/ada/kunden").iterdir()
        if file.is_file() and not file.name.startswith(".")
    }

    migration = bring(db, folder)

    assert migration.users_made == ["ada"]
    assert totals(migration) == {"ada/kunden": (3, 0, 0, 0, 0)}
    assert not migration.books[0].moved
    assert stored(db, "ada/kunden") == on_disk
    assert set(on_disk) == {"bob.vcf", "Bob Müller.vcf", "a-b_c"}
    with db.read() as session:
        made = books.find(session, "ada/kunden")
        reachable = access.find(session, "ada", "kunden")
    assert (made.name, made.description, made.color) == ("Kunden & Łódź", "Wichtige Leute", "#ff8800ff")
    assert reachable is not None
    assert access.Verb.OWN in reachable.verbs


def test_damage_that_radicale_did_is_listed_where_it_shows(db, radicale, folder):
    picture = "PHOTO:data:image/jpeg;base64,/9j/4AAQSkZJRg=="
    radicale.send("MKCOL", "/ada/kunden/", MKCOL.encode(), "application/xml")
    assert radicale.send("PUT", "/ada/kunden/photo.vcf", small("photo", picture, version="4.0")) == 201
    assert radicale.send("PUT", "/ada/kunden/xmpp.vcf", small("xmpp", "IMPP:xmpp:a@b.c;x")) == 201
    assert (
        radicale.send("PUT", "/ada/kunden/fine.vcf", small("fine", r"NOTE:semicolons\; and commas\, are fine")) == 201
    )

    migration = bring(db, folder)

    assert sorted((one.book, one.href, one.name) for one in migration.losses) == [
        ("ada/kunden", "photo.vcf", "photo"),
        ("ada/kunden", "xmpp.vcf", "xmpp"),
    ]
    assert totals(migration) == {"ada/kunden": (3, 0, 0, 0, 0)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r"PHOTO:data:image/jpeg\;base64", True),
        (r"LOGO;VALUE=uri:DATA:image/png\;base64", True),
        (r"PHOTO:data:image/jpeg;base64,/9j/", False),
        (r"PHOTO;ENCODING=b;TYPE=JPEG:/9j/", False),
        (r"TEL;VALUE=uri:tel:+1-555\;ext=5", True),
        (r"TEL:+1 555\;5", False),
        (r"URL:http\\://example.com", True),
        (r"URL:http\://example.com", False),
        (r"NOTE:a\;b", False),
    ],
)
def test_marks_of_damage(line, expected):
    assert bool(folders.marks_of_damage(small("a", line))) is expected


def test_a_second_run_changes_nothing(db, book, folder):
    book("ada/friends", a=small("a"), b=small("b"))
    book("ben/friends", c=small("c"))
    bring(db, folder)
    with db.read() as session:
        before = [(one.address, one.revision, one.name) for one in books.all_books(session)]

    again = bring(db, folder)

    assert again.users_made == []
    assert totals(again) == {"ada/friends": (0, 0, 2, 0, 0), "ben/friends": (0, 0, 1, 0, 0)}
    assert not any(one.made for one in again.books)
    with db.read() as session:
        assert [(one.address, one.revision, one.name) for one in books.all_books(session)] == before


def test_a_later_run_overwrites_nothing_of_which_nobody_knows_who_touched_it_last(db, book, folder):
    path = book("ada/friends", a=small("a"), b=small("b"), c=small("c"))
    bring(db, folder)
    with db.write() as session:
        here = access.administrator(books.find(session, "ada/friends"))
        cards.put(session, here, "b.vcf", cards.check(small("b", "NOTE:here")), secret=db.secret, by=BY)
        cards.remove(session, here, "c.vcf", by=BY)
    retention.prune(db, 1, 1, at=now() + timedelta(days=2))
    for name in "abc":
        (path / f"{name}.vcf").write_bytes(small(name, "NOTE:there"))

    migration = bring(db, folder)

    assert totals(migration) == {"ada/friends": (0, 0, 0, 3, 0)}
    assert {one.what for one in migration.books[0].report.kept} == {
        f"It was touched here since ({history.FORGOTTEN}) and stays as it is."
    }
    assert stored(db, "ada/friends") == {"a.vcf": small("a"), "b.vcf": small("b", "NOTE:here")}


def test_a_later_run_brings_news_and_keeps_what_was_changed_here(db, book, folder):
    path = book("ada/friends", a=small("a"), b=small("b"), c=small("c"), d=small("d"))
    bring(db, folder)
    with db.write() as session:
        here = access.administrator(books.find(session, "ada/friends"))
        cards.put(session, here, "b.vcf", cards.check(small("b", "NOTE:here")), secret=db.secret, by=BY)
        cards.remove(session, here, "c.vcf", by=BY)
        cards.put(session, here, "d.vcf", cards.check(small("d", "NOTE:x")), secret=db.secret, by=BY)
        cards.put(session, here, "d.vcf", cards.check(small("d")), secret=db.secret, by=BY)
    (path / "a.vcf").write_bytes(small("a", "NOTE:there"))
    (path / "b.vcf").write_bytes(small("b", "NOTE:there"))
    (path / "e.vcf").write_bytes(small("e"))

    migration = bring(db, folder)

    assert totals(migration) == {"ada/friends": (1, 1, 1, 2, 0)}
    assert {one.file for one in migration.books[0].report.kept} == {"b.vcf", "c.vcf"}
    assert stored(db, "ada/friends") == {
        "a.vcf": small("a", "NOTE:there"),
        "b.vcf": small("b", "NOTE:here"),
        "d.vcf": small("d"),
        "e.vcf": small("e"),
    }


def test_a_dry_run_says_the_same_and_changes_nothing(db, book, folder, monkeypatch):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 2)
    book("ada/friends", a=small("a"), b=small("b"), c=small("a"), d=b"nothing", e=small("e"))
    book("ada/work", a=small("a"))
    book("ada/tasks", "VCALENDAR")

    dry = bring(db, folder, dry_run=True)

    with db.read() as session:
        assert people.users(session) == []
        assert books.all_books(session) == []
    assert asdict(bring(db, folder)) == asdict(dry)
    assert totals(dry) == {"ada/friends": (3, 0, 0, 0, 2), "ada/work": (1, 0, 0, 0, 0)}
    assert dry.users_made == ["ada"]


def test_each_book_is_one_act(db, book, folder, monkeypatch):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 2)
    book("ada/friends", **{f"u{number}": small(f"u{number}") for number in range(7)})

    bring(db, folder)

    with db.snapshot() as session:
        found = books.find(session, "ada/friends")
        assert kinds_of_deeds(session, found.id) == ["create-book", "import-radicale"]
        entry = next(history.entries(session, book_id=found.id, href="u6.vcf"))
        assert entry.reason == "ada/friends"


def test_calendars_stay_and_are_listed_and_their_users_are_not_made(db, book, folder):
    book("ada/plans", "VCALENDAR")
    book("ada/subscribed", "VSUBSCRIBED")

    migration = bring(db, folder)

    assert migration.calendars == ["ada/plans", "ada/subscribed"]
    assert (migration.books, migration.users_made) == ([], [])
    with db.read() as session:
        assert people.users(session) == []


def test_a_book_without_cards_is_brought_along(db, book, folder):
    book("ada/empty")

    assert totals(bring(db, folder)) == {"ada/empty": (0, 0, 0, 0, 0)}
    assert stored(db, "ada/empty") == {}


def test_caches_locks_temporary_and_backup_files_are_no_cards(db, book, folder):
    path = book("ada/friends", a=small("a"))
    (path / ".Radicale.cache" / "item").mkdir(parents=True)
    (path / ".Radicale.cache" / "item" / "x.vcf").write_bytes(small("x"))
    (path / "a.vcf~").write_bytes(small("backup"))
    (path / ".hidden.vcf").write_bytes(small("hidden"))
    (folder / "collection-root" / ".Radicale.lock").write_bytes(b"")

    assert totals(bring(db, folder)) == {"ada/friends": (1, 0, 0, 0, 0)}


def test_items_that_cannot_be_stored_are_listed_with_reasons(db, book, folder):
    path = book(
        "ada/friends",
        good=small("good"),
        old=b"BEGIN:VCARD\r\nFN:Old\r\nUID:o\r\nEND:VCARD\r\n",
        twice=small("x") + small("y"),
        vlist=b"BEGIN:VLIST\r\nEND:VLIST\r\n",
        zz=small("good"),
    )
    with open(os.fsencode(path) + b"/j\xfcrgen.vcf", "wb") as file:
        file.write(small("juergen"))

    (result,) = bring(db, folder).books

    assert {one.file: one.what.split()[0] for one in result.report.refused} == {
        "j\ufffdrgen.vcf": "A",
        "old.vcf": "vCard",
        "twice.vcf": "There",
        "vlist.vcf": "The",
        "zz.vcf": "UID",
    }
    assert list(stored(db, "ada/friends")) == ["good.vcf"]


def test_an_item_of_2_1_is_converted_to_3_at_its_name_and_told_once(db, book, folder):
    lines = b"VERSION:2.1", b"N;CHARSET=ISO-8859-1:Fr\xfcnd;Old", b"TEL;CELL:1"
    book("ada/friends", old=b"\r\n".join([b"BEGIN:VCARD", *lines, b"END:VCARD", b""]))

    (result,) = bring(db, folder).books
    (again,) = bring(db, folder).books

    card = vcard.check(stored(db, "ada/friends")["old.vcf"])
    assert (card.version, card.text("N"), card.all("TEL")[0].raw) == ("3.0", "Fründ;Old", b"TEL;TYPE=CELL:1\r\n")
    assert [(one.file, one.name, one.what) for one in result.report.mended] == [
        ("old.vcf", "Old Fründ", vcards.CONVERTED),
        ("old.vcf", "Old Fründ", slices.GIVEN_UID),
    ]
    assert (again.report.unchanged, again.report.mended) == (1, [])


def test_an_item_without_uid_gets_one(db, book, folder):
    book("ada/friends", a=b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\nEND:VCARD\r\n")

    (result,) = bring(db, folder).books

    assert (result.report.added, len(result.report.mended)) == (1, 1)


def test_names_that_are_no_legal_slugs_get_one_and_are_told(db, book, folder):
    book("ada/Meine Freunde", a=small("a"))
    book("ada/meine-freunde", b=small("b"))
    book("ada/all", c=small("c"))
    book("ada/友達", d=small("d"))
    book("Ada@Example.com/kunden", e=small("e"))

    migration = bring(db, folder)

    assert {one.folder: (one.address, one.moved) for one in migration.books} == {
        "ada/Meine Freunde": ("ada/meine-freunde-2", True),
        "ada/meine-freunde": ("ada/meine-freunde", False),
        "ada/all": ("ada/book-all", True),
        "ada/友達": ("ada/book", True),
        "Ada@Example.com/kunden": ("ada@example.com/kunden", True),
    }
    assert {one.name for one in migration.books} >= {"Meine Freunde", "友達"}
    assert {one.address: one.report.unchanged for one in bring(db, folder).books} == dict.fromkeys(
        (one.address for one in migration.books), 1
    )


def test_two_users_who_would_be_the_same_here_are_not_mixed(db, book, folder):
    book("Ada/friends", a=small("a"))
    book("ada/friends", b=small("b"))

    migration = bring(db, folder)

    assert totals(migration) == {"ada/friends": (1, 0, 0, 0, 0)}
    assert [one.folder for one in migration.skipped] == ["ada/friends"]
    assert list(stored(db, "ada/friends")) == ["a.vcf"]


def test_a_user_and_a_book_that_are_here_already_are_used_and_keep_their_names(db, book, folder):
    with db.write() as session:
        person = people.add_user(session, "ada", name="Ada", password="secret")
        books.add_personal(session, person, by=BY)
    path = book("ada/contacts", a=small("a"))
    (path / ".Radicale.props").write_text(json.dumps({"tag": "VADDRESSBOOK", "D:displayname": "Old name"}))

    migration = bring(db, folder)

    assert migration.users_made == []
    assert [(one.address, one.made, one.name) for one in migration.books] == [("ada/contacts", False, "Contacts")]
    with db.read() as session:
        assert people.user(session, "ada").has_password


def test_what_is_nobody_s_address_book_is_skipped_with_the_reason(db, book, folder):
    book("GROUPS/c2FsZXM=", a=small("a"))
    book("toplevel", a=small("a"))
    book("ada/untagged", None, a=small("a"))
    broken = book("ada/broken", None, a=small("a"))
    (broken / ".Radicale.props").write_bytes(b"{not json")
    listed = book("ada/listed", None)
    (listed / ".Radicale.props").write_bytes(b"[]")
    book("a:b/friends", a=small("a"))

    migration = bring(db, folder)

    assert {one.folder for one in migration.skipped} == {
        "GROUPS/c2FsZXM=",
        "toplevel",
        "ada/untagged",
        "ada/broken",
        "ada/listed",
        "a:b/friends",
    }
    assert migration.books == []
    with db.read() as session:
        assert people.users(session) == []


def test_a_user_s_folder_whose_name_is_no_text_is_skipped_with_the_reason(db, book, folder):
    path = book("ada/friends", a=small("a"))
    os.rename(os.fsencode(path.parent), os.fsencode(folder) + b"/collection-root/j\xfcrgen")
    book("ben/friends", b=small("b"))

    migration = bring(db, folder)

    assert [(one.folder, "UTF-8" in one.why) for one in migration.skipped] == [("j\ufffdrgen/friends", True)]
    assert totals(migration) == {"ben/friends": (1, 0, 0, 0, 0)}


def test_odd_properties_do_not_stop_an_import(db, book, folder):
    path = book("ada/friends", a=small("a"))
    properties = {"tag": "VADDRESSBOOK", "D:displayname": "A\x01B" + "x" * 600, "CR:addressbook-description": 5}
    (path / ".Radicale.props").write_text(json.dumps(properties))

    (result,) = bring(db, folder).books

    assert result.name.startswith("ABx")
    assert len(result.name) == 500


def test_the_collection_root_itself_may_be_named(db, book, folder):
    book("ada/friends", a=small("a"))

    assert totals(bring(db, folder / "collection-root")) == {"ada/friends": (1, 0, 0, 0, 0)}
    assert folders.size_of(str(folder)) == len(small("a"))


def test_a_folder_that_is_no_radicale_s_is_refused(db, tmp_path):
    with pytest.raises(NotFoundError):
        bring(db, tmp_path / "missing")
    with pytest.raises(NotFoundError):
        bring(db, tmp_path)
