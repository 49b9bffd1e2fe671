"""vCard files (RFC 6350, RFC 2426): any number of cards a file, folders of files, into a book; and a book as one file.

A card keeps the bytes it has in the file; only vCard 2.1 is converted, to 3.0. Its UID says which card of the book it
is: the same bytes again are "unchanged", others an update of that card at its name; what was there before is in the
history. Of several cards of one UID in an import the first one counts, so that the same import again changes nothing.
"""

from __future__ import annotations

import mmap
import os
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from sqlalchemy.orm import Session

from radicale_shared import access, books, etags, guard, reading
from radicale_shared.access import Access
from radicale_shared.books import Book
from radicale_shared.changes import Actor
from radicale_shared.database import Database
from radicale_shared.errors import NotAVCardError, NotFoundError, UidConflictError
from radicale_shared.exchange import slices
from radicale_shared.exchange.report import Outcome, Remark, Report, name_in, shown
from radicale_shared.exchange.slices import Incoming, Job
from radicale_shared.guard import Policy
from radicale_shared.vcard import Card, split_cards, upgrade

_STDIN = Path("/dev/stdin")
CONVERTED = "it was vCard 2.1 and is 3.0 now"
SUFFIXES = frozenset({".vcf", ".vcard"})
# For the UIDs of cards that have none: the same bytes get the same UID, so that importing twice adds nothing.
UID_NAMESPACE = uuid.UUID("5f0e8f0c-3f53-5d0d-9a51-6d7a2a0f4b1e")

_NOT_IN_HREFS = re.compile("[/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]+")
_MOST_HREF_BYTES = 200  # of the UID's part; longer ones end in a hash


def find_files(paths: Sequence[str]) -> list[Path]:
    """The files meant: each named file whatever its suffix, and the vCard files in and below each named folder, sorted.

    ``-`` is standard input.

    Raises NotFoundError if a path isn't there, or a folder has no vCard file.
    """
    found: list[Path] = []
    for name in paths:
        path = _STDIN if name == "-" else Path(name)
        if path.is_dir():
            files = sorted(
                Path(folder, file)
                for folder, _, names in os.walk(path)
                for file in names
                if Path(file).suffix.lower() in SUFFIXES and Path(folder, file).is_file()
            )
            if not files:
                raise NotFoundError("vCard file", shown(name), "Files in folders need the suffix .vcf or .vcard.")
            found += files
        elif path.exists():
            found.append(path)
        else:
            raise NotFoundError("file", shown(name))
    return found


def import_files(
    db: Database,
    address: str,
    files: Sequence[Path],
    *,
    by: Actor,
    max_size: int,
    dry_run: bool = False,
    report: Report | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
    policy: Policy | None = guard.DEFAULT,
) -> Report:
    """Import all cards of ``files`` into the book at ``address``, as one act, and report.

    max_size: bytes a card may have
    report: where to count; it tells what is committed if this is interrupted
    progress: is told how many bytes were read since the last time
    policy: of the guard; None: cards may be emptied, however many

    Raises NotFoundError if there is no such book, and as ``slices.write``.
    """
    report = report if report is not None else Report()
    with db.read() as session:
        book_id = books.find(session, address).id
    job = Job(
        db,
        by,
        "import",
        ", ".join(shown(file.name) for file in files),
        lambda session: access.administrator(books.find(session, address)),
        book_id,
        dry_run,
        max_size,
        policy,
    )
    slices.write(job, _incoming(files, job, report, progress), _Store(job), report)
    return report


def export(session: Session, book: Book) -> Iterator[bytes]:
    """The exact bytes of all live cards, oldest first, each ending with a line break; one is added where there is none.

    session: of ``Database.snapshot``, so that the cards are those of one moment
    """
    for card in reading.every(session, access.administrator(book)):
        yield card.data
        if not card.data.endswith((b"\n", b"\r")):
            yield b"\r\n"


def uid_for(data: bytes) -> str:
    """The UID for a card that has none: made from its bytes, line breaks apart."""
    return str(uuid.uuid5(UID_NAMESPACE, data.replace(b"\r\n", b"\n").strip().hex()))


