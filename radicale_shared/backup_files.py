"""The file of a backup: one line that names the format, a line of JSON, a database, and a digest of it all.

    radicale-shared backup 1
    {"product": ..., "schema": ..., "made_at": ..., ...}
    the database: a file of SQLite with this program's tables, whatever kind it was made of; gzip
    SHA-256 of everything before, 32 bytes

Encrypted by age (age-encryption.org, version 1) it is this file inside one of age. A backup is refused for any bit that
isn't as it was written, before anything of it is used. Both ways it streams: neither the database nor its backup is
ever in memory.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from . import encryption
from .copying import BookHolding, Holdings
from .errors import AlreadyExistsError, DamagedBackupError, UnusableBackupError, UserError

FORMAT = 1
_NAME = b"radicale-shared backup "
_MAGIC = _NAME + b"%d\n" % FORMAT
_DIGEST_SIZE = hashlib.sha256().digest_size
_GZIP = 31  # bits of its window, with gzip's head and end
_PIECE = 256 * 1024
_PACKED_PIECE = 16 * 1024  # which may have a thousand times its size
_MOST_MANIFEST = 256 * 1024 * 1024  # a line for each book


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    product: version of this program
    schema: of the database in it
    database: what it was made of, ``"sqlite"`` or ``"postgresql"``
    made_at: the moment that it shows
    expires_at: until when it may be kept
    database_bytes: of the database in it
    holdings: what was in the database it was made of
    """

    product: str
    schema: str
    database: str
    made_at: datetime
    expires_at: datetime
    database_bytes: int
    holdings: Holdings

    @property
    def cards(self) -> int:
        """All live cards."""
        return sum(book.cards for book in self.holdings.books if not book.is_deleted)

    def line(self) -> bytes:
        """As it stands in the file."""
        return json.dumps(asdict(self), default=datetime.isoformat, separators=(",", ":")).encode() + b"\n"


