"""Making backups of a database in use, and proving that they can be restored.

A backup shows one moment: every write that was answered before it began is in it. Nobody waits for it. SQLite copies
its pages while a snapshot keeps them; from PostgreSQL the rows of one snapshot come into a file of SQLite.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import __version__, backup_files, bodies, connections, copying, encryption, integrity, schemas, vcard
from .backup_files import Manifest, Written
from .copying import Holdings, Told
from .database import Database
from .errors import NotAVCardError, NotFoundError, UnusableBackupError, UserError
from .models import Card, now

SUFFIX = ".backup"
ENCRYPTED_SUFFIX = ".backup.age"
_NAMED = re.compile(r"radicale-shared-(\d{8}T\d{6})Z-until-(\d{8})\.backup(?:\.age)?")
_WORKSPACE = "radicale-shared-backup-"
_LOCK = "lock"
_SAMPLE = 200
_MOST_PROBLEMS = 20
# So long a new workspace may take to be locked.
_UNLOCKED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    removed: files of the folder that had expired
    """

    file: Path
    manifest: Manifest
    written: Written
    removed: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup whose content lies beside, in a database of its own, with this program's schema.

    was: what was in it before its schema was brought up
    """

    file: Path
    manifest: Manifest
    written: Written
    db: Database
    was: Holdings

    @property
    def is_expired(self) -> bool:
        """Whether it was to be removed by now."""
        return self.manifest.expires_at <= now()


def make(
    db: Database,
    target: Path,
    *,
    keep: timedelta,
    recipients: Sequence[str] = (),
    told: Told = lambda _table, _rows: None,
) -> Made:
    """Back the database up into the file ``target``, or into a new file of the folder ``target``.

    Of a folder those backups are removed that have expired, once the new one is on the disk.

    keep: how long it may be kept; it says so itself
    recipients: public keys of age to encrypt it for; none: it isn't

    An SQLite database may have an older schema: this is what is done before it is brought up.

    Raises AlreadyExistsError for a file that is there, UserError for one that can't be written, ConfigurationError for
    a key that is none, SchemaError.
    """
    encryption.check_recipients(recipients)
    schema = db.schema or ""
    if db.engine.dialect.name != "sqlite" or not schemas.knows(schema):
        db.check_tables()
    target = target.absolute()
    is_folder = target.is_dir()
    with workspace() as folder:
        content = folder / "content.db"
        made_at = now()
        found = _copied(db, content, told)
        manifest = Manifest(
            product=__version__,
            schema=schema,
            database=db.engine.dialect.name,
            made_at=made_at,
            expires_at=made_at + keep,
            database_bytes=content.stat().st_size,
            holdings=found,
        )
        file = target / _name_of(made_at, made_at + keep, is_encrypted=bool(recipients)) if is_folder else target
        written = backup_files.write(file, manifest, content, recipients)
    return Made(file, manifest, written, tuple(_tidied(target, file)) if is_folder else ())


def make_beside(db: Database, other: Path, *, keep: timedelta, recipients: Sequence[str] = ()) -> Made:
    """As ``make``, into a new file in the folder of ``other``; nothing is removed there."""
    name = _name_of(now(), now() + keep, is_encrypted=bool(recipients))
    return make(db, other.absolute().with_name(name), keep=keep, recipients=recipients)


@contextmanager
def opened(file: Path, identity: Path | None = None, *, expired_too: bool = False) -> Iterator[Opened]:
    """Check a backup and open what is in it, aside and for this block only.

    identity: file with a secret key of age, for an encrypted one

    Raises UnusableBackupError for one that is damaged, of a newer program, for another key, or has expired; and what
    ``backup_files.read`` raises.
    """
    file = file.absolute()
    with workspace() as folder:
        content = folder / "content.db"
        manifest, written = backup_files.read(file, content, identity)
        if not schemas.knows(manifest.schema):
            reason = f"its schema {manifest.schema} is newer than this program. Install the newer one."
            raise UnusableBackupError(str(file), reason)
        if manifest.expires_at <= now() and not expired_too:
            raise UnusableBackupError(
                str(file),
                f"it expired on {manifest.expires_at:%Y-%m-%d}: it may have what was erased since. "
                "--expired uses it all the same.",
            )
        db = _aside(content)
        try:
            with db.snapshot() as session:
                was = copying.holdings(connections.of(session), manifest.holdings.rows.keys())
            db.upgrade()
            yield Opened(file, manifest, written, db, was)
        finally:
            db.close()


def problems(backup: Opened) -> list[str]:
    """What is wrong with a backup; at most some twenty."""
    found = []
    told = backup.manifest.holdings
    if dict(backup.was.rows) != dict(told.rows) or backup.was.books != told.books:
        found.append("What is in it isn't what it says of itself.")
    for problem in islice(integrity.problems(backup.db), _MOST_PROBLEMS):
        where = "/".join(filter(None, (problem.book, problem.href)))
        found.append(f"{where}: {problem.what}" if where else problem.what)
    with backup.db.snapshot() as session:
        found += _unreadable(session)
    return found


def newest(folder: Path) -> Path:
    """The backup in a folder that shows the latest moment. Raises NotFoundError."""
    found = max(_in(folder), key=lambda one: one[1], default=None)
    if found is None:
        raise NotFoundError("backup in", str(folder), "Make one: radicale-shared backup FOLDER")
    return found[0]


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that nobody else can read, for as long as the block lasts; what a killed process left is removed too.

    It is in TMPDIR, else in /var/tmp: what lies there may be as large as the database, and isn't encrypted.
    """
    root = Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108  # a folder of its own in it, see mkdtemp
    for old in root.glob(f"{_WORKSPACE}*"):
        with suppress(OSError):
            _remove_left(old)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_WORKSPACE, dir=root))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(f"There is no room for work in {str(root)!r}: {error.strerror}. Set TMPDIR.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_left(folder: Path) -> None:
    found = folder.lstat()
    # Whose folder it is may have made anything of it.
    if found.st_uid != os.geteuid() or found.st_ctime > time.time() - _UNLOCKED.total_seconds():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _aside(content: Path) -> Database:
    """A database of SQLite that this process alone uses, and not for long."""
    return Database(f"sqlite:///{content}", pool_size=3, write_wait=timedelta(seconds=30), threads=4)


def _copied(db: Database, content: Path, told: Told) -> Holdings:
    """Write what is in a database to a new file of SQLite, as of one moment."""
    aside = _aside(content)
    if db.engine.dialect.name != "sqlite":
        aside.upgrade()
    with db.snapshot() as session:
        source = connections.of(session)
        found = copying.holdings(source, copying.names(source))
        if source.dialect.name == "sqlite":
            with aside.alone() as target:
                source.driver.backup(target.driver)
        else:
            with aside.exclusive() as target:
                copying.fill(source, target, told)
    with aside.alone() as target:
        # Nothing that was deleted is left in pages that are free, and the file is one file.
        target.driver.execute("PRAGMA journal_mode = DELETE")
        # If this breaks, the file is thrown away: it needs no journal, which would be as large once more.
        target.driver.execute("PRAGMA journal_mode = OFF")
        target.driver.execute("PRAGMA synchronous = OFF")
        target.driver.execute("VACUUM")
    aside.close()
    return found


def _unreadable(session: Session) -> list[str]:
    """What is wrong with some cards, taken at random: they are read as they would be for a phone."""
    sample = (
        select(Card.href, Card.uid, Card.version, Card.body_id)
        .where(~Card.deleted)
        .order_by(func.random())
        .limit(_SAMPLE)
    )
    found = []
    for row in session.execute(sample).all():
        data = bodies.read(session, row.body_id)
        try:
            card = vcard.Card.parse(data or b"")
        except NotAVCardError:
            found.append(f"{row.href}: it is no vCard")
            continue
        if (card.uid, card.version) != (row.uid, row.version):
            found.append(f"{row.href}: it is another card than the one that was kept")
    return found


def _name_of(made_at: datetime, expires_at: datetime, *, is_encrypted: bool) -> str:
    """Also of an encrypted one the name tells until when it may be kept."""
    suffix = ENCRYPTED_SUFFIX if is_encrypted else SUFFIX
    return f"radicale-shared-{made_at:%Y%m%dT%H%M%S}Z-until-{expires_at:%Y%m%d}{suffix}"


def _in(folder: Path) -> Iterator[tuple[Path, datetime, datetime]]:
    """(file, when it was made, when it expires) of the backups in a folder, whatever they are called if they tell."""
    for file in sorted(folder.iterdir()):
        if not file.is_file() or not file.name.endswith((SUFFIX, ENCRYPTED_SUFFIX)):
            continue
        if manifest := backup_files.manifest_at(file):
            yield file, manifest.made_at, manifest.expires_at
        elif named := _NAMED.fullmatch(file.name):
            with suppress(ValueError):
                made = datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
                # At the end of that day at the latest.
                until = datetime.strptime(named[2], "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=1)
                yield file, made, until


def _tidied(folder: Path, kept: Path) -> Iterator[Path]:
    """Remove what has expired, and parts that a killed process left; gives the backups that were removed."""
    for file, _, expires_at in list(_in(folder)):
        if expires_at <= now() and file != kept:
            with suppress(OSError):
                file.unlink()
                yield file
    for part in folder.glob(f".radicale-shared-*{SUFFIX}*.part"):
        with suppress(OSError), part.open("rb") as left:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
