"""Backups: what is in them is what was there, and nothing else is taken for one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from alembic import command
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from radicale_shared import (
    backup_files,
    backup_notes,
    backups,
    books,
    connections,
    copying,
    encryption,
    people,
    schemas,
)
from radicale_shared.database import Database
from radicale_shared.errors import (
    AlreadyExistsError,
    ConfigurationError,
    SchemaError,
    UnusableBackupError,
    UserError,
)
from tests.conftest import BY, card, examples
from tests.core.backed_up import KEEP, fill_every_table, held

pytestmark = pytest.mark.usefixtures("workspace")


# -- what is in a backup -----------------------------------------------------------------------------------------------


def test_a_backup_has_every_row_of_every_table_and_says_so(office, tmp_path):
    fill_every_table(office.db)
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)

    with backups.opened(made.file) as opened:
        assert [name for name, rows in opened.manifest.holdings.rows.items() if not rows] == []
        assert held(opened.db) == held(office.db)
        assert opened.manifest == made.manifest
    assert (made.manifest.cards, made.manifest.database) == (3, office.db.engine.dialect.name)
    assert made.manifest.expires_at - made.manifest.made_at == KEEP


def test_a_good_backup_has_no_problems(office, tmp_path):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    with backups.opened(made.file) as opened:
        assert backups.problems(opened) == []
    assert oct(made.file.stat().st_mode & 0o777) == oct(0o600)
    assert [file.name for file in tmp_path.iterdir() if "part" in file.name] == []


def test_nothing_is_left_of_the_work(office, tmp_path):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    with backups.opened(made.file):
        assert len(list((tmp_path / "work").iterdir())) == 1
    assert list((tmp_path / "work").iterdir()) == []


def test_what_was_deleted_for_good_is_in_no_free_page_of_a_backup(office, tmp_path):
    office.put("ada", "contacts", "secret.vcf", card("secret", "Kilroy Was Here"))
    with office.db.write() as session:
        own = books.find(session, "ada/contacts")
        books.trash(session, own, by=BY)
    with office.db.write() as session:
        session.execute(text("DELETE FROM books WHERE id = :id"), {"id": own.id})
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)

    content = tmp_path / "content.db"
    backup_files.read(made.file, content)
    assert b"Kilroy" not in content.read_bytes()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE bodies SET data = X'00' WHERE id = (SELECT body_id FROM cards WHERE href = 'one.vcf')", "ETag"),
        ("DELETE FROM bodies WHERE id = (SELECT before_id FROM changes WHERE before_id IS NOT NULL)", "history"),
        ("UPDATE cards SET uid = 'x' WHERE href = 'two.vcf'", "another card"),
        ("DELETE FROM cards WHERE href = 'gone.vcf'", "isn't what it says of itself"),
    ],
)
def test_a_backup_of_which_something_is_wrong_is_told_with_it(office, tmp_path, statement, found):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    content = tmp_path / "content.db"
    backup_files.read(made.file, content)
    with create_engine(f"sqlite:///{content}").begin() as connection:
        connection.execute(text(statement))
    manifest = replace(made.manifest, database_bytes=content.stat().st_size)
    backup_files.write(tmp_path / "b.backup", manifest, content, ())

    with backups.opened(tmp_path / "b.backup") as opened:
        assert found in "\n".join(backups.problems(opened))


# -- what is no backup -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a backup with little in it."""
    folder = tmp_path_factory.mktemp("small")
    content = folder / "content.db"
    content.write_bytes(b"not a database, but nobody looks")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = backup_files.Manifest("1", "0001", "sqlite", moment, moment, 32, copying.Holdings({}, ()))
    backup_files.write(folder / "a.backup", manifest, content, ())
    return (folder / "a.backup").read_bytes()


def refused(folder: Path, data: bytes, **how: Any) -> str:
    """Why a file is refused; nothing of it is left."""
    file, content = folder / "refused.backup", folder / "refused.db"
    file.write_bytes(data)
    with pytest.raises(UnusableBackupError) as found:
        backup_files.read(file, content, **how)
    assert not content.exists()
    return found.value.reason