def manifest_of(line: bytes) -> Manifest:
    """What ``Manifest.line`` wrote; what a later program added to it is passed over. Raises ValueError."""
    try:
        told = json.loads(line)
        books = tuple(
            BookHolding(**{name: book[name] for name in BookHolding.__slots__}) for book in told["holdings"]["books"]
        )
        return Manifest(
            product=str(told["product"]),
            schema=str(told["schema"]),
            database=str(told["database"]),
            made_at=datetime.fromisoformat(told["made_at"]).astimezone(UTC),
            expires_at=datetime.fromisoformat(told["expires_at"]).astimezone(UTC),
            database_bytes=int(told["database_bytes"]),
            holdings=Holdings({str(name): int(rows) for name, rows in told["holdings"]["rows"].items()}, books),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written. digest: SHA-256 of the whole file, as ``sha256sum`` prints it"""

    digest: str
    size: int


def write(path: Path, manifest: Manifest, content: Path, recipients: Sequence[str]) -> Written:
    """Write a backup, durably and all at once: under its name there never is a part of one.

    content: the database, a file of SQLite
    recipients: public keys of age; none: it isn't encrypted

    Raises AlreadyExistsError if there is such a file, UserError if it can't be written.
    """
    with _arriving(path) as file:
        out = _Hashed(file)
        if recipients:
            encryption.encrypt(str(path), _pieces(manifest, content), out, recipients)
        else:
            for piece in _pieces(manifest, content):
                out.write(piece)
    return Written(out.hash.hexdigest(), out.size)


def read(path: Path, content: Path, identity: Path | None = None) -> tuple[Manifest, Written]:
    """Check a backup and write the database that is in it to ``content``, which must not exist.

    identity: file with a secret key of age, which an encrypted one needs

    Raises UnusableBackupError if a single bit is not as it was written, UserError if a file can't be read or written,
    ConfigurationError where a key or the library is missing.
    """
    try:
        with path.open("rb") as file, _created(content) as into:
            source = _Hashed(file)
            unpacked = _Unpacker(str(path), into)
            start = source.read(len(encryption.MAGIC))
            source.rewind()
            if start == encryption.MAGIC:
                encryption.decrypt(str(path), source, unpacked, identity)
            else:
                while piece := source.read(_PIECE):
                    unpacked.write(piece)
            manifest = unpacked.finished()
    except OSError as error:
        content.unlink(missing_ok=True)
        raise UserError(f"The backup {str(path)!r} can't be read: {error.strerror or error}.") from error
    except BaseException:
        content.unlink(missing_ok=True)
        raise
    return manifest, Written(source.hash.hexdigest(), source.size)


def manifest_at(path: Path) -> Manifest | None:
    """What a backup that isn't encrypted says of itself, unchecked; None for another file, or none that can be read."""
    try:
        with path.open("rb") as file:
            if file.readline(len(_MAGIC)) != _MAGIC:
                return None
            return manifest_of(file.readline(_MOST_MANIFEST))
    except (OSError, ValueError):
        return None


def _pieces(manifest: Manifest, content: Path) -> Iterator[bytes]:
    """The bytes of a backup that isn't encrypted."""
    whole = hashlib.sha256()
    for piece in _unsigned(manifest, content):
        whole.update(piece)
        yield piece
    yield whole.digest()


def _unsigned(manifest: Manifest, content: Path) -> Iterator[bytes]:
    yield _MAGIC
    yield manifest.line()
    packer = isal_zlib.compressobj(level=2, wbits=_GZIP)
    with content.open("rb") as file:
        while piece := file.read(_PIECE):
            if packed := packer.compress(piece):
                yield packed
    yield packer.flush()


class _Hashed:
    """A file of which everything that is read or written is hashed, and counted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.rewind()

    def rewind(self) -> None:
        self._file.seek(0)
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        return self._noted(self._file.read(size))

    def write(self, data: bytes) -> int:
        return self._file.write(self._noted(data))

    def flush(self) -> None:
        self._file.flush()

    def _noted(self, data: bytes) -> bytes:
        self.hash.update(data)
        self.size += len(data)
        return data


class _Unpacker:
    """Takes a backup's bytes as they come, and writes the database in it; what comes of it counts once ``finished``."""

    def __init__(self, name: str, into: BinaryIO) -> None:
        self._name = name
        self._into = into
        self._head = b""
        self._held = b""  # perhaps the digest
        self._hash = hashlib.sha256()
        self._manifest: Manifest | None = None
        self._unpacker = zlib.decompressobj(_GZIP)
        self._bytes = 0

    def write(self, data: bytes) -> int:
        held = self._held + data
        self._held = held[-_DIGEST_SIZE:]
        if taken := held[:-_DIGEST_SIZE]:
            self._hash.update(taken)
            self._take(taken)
        return len(data)

    def flush(self) -> None:
        """age asks for it."""

    def finished(self) -> Manifest:
        """What the backup says of itself. Raises UnusableBackupError."""
        self._require_own(self._head + self._held)
        manifest = self._manifest
        if self._held != self._hash.digest() or manifest is None:
            raise self._damaged()
        if not self._unpacker.eof or self._bytes != manifest.database_bytes:
            raise self._damaged()
        return manifest

    def _take(self, data: bytes) -> None:
        if self._manifest is None:
            self._head += data
            self._require_own(self._head)
            first, _, rest = self._head.partition(b"\n")
            line, end, data = rest.partition(b"\n")
            if not end:
                if len(self._head) > _MOST_MANIFEST:
                    raise self._damaged()
                return
            try:
                self._manifest = manifest_of(line)
            except ValueError as error:
                raise self._damaged() from error
            self._head = first + b"\n"
        for start in range(0, len(data), _PACKED_PIECE):
            try:
                unpacked = self._unpacker.decompress(data[start : start + _PACKED_PIECE])
            except zlib.error as error:
                raise self._damaged() from error
            self._bytes += len(unpacked)
            if self._unpacker.unused_data or self._bytes > self._manifest.database_bytes:
                raise self._damaged()
            self._into.write(unpacked)

    def _require_own(self, head: bytes) -> None:
        """Raise unless this is the beginning of one of our backups, of the format that is known here."""
        first = head[: len(_MAGIC)]
        if not _MAGIC.startswith(first) and not first.startswith(_NAME):
            raise DamagedBackupError(self._name, "it is no backup of radicale-shared.")
        number = head.partition(b"\n")[0].removeprefix(_NAME)
        if b"\n" in head[:100] and number != b"%d" % FORMAT:
            if not number.isdigit():
                raise self._damaged()
            reason = f"it has the format {int(number)}, which is newer than this program. Install the newer one."
            raise UnusableBackupError(self._name, reason)

    def _damaged(self) -> DamagedBackupError:
        return DamagedBackupError(self._name)


@contextmanager
def _arriving(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` that gets its name once it is whole and on the disk."""
    part = part_of(path)
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "r+b") as file:
            _require_own_file(handle)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyExistsError("backup", str(path), "It is being written at this moment.") from None
            except OSError:
                pass  # a folder of another machine that knows no locks
            try:
                if path.exists():
                    raise AlreadyExistsError("file", str(path), "A backup overwrites nothing; name another file.")
                file.truncate()
                yield file
                file.flush()
                os.fsync(file.fileno())
                part.rename(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"The backup {str(path)!r} can't be written: {error.strerror or error}.") from error


def _require_own_file(handle: int) -> None:
    """Raise OSError if in a folder of many somebody else put a file there; nobody else can read it afterwards."""
    found = os.fstat(handle)
    if found.st_uid != os.geteuid() or found.st_nlink != 1:
        raise FileExistsError(errno.EEXIST, "somebody else's file is in the way")
    os.fchmod(handle, 0o600)


def part_of(path: Path) -> Path:
    """Where a backup is while it is written; locked, so that one that was left behind is known."""
    return path.with_name(f".{path.name}.part")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # not every kind of folder can
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file
