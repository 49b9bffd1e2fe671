"""``import``, ``export``, ``import-radicale`` and ``history`` on the command line."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from radicale_shared import cards, mirrored
from radicale_shared.changes import Actor, client_of
from radicale_shared.cli import output
from radicale_shared.exchange import slices
from radicale_shared.mirrored import Shown
from radicale_shared.vcard import Conflict
from radicale_shared.write_back import Merging
from tests.conftest import BY, card


def test_an_import_reports_counts_and_goes_out_again_byte_for_byte(cli, organisation, write_vcf):
    path = write_vcf("a.vcf", "bob", "eve", "zoë")

    report = cli.json("import", "sales/leads", path)

    assert report == {
        "book": "sales/leads",
        "dry_run": False,
        "files": 1,
        "added": 3,
        "updated": 0,
        "unchanged": 0,
        "refused": [],
        "mended": [],
    }
    assert cli.run("export", "sales/leads").stdout_bytes == Path(path).read_bytes()


def test_a_dry_import_says_the_same_and_changes_nothing(cli, organisation, write_vcf):
    path = write_vcf("a.vcf", "bob", "eve")
    before = cli.json("book", "show", "sales/leads")

    dry = cli.json("import", "sales/leads", path, "--dry-run")

    assert cli.json("book", "show", "sales/leads") == before
    assert cli.json("import", "sales/leads", path) == {**dry, "dry_run": False}
    assert "Would be imported" in cli.done("import", "sales/leads", path, "--dry-run")


def test_refused_cards_are_named_and_end_with_1_while_the_rest_goes_in(cli, organisation, write_vcf, tmp_path):
    good = write_vcf("folder/good.vcf", "bob")
    old = b"BEGIN:VCARD\r\nFN:Old Friend\r\nUID:o\r\nEND:VCARD\r\n"
    (tmp_path / "folder/old.vcf").write_bytes(Path(good).read_bytes() + old)

    result = cli.run("import", "sales/leads", str(tmp_path / "folder"))

    assert result.exit_code == 1
    for part in ("old.vcf", "Old Friend", "vCard version ''"):
        assert part in result.stdout
    assert cli.json("book", "show", "sales/leads")["cards"] == 1
    refused = json.loads(cli.run("import", "sales/leads", str(tmp_path / "folder"), "--json").stdout)["refused"]
    assert [(one["card"], one["name"]) for one in refused] == [(2, "Old Friend")]


def test_cards_without_uid_are_told_in_one_line_and_listed_for_programs(cli, organisation, tmp_path):
    path = tmp_path / "a.vcf"
    path.write_bytes(b"".join(b"BEGIN:VCARD\nVERSION:3.0\nFN:%d\nEND:VCARD\n" % number for number in range(3)))

    assert len(cli.json("import", "sales/leads", str(path), "--dry-run")["mended"]) == 3
    said = cli.done("import", "sales/leads", str(path))

    assert said.count("UID") == 1
    assert "3 cards had no UID and were given one" in said
    assert "UID" not in cli.done("import", "sales/leads", str(path))


def test_the_table_of_an_imported_radicale_fits_into_80_columns(cli, db, tmp_path, monkeypatch):
    book = tmp_path / "collections/collection-root/ada.winter@example.org/a-rather-long-name-of-a-book"
    book.mkdir(parents=True)
    (book / ".Radicale.props").write_text('{"tag": "VADDRESSBOOK", "D:displayname": "Friends and other people"}')
    monkeypatch.setattr(output, "_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    lines = cli.done("import-radicale", str(tmp_path / "collections")).splitlines()

    assert lines[1].split() == ["Book", "Cards", "Added", "Updated", "Unchanged", "Kept", "Refused"]
    assert max(map(len, lines[:6])) <= 80


def test_cards_come_in_by_standard_input_too(cli, organisation, write_vcf):
    command = [sys.executable, "-c", "from radicale_shared.cli import main; main()", "--config", str(cli.config)]
    piped = Path(write_vcf("a.vcf", "bob", "eve")).read_bytes()

    subprocess.run([*command, "import", "sales/leads", "-"], input=piped, check=True, capture_output=True)

    assert cli.run("export", "sales/leads").stdout_bytes == piped


def test_an_import_without_book_or_files_is_refused(cli, organisation, write_vcf, tmp_path):
    cli.refused("import", "sales/nothing", write_vcf("a.vcf", "bob"))
    cli.refused("import", "sales/leads", str(tmp_path / "missing.vcf"))
    (tmp_path / "empty").mkdir()
    cli.refused("import", "sales/leads", str(tmp_path / "empty"))
    cli.misused("import", "sales/leads")
    cli.misused("import", "sales/leads", "x.vcf", "--format", "xlsx")


def test_nobody_writes_the_book_of_a_directory_by_hand(cli, organisation, write_vcf):
    shown = Shown("a", "a.vcf", "1", cards.check(card("a")))
    with organisation.db.write() as session:
        book = mirrored.make(session, "office/people", "main", name="", readers=(), search_only=False)
    mirrored.write(organisation.db, book, [shown], written=mirrored.Written())

    for arguments in (
        ("import", "office/people", write_vcf("b.vcf", "a", "b")),
        ("import", "office/people", write_vcf("b.vcf", "a", "b"), "--dry-run"),
        ("history", "restore", "office/people", "a.vcf", "--revision", "1"),
    ):
        assert "'main', which alone writes it" in cli.refused(*arguments)
    assert cli.run("export", "office/people").stdout_bytes == card("a")
    told = cli.done("history", "show", "office/people/a.vcf").splitlines()[-1]
    assert (told.count("directory"), told.count("main")) == (1, 1)


def test_an_interrupted_import_says_what_is_in(cli, organisation, write_vcf, monkeypatch):
    path = write_vcf("a.vcf", *(f"uid-{number}" for number in range(30)))
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 10)
    put, calls = slices.cards.put, []

    def fail_later(*arguments, **options):
        calls.append(1)
        if len(calls) > 25:
            raise KeyboardInterrupt
        return put(*arguments, **options)

    monkeypatch.setattr(slices.cards, "put", fail_later)
    said = cli.refused("import", "sales/leads", path)
    monkeypatch.undo()

    assert "20 cards are in" in said
    again = cli.json("import", "sales/leads", path)
    assert (again["added"], again["unchanged"]) == (10, 20)


def test_an_export_into_a_file_is_private_and_whole(cli, organisation, write_vcf, tmp_path):
    path = write_vcf("a.vcf", "bob", "eve")
    cli.done("import", "sales/leads", path)
    out = tmp_path / "out.vcf"
    out.write_bytes(b"older")

    assert cli.json("export", "sales/leads", "-o", str(out)) == {"book": "sales/leads", "cards": 2, "file": str(out)}

    assert out.read_bytes() == Path(path).read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".out")]


def test_an_export_that_fails_leaves_the_older_file(cli, organisation, write_vcf, tmp_path, monkeypatch):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob"))
    out = tmp_path / "out.vcf"
    out.write_bytes(b"older")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    assert "No space left" in cli.refused("export", "sales/leads", "-o", str(out))
    assert out.read_bytes() == b"older"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".out")]


def test_an_export_that_cannot_be_is_refused(cli, organisation, tmp_path):
    cli.refused("export", "sales/nothing")
    cli.refused("export", "sales/leads", "-o", str(tmp_path / "missing" / "out.vcf"))
    cli.misused("export", "sales/leads", "--json")
    cli.misused("export", "sales/leads", "--format", "xlsx")


def test_the_history_tells_who_did_what(cli, organisation, write_vcf):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob"))
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob", note="new"))

    shown = cli.json("history", "show", "sales/leads/bob.vcf")

    assert [(one["revision"], one["change"], one["kind"]) for one in shown] == [
        (3, "changed", "import"),
        (2, "added", "import"),
    ]
    assert all(one["actor"].endswith("(command line)") and one["reason"] == "a.vcf" for one in shown)
    assert len(cli.json("history", "show", "sales/leads", "--limit", "1")) == 1
    assert "bob.vcf" in cli.done("history", "show")
    cli.refused("history", "show", "sales/leads/nobody.vcf")
    cli.refused("history", "show", "sales/nothing")
    cli.misused("history", "show", "--limit", "0")
    cli.misused("history", "show", "--limit", "1000001")


def test_the_history_names_cards_and_finds_them_by_name(cli, organisation):
    organisation.grant("ada/contacts", "everyone", "viewer")  # no personal book any more
    organisation.put("ada", "contacts", "1f0c.vcf", b"BEGIN:VCARD\nVERSION:3.0\nUID:x\nFN:J\xc3\xb6rg Old\nEND:VCARD\n")
    organisation.put("ada", "contacts", "1f0c.vcf", b"BEGIN:VCARD\nVERSION:3.0\nUID:x\nFN:J\xc3\xb6rg New\nEND:VCARD\n")
    organisation.put("ada", "contacts", "eve.vcf", b"BEGIN:VCARD\nVERSION:3.0\nUID:e\nFN:Eve\nEND:VCARD\n")
    organisation.remove("ada", "contacts", "1f0c.vcf")

    def found(*arguments):
        return [(one["name"], one["change"]) for one in cli.json("history", "show", *arguments)]

    jorg = [("J\xf6rg New", "deleted"), ("J\xf6rg New", "changed"), ("J\xf6rg Old", "added")]
    assert found("ada/contacts", "--find", "J\xd6RG") == jorg
    assert found("--find", "j\xf6rg", "--limit", "2") == jorg[:2]
    assert found("--find", "old") == jorg[1:]
    assert found("ada/contacts/1f0c.vcf") == jorg
    assert found("--find", "nobody") == []
    assert "No deed" in cli.done("history", "show", "--find", "nobody")
    assert found("ada/contacts")[-1] == ("", None)


def test_a_name_behind_a_large_photo_is_found_too(cli, organisation):
    organisation.grant("ada/contacts", "everyone", "viewer")  # no personal book any more
    photo = b"PHOTO;ENCODING=b:" + b"QUJD" * 20_000
    data = b"BEGIN:VCARD\nVERSION:3.0\nUID:a\n" + photo + b"\nFN:Bob\nEND:VCARD\n"
    organisation.put("ada", "contacts", "a.vcf", data)

    assert cli.json("history", "show", "ada/contacts")[0]["name"] == "Bob"


def test_the_history_is_readable_in_80_columns_and_never_breaks_an_href(cli, organisation, write_vcf, monkeypatch):
    uid = "0d9f5a52-9f0e-5c1b-8f55-3f2f6f0f7a11"
    cli.done("import", "sales/leads", write_vcf("a.vcf", uid))
    cli.done("import", "sales/leads", write_vcf("a.vcf", uid, note="x"))
    monkeypatch.setattr(output.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    monkeypatch.setattr(output, "_is_terminal", lambda: True)

    said = cli.done("history", "show", "sales/leads")

    assert all(len(line) <= 80 for line in said.splitlines())
    assert said.count(f" {uid}.vcf ") == 2
    assert "import (new)" in said
    assert "import (changed)" in said
    assert "sales/leads/" not in said
    assert f"sales/leads/{uid}.vcf" in cli.done("history", "show")


def test_json_lists_of_any_length_are_the_same_as_at_once(capsys):
    for values in ([], [1], [{"a": [1, 2]}, {"b": None}]):
        output.print_json(values)
        whole = capsys.readouterr().out
        output.print_json_list(iter(values))
        assert capsys.readouterr().out == whole


def test_a_card_is_brought_back_to_an_older_state_as_a_new_change(cli, organisation, write_vcf):
    first = write_vcf("a.vcf", "bob", note="old")
    cli.done("import", "sales/leads", first)
    cli.done("import", "sales/leads", write_vcf("b.vcf", "bob", note="new"))

    dry = cli.run("history", "restore", "sales/leads", "bob.vcf", "--revision", "2", "--dry-run")
    assert dry.stdout_bytes == Path(first).read_bytes()
    assert "NOTE:new" in cli.done("export", "sales/leads")

    written = cli.json("history", "restore", "sales/leads", "bob.vcf", "--revision", "2")

    assert (written["restored_to"], written["revision"], written["deleted"]) == (2, 4, False)
    assert cli.run("export", "sales/leads").stdout_bytes == Path(first).read_bytes()
    assert cli.json("history", "restore", "sales/leads", "bob.vcf", "--revision", "2")["revision"] is None


def test_a_deleted_card_comes_back_and_goes_again(cli, organisation, write_vcf):
    organisation.grant("ada/contacts", "everyone", "viewer")  # no personal book any more
    cli.done("import", "ada/contacts", write_vcf("a.vcf", "bob"))
    organisation.remove("ada", "contacts", "bob.vcf")

    cli.done("history", "restore", "ada/contacts", "bob.vcf", "--revision", "2")
    assert "UID:bob" in cli.done("export", "ada/contacts")
    assert cli.json("history", "restore", "ada/contacts", "bob.vcf", "--revision", "3", "--dry-run")["card"] is None
    assert cli.json("history", "restore", "ada/contacts", "bob.vcf", "--revision", "3")["deleted"] is True
    assert cli.done("export", "ada/contacts") == ""


def test_a_restore_without_such_a_state_is_refused(cli, organisation, write_vcf):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob"))

    cli.refused("history", "restore", "sales/leads", "nobody.vcf", "--revision", "2")
    cli.refused("history", "restore", "sales/leads", "bob.vcf", "--revision", "1")
    cli.refused("history", "restore", "sales/leads", "bob.vcf", "--revision", "99")
    cli.refused("history", "restore", "sales/nothing", "bob.vcf", "--revision", "1")
    cli.misused("history", "restore", "sales/leads", "bob.vcf")
    cli.misused("history", "restore", "sales/leads", "bob.vcf", "--revision", "0")


def test_a_restore_to_before_the_card_was_there_says_so(cli, organisation, write_vcf):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob", "eve"))

    assert "revision 3" in cli.refused("history", "restore", "sales/leads", "eve.vcf", "--revision", "2")
    assert "history show sales/leads" in cli.refused("history", "restore", "sales/leads", "x.vcf", "--revision", "2")


def test_a_client_is_told_without_what_is_left_of_its_version(cli, organisation):
    phone = Actor(None, "ada", device=client_of("vdirsyncer/0.19.2"))
    with organisation.db.write() as session:
        access = organisation.access("ada", "contacts")
        data = b"BEGIN:VCARD\nVERSION:3.0\nUID:a\nFN:A\nEND:VCARD\n"
        cards.put(session, access, "a.vcf", cards.check(data), secret=organisation.db.secret, by=phone)

    assert "a.vcf  by ada  vdirsyncer\n" in cli.done("history", "show", "ada/contacts")


def test_a_client_is_told_by_the_programs_of_its_user_agent(cli, organisation):
    user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0"
    computer = Actor(None, "ada", device=client_of(user_agent), user_agent=user_agent)
    with organisation.db.write() as session:
        access = organisation.access("ada", "contacts")
        data = b"BEGIN:VCARD\nVERSION:3.0\nUID:a\nFN:A\nEND:VCARD\n"
        cards.put(session, access, "a.vcf", cards.check(data), secret=organisation.db.secret, by=computer)

    assert "a.vcf  by ada  Thunderbird/115.9.0\n" in cli.done("history", "show", "ada/contacts")


def test_a_device_with_a_password_of_its_own_is_told_by_its_label(cli, organisation):
    phone = Actor(None, "ada", device="Ada's iPhone", user_agent="iOS/17.4 (21E219) dataaccessd/1.0")
    with organisation.db.write() as session:
        access = organisation.access("ada", "contacts")
        data = b"BEGIN:VCARD\nVERSION:3.0\nUID:a\nFN:A\nEND:VCARD\n"
        cards.put(session, access, "a.vcf", cards.check(data), secret=organisation.db.secret, by=phone)

    assert "a.vcf  by ada  Ada's iPhone (iOS/17.4 dataaccessd/1.0)\n" in cli.done("history", "show", "ada/contacts")


def test_what_a_merge_overwrote_is_told_and_of_a_photo_the_beginning(cli, organisation):
    organisation.grant("ada/contacts", "everyone", "viewer")  # no personal book any more
    access, secret = organisation.access("ada", "contacts"), organisation.db.secret
    ours, theirs = (f"PHOTO;ENCODING=b:{text * 2000}" for text in ("BBBB", "CCCC"))
    lost = (
        Conflict("BDAY", "BDAY:1980-03-03", "BDAY:1980-02-02"),
        Conflict("PHOTO", theirs, ours),
        Conflict("NOTE", "", "NOTE:ours"),
        Conflict("TITLE", "TITLE:theirs", ""),
    )
    with organisation.db.write() as session:
        stored = cards.put(session, access, "a.vcf", cards.check(card("a", "A")), secret=secret, by=BY)
    with organisation.db.write() as session:
        merging = Merging(stored.etag, cards.check(card("a", "Both")), lost)
        cards.put(session, access, "a.vcf", cards.check(card("a", "Theirs")), secret=secret, by=BY, merging=merging)

    told = cli.done("history", "show", "ada/contacts/a.vcf").splitlines()
    assert "put (merged)        Both" in told[1]
    assert told[3:7] == [
        "    overwrote BDAY:1980-02-02  by BDAY:1980-03-03",
        f"    overwrote {ours[:40]}…  by {theirs[:40]}…",
        "    deleted NOTE:ours, which was changed",
        "    kept TITLE:theirs, which was deleted",
    ]
    assert cli.json("history", "show", "ada/contacts/a.vcf")[0]["overwritten"][0]["lost"] == "BDAY:1980-02-02"


def test_control_characters_of_a_file_s_name_do_not_reach_the_terminal(cli, organisation, tmp_path):
    (tmp_path / "bad\x1b[2J.vcf").write_bytes(b"nothing\r\n")

    result = cli.run("import", "sales/leads", str(tmp_path))

    assert result.exit_code == 1
    assert "\x1b" not in result.stdout


def test_a_radicale_folder_is_brought_along(cli, db, tmp_path):
    book = tmp_path / "collections/collection-root/ada/friends"
    book.mkdir(parents=True)
    (book / ".Radicale.props").write_text('{"tag": "VADDRESSBOOK", "D:displayname": "Friends"}')
    (book / "bob.vcf").write_bytes(b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:bob\r\nFN:Bob\r\nEND:VCARD\r\n")
    folder = str(tmp_path / "collections")

    dry = cli.json("import-radicale", folder, "--dry-run")
    assert cli.json("user", "list") == []
    report = cli.json("import-radicale", folder)

    assert {**report, "dry_run": True} == dry
    assert report["users_made"] == ["ada"]
    assert [(one["book"], one["name"], one["made"], one["added"]) for one in report["books"]] == [
        ("ada/friends", "Friends", True, 1)
    ]
    again = cli.json("import-radicale", folder)
    assert (again["users_made"], again["books"][0]["added"], again["books"][0]["unchanged"]) == ([], 0, 1)
    assert "ada/friends" in cli.done("import-radicale", folder)


def test_everything_that_needs_an_eye_is_told_to_people(cli, db, tmp_path):
    root = tmp_path / "collection-root"
    for name, tag in (("ada/my friends", "VADDRESSBOOK"), ("ada/plans", "VCALENDAR"), ("GROUPS/eA==", "VADDRESSBOOK")):
        (root / name).mkdir(parents=True)
        (root / name / ".Radicale.props").write_text(f'{{"tag": "{tag}"}}')
    head = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:x\r\nFN:Xaver\r\n"
    (root / "ada/my friends/x.vcf").write_bytes(head + b"PHOTO:data:image/png\\;base64\r\nEND:VCARD\r\n")
    (root / "ada/my friends/y.vcf").write_bytes(b"nothing\r\n")

    result = cli.run("import-radicale", str(tmp_path))

    assert result.exit_code == 1
    for part in (
        "ada/my friends is ada/my-friends here",
        "PHOTO has lost its content",
        "The data doesn't begin with BEGIN:VCARD.",
        "Calendars, not imported: ada/plans",
        "GROUPS/eA==",
        "Made: ada",
        "radicale-shared user password LOGIN --password-stdin",
    ):
        assert part in result.stdout
    assert "\ufffd" not in result.stdout


def test_a_folder_that_is_no_radicale_s_is_refused(cli, db, tmp_path):
    cli.refused("import-radicale", str(tmp_path / "missing"))
    (tmp_path / "empty").mkdir()
    cli.refused("import-radicale", str(tmp_path / "empty"))
    cli.misused("import-radicale")