def href_for(uid: str, attempt: int = 0) -> str:
    """A card's name inside its book, made of the UID: its characters that a URL's segment may have, and ``.vcf``.

    attempt: from 1 on a suffix, for when another card has the name
    """
    name = _NOT_IN_HREFS.sub("-", unicodedata.normalize("NFC", uid)).strip()
    if len(name.encode()) > _MOST_HREF_BYTES:
        short = name.encode()[: _MOST_HREF_BYTES - 40].decode(errors="ignore")
        name = f"{short}-{uuid.uuid5(UID_NAMESPACE, uid)}"
    name = name.lstrip(".") or "card"
    return f"{name}-{attempt + 1}.vcf" if attempt else f"{name}.vcf"


class _Store:
    """Puts a card where its UID is, else at a free name; refuses another card of a UID that came in already.

    (The later one would replace the earlier one, and both would be told as changed at every repetition.)
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._seen: dict[str, tuple[str, str, int]] = {}  # UID -> ETag, file, card

    def __call__(self, session: Session, book: Access, act_id: int, one: Incoming) -> Outcome | Remark:
        etag = etags.etag_of(self._job.db.secret, one.content.data)
        first, file, number = self._seen.setdefault(one.content.uid, (etag, one.file, one.card))
        if (file, number) == (one.file, one.card):
            return self._put(session, book, act_id, one)
        if first == etag:
            return Outcome.UNCHANGED
        what = f"It has the same UID as card {number} of {file} in this import."
        return Remark(one.file, one.card, name_in(one.content.data), what)

    def _put(self, session: Session, book: Access, act_id: int, one: Incoming) -> Outcome:
        href = href_for(one.content.uid)
        attempt = 0
        while True:
            try:
                return slices.put(session, book, act_id, self._job, href, one.content)
            except UidConflictError as conflict:
                if conflict.href != href:
                    # The card lives there: it is updated in place.
                    href = conflict.href
                else:
                    attempt += 1
                    href = href_for(one.content.uid, attempt)


def _incoming(files: Sequence[Path], job: Job, report: Report, progress: Callable[[int], None]) -> Iterator[Incoming]:
    for file in files:
        name, number = shown(str(file)), 0
        try:
            with _content(file) as content:
                for number, data in enumerate(split_cards(content), start=1):
                    one = prepared(name, number, data, report, max_size=job.max_size)
                    if one is not None:
                        yield one
                    progress(len(data))
        except OSError as error:
            report.refused.append(Remark(name, 0, "", f"The file can't be read: {error.strerror or error}."))
            continue
        report.files += 1
        if not number:
            report.refused.append(Remark(name, 0, "", "There is no vCard in this file."))


def prepared(file: str, card: int, data: bytes, report: Report, *, max_size: int, href: str = "") -> Incoming | None:
    """As ``slices.prepared``; a card of 2.1 as 3.0, with the UID that its bytes of 2.1 give it if it has none."""
    if len(data) > max_size or not _is_version_21(data):
        return slices.prepared(file, card, data, uid_for, report, max_size=max_size, href=href)
    try:
        upgraded = upgrade(data)
    except NotAVCardError as error:
        report.refused.append(Remark(file, card, name_in(data), error.reason))
        return None
    one = slices.prepared(file, card, upgraded, lambda _: uid_for(data), report, max_size=max_size, href=href)
    return None if one is None else replace(one, mended=(CONVERTED, *one.mended))


def _is_version_21(data: bytes) -> bool:
    if b"2.1" not in data:
        return False
    try:
        return Card.parse(data).version == "2.1"
    except NotAVCardError:  # which ``slices.prepared`` tells
        return False


@contextmanager
def _content(file: Path) -> Iterator[bytes]:
    """What the file holds, without taking it into memory where the system can map it."""
    # Opening a pipe by its name asks for rights on it anew, which another user's process lacks.
    with os.fdopen(os.dup(0), "rb") if file == _STDIN else file.open("rb") as opened:
        try:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):  # empty, or a pipe
            yield opened.read()
            return
        with mapped:
            # Cutting lines needs of bytes only what a mapping has too: the buffer, len and slices.
            yield cast(bytes, mapped)