@hypothesis.given(data=st.data())
@hypothesis.settings(parent=examples(200))
def test_a_backup_with_one_flipped_bit_is_refused(small, tmp_path, data):
    place = data.draw(st.integers(0, len(small) * 8 - 1))
    flipped = bytearray(small)
    flipped[place // 8] ^= 1 << place % 8
    assert refused(tmp_path, bytes(flipped))


@hypothesis.given(data=st.data())
@hypothesis.settings(parent=examples(100))
def test_a_backup_that_was_cut_or_goes_on_is_refused(small, tmp_path, data):
    assert refused(tmp_path, small[: data.draw(st.integers(0, len(small) - 1))])
    assert refused(tmp_path, small + data.draw(st.binary(min_size=1, max_size=100)))


def test_a_backup_is_refused_for_what_it_is(small, tmp_path):
    assert "no backup of radicale-shared" in refused(tmp_path, b"PK\x03\x04 something else")
    assert "damaged" in refused(tmp_path, b"")
    newer = small.replace(b"backup 1\n", b"backup 12\n", 1)
    assert "format 12, which is newer than this program" in refused(tmp_path, newer)
    with pytest.raises(UserError, match="can't be read: No such file"):
        backup_files.read(tmp_path / "nowhere.backup", tmp_path / "content.db")


def test_a_backup_of_a_newer_schema_is_refused(sqlite_office, tmp_path):
    made = backups.make(sqlite_office.db, tmp_path / "older.backup", keep=KEEP)
    content = tmp_path / "content.db"
    backup_files.read(made.file, content)
    backup_files.write(tmp_path / "a.backup", replace(made.manifest, schema="9999"), content, ())
    made = replace(made, file=tmp_path / "a.backup")
    with pytest.raises(UnusableBackupError, match="schema 9999 is newer than this program"), backups.opened(made.file):
        pass


def test_a_backup_of_an_older_schema_is_made_and_brought_up_aside(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    config = schemas.alembic_config()
    with create_engine(url).connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.exec_driver_sql(
            "INSERT INTO principals (kind, slug, login, login_folded, name, email, state, auth_version, created_at)"
            " VALUES ('user', 'ada', 'ada', 'ada', 'Ada', '', 'active', 1, '2026-01-01 00:00:00.000000')"
        )
        connection.commit()
    old = Database(url, pool_size=1, write_wait=timedelta(seconds=5), threads=2)
    with pytest.raises(SchemaError, match="old schema 0004"):
        old.check_schema()

    made = backups.make(old, tmp_path / "a.backup", keep=KEEP)

    old.close()
    assert made.manifest.schema == "0004"
    with backups.opened(made.file) as opened:
        assert backups.problems(opened) == []
        opened.db.check_schema()
        with opened.db.read() as session:
            assert people.by_slug(session, "ada") is not None


def test_an_expired_backup_is_refused_unless_it_is_wanted(sqlite_office, tmp_path):
    made = backups.make(sqlite_office.db, tmp_path / "a.backup", keep=timedelta(seconds=-1))
    with pytest.raises(UnusableBackupError, match="expired"), backups.opened(made.file):
        pass
    with backups.opened(made.file, expired_too=True) as opened:
        assert opened.is_expired


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_backup_overwrites_nothing(sqlite_office, tmp_path):
    (tmp_path / "a.backup").write_text("mine")
    with pytest.raises(AlreadyExistsError):
        backups.make(sqlite_office.db, tmp_path / "a.backup", keep=KEEP)
    assert (tmp_path / "a.backup").read_text() == "mine"
    assert not backup_files.part_of(tmp_path / "a.backup").exists()


def test_what_somebody_put_where_a_backup_is_to_be_written_is_not_followed_nor_readable(sqlite_office, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    backup_files.part_of(tmp_path / "a.backup").symlink_to(precious)
    with pytest.raises(UserError):
        backups.make(sqlite_office.db, tmp_path / "a.backup", keep=KEEP)
    assert precious.read_text() == "precious"

    left = backup_files.part_of(tmp_path / "b.backup")
    left.write_text("left")
    left.chmod(0o644)
    made = backups.make(sqlite_office.db, tmp_path / "b.backup", keep=KEEP)
    assert oct(made.file.stat().st_mode & 0o777) == oct(0o600)


def test_a_folder_gets_a_new_file_and_loses_those_that_expired(sqlite_office, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    old = backups.make(sqlite_office.db, folder / "named-by-somebody.backup", keep=timedelta(seconds=-1)).file
    encrypted = folder / "radicale-shared-20200101T000000Z-until-20200131.backup.age"
    later = folder / "radicale-shared-20200101T000000Z-until-29990131.backup.age"
    foreign = folder / "holiday.backup"
    left = folder / ".radicale-shared-20200101T000000Z-until-20200131.backup.part"
    for file in (encrypted, later, foreign, left):
        file.write_text("x")

    made = backups.make(sqlite_office.db, folder, keep=KEEP)

    assert set(made.removed) == {old, encrypted}
    assert set(folder.iterdir()) == {made.file, later, foreign}
    assert made.file.name.endswith(f"-until-{made.manifest.expires_at:%Y%m%d}.backup")
    assert backups.newest(folder) == made.file


def test_a_backup_that_is_killed_leaves_no_file_of_its_name(sqlite_office, tmp_path):
    program = f"""
import os, signal
from pathlib import Path
from datetime import timedelta
from radicale_shared import backup_files, backups, database
pieces = backup_files._unsigned
def killed(*args):
    for number, piece in enumerate(pieces(*args)):
        yield piece
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
backup_files._unsigned = killed
backups.make(database.connect({sqlite_office.db.url!r}), Path({str(tmp_path / "a.backup")!r}), keep=timedelta(days=1))
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "a.backup").exists()

    (left,) = (tmp_path / "work").iterdir()
    backups.make(sqlite_office.db, tmp_path / "a.backup", keep=KEEP)
    assert left.exists()  # it may be of one that is just beginning
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backups, "_UNLOCKED", timedelta(0))
        with backups.workspace():
            assert not left.exists()


@pytest.mark.parametrize("step", ["_copied", "write"])
def test_a_disk_that_is_full_is_told_and_leaves_nothing(sqlite_office, tmp_path, step):
    program = f"""
import resource, signal
from pathlib import Path
from datetime import timedelta
from radicale_shared import backup_files, backups, database
from radicale_shared.errors import SharedBooksError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
module = backups if {step!r} == "_copied" else backup_files
usual = getattr(module, {step!r})
def limited(*args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    return usual(*args)
setattr(module, {step!r}, limited)
try:
    target = Path({str(tmp_path / "a.backup")!r})
    backups.make(database.connect({sqlite_office.db.url!r}), target, keep=timedelta(days=1))
except SharedBooksError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, bool(done.stdout.strip())) == (0, True), done.stderr
    assert [file.name for file in tmp_path.iterdir() if "backup" in file.name] == []
    assert list((tmp_path / "work").iterdir()) == []


# -- encryption --------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, Path]:
    """(public key of age, file of the secret one)"""
    pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed (pip install 'radicale-shared[age]')")
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "key.txt"
    file.write_text(f"# created: today\n# public key: {identity.to_public()}\n{identity}\n")
    return str(identity.to_public()), file


def test_an_encrypted_backup_opens_with_its_key_alone(sqlite_office, tmp_path, key):
    sqlite_office.put("ada", "contacts", "one.vcf", card("one"))
    public, identity = key
    made = backups.make(sqlite_office.db, tmp_path, keep=KEEP, recipients=[public])

    assert made.file.name.endswith(".backup.age")
    assert b"radicale-shared" not in made.file.read_bytes()
    assert backups.newest(tmp_path) == made.file
    with backups.opened(made.file, identity) as opened:
        assert held(opened.db) == held(sqlite_office.db)
        assert opened.written == made.written
    with pytest.raises(UnusableBackupError, match="is encrypted"), backups.opened(made.file):
        pass
    other = tmp_path / "other.txt"
    import pyrage

    other.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(UnusableBackupError, match="none of those that it was encrypted for"):
        backup_files.read(made.file, tmp_path / "content.db", other)


def test_an_encrypted_backup_that_was_cut_or_altered_is_refused(sqlite_office, tmp_path, key):
    public, identity = key
    data = backups.make(sqlite_office.db, tmp_path, keep=KEEP, recipients=[public]).file.read_bytes()
    for place in (30, 100, len(data) // 2, len(data) - 1):
        assert refused(tmp_path, data[:place], identity=identity)
        assert refused(tmp_path, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], identity=identity)


def test_a_key_that_is_none_is_told_before_anything_is_done(sqlite_office, tmp_path, key):
    with pytest.raises(ConfigurationError, match="no public key of age"):
        backups.make(sqlite_office.db, tmp_path / "a.backup", keep=KEEP, recipients=["age1nothing"])
    for content in ("", "# only a comment\n", "AGE-SECRET-KEY-1NOTHING\n"):
        (tmp_path / "bad.txt").write_text(content)
        with pytest.raises(ConfigurationError, match="secret key of age"):
            encryption._identities(tmp_path / "bad.txt")


# -- notes -------------------------------------------------------------------------------------------------------------


def test_what_was_verified_last_is_known(office, tmp_path):
    db = office.db
    first = backups.make(db, tmp_path / "a.backup", keep=KEEP)
    second = backups.make(db, tmp_path / "b.backup", keep=KEEP)
    for made in (first, second):
        backup_notes.made(db, made)
    with db.read() as session:
        assert backup_notes.last_good(session) is None
    with backups.opened(first.file) as opened:
        backup_notes.verified(db, opened, [])
    with db.read() as session:
        last = backup_notes.last_good(session)
        assert last is not None
        assert (last.file, last.of_at) == (str(first.file), first.manifest.made_at)
        assert backup_notes.last_bad(session) is None
    with backups.opened(second.file) as opened:
        backup_notes.verified(db, opened, ["something"])
    with db.read() as session:
        assert backup_notes.last_bad(session) == (str(second.file), "something")
    backup_notes.forget(db, [second.file])
    with db.read() as session:
        assert backup_notes.last_bad(session) is None


def test_the_rows_of_a_snapshot_are_copied_whatever_is_written_meanwhile(office, tmp_path):
    """A backup shows one moment: the card that is written while it runs is not in it."""
    was = held(office.db)
    seen = []
    with office.db.snapshot() as session:
        connection = connections.of(session)
        copying.holdings(connection)
        office.put("ada", "sales~leads", "late.vcf", card("late"))
        seen = [row[0] for row in copying._queried(connection, "SELECT href FROM cards")]
    assert len(seen) == len(was["cards"])


def test_a_workspace_that_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "_UNLOCKED", timedelta(0))
    left = tmp_path / "work" / "radicale-shared-backup-left"
    left.mkdir()
    (left / "lock").touch()
    (left / "content.db").touch()
    with backups.workspace():
        assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else_is_left_alone_whatever_it_is_called(tmp_path, monkeypatch):
    """In a folder of all, as /var/tmp is, anybody may put anything under such a name."""
    monkeypatch.setattr(backups, "_UNLOCKED", timedelta(0))
    other = tmp_path / "work" / "radicale-shared-backup-other"
    other.mkdir()
    (other / "lock").touch()
    os.chown(other, os.geteuid() + 1, -1)
    with backups.workspace():
        assert (other / "lock").exists()


def test_the_workspace_of_somebody_who_works_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "_UNLOCKED", timedelta(0))
    with backups.workspace() as first, backups.workspace() as second:
        assert first.exists()
        assert second.exists()
        assert oct(first.stat().st_mode & 0o777) == oct(0o700)
    assert not os.path.exists(first)
