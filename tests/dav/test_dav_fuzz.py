"""Stories of legal and spoilt requests of every kind: never a 500, rules that every answer keeps, both databases alike.

Each story is told to two servers, one on SQLite and one on PostgreSQL, with the same rows: secret, uuids and epochs
included, and the same dice. So their answers are the same to the byte, but for times and for orders that aren't
defined. Before each story the rows are put back.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import resource
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given, note
from sqlalchemy import text
from sqlalchemy.orm import Session

from radicale_shared import database, integrity, models
from radicale_shared.database import Database
from tests.conftest import KINDS, PROFILE
from tests.dav.conftest import DAV, Client, Response, serving
from tests.dav.fuzz import Wish, hostile, stories
from tests.dav.fuzz_servers import Rows, Server, fill, prepare, rows_of

MOST = 50_000 if PROFILE == "nightly" else 2_000
# Hypothesis' data are bytes it draws; the stories' bodies are longer than it likes by default.
FUZZED = hypothesis.settings(
    max_examples=MOST,
    deadline=None,
    # A story is short enough to be read; making it shorter may take five minutes, which only the night has.
    phases=[one for one in hypothesis.Phase if PROFILE == "nightly" or one is not hypothesis.Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
_TIMES = re.compile(
    rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"
)
_STATUS_LINE = re.compile(r"HTTP/1\.1 (\d{3}) \S.*")
ROOTS = {f"{DAV}{name}" for name in ("multistatus", "error", "mkcol-response", "prop", "principal-search-property-set")}


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What was logged as an error: the last resort's tracebacks, databases that can't be used."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    listener = Listener(logging.ERROR)
    root, dispatcher = logging.getLogger(), logging.getLogger("radicale_shared.dav.application")
    root.addHandler(listener)
    before = dispatcher.level
    dispatcher.setLevel(logging.ERROR)  # thousands of failed logins would only fill the memory
    yield found
    dispatcher.setLevel(before)
    root.removeHandler(listener)


@pytest.fixture
def serve(new_database_url, tmp_path) -> Iterator[Any]:
    """Gives a Server on a kind of database; all that are given have the same rows."""
    given_rows: list[Rows] = []
    made: list[Server] = []

    def make(kind: str) -> Server:
        db = database.connect(new_database_url(kind))
        prepare(db)
        given_rows.append(rows_of(db))
        fill(db, given_rows[0])
        db._secret = b""  # which was another one
        made.append(Server(db, Client(serving(db.url, tmp_path)), given_rows[0]))
        return made[-1]

    write = Database.write

    def watched(self: Database, *book_ids: int) -> AbstractContextManager[Session]:
        for one in made:
            one.written = one.written or self is one.db
        return write(self, *book_ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", watched)
        yield make
    for one in made:  # PostgreSQL's database serves other tests too
        with one.db.write() as session:
            for table in models.Base.metadata.sorted_tables:
                session.execute(text(f"DROP TABLE kept_{table.name}"))


# -- the rules ---------------------------------------------------------------------------------------------------------


def check(wish: Wish, answer: Response) -> None:
    """What is true of every answer, whatever was asked."""
    assert answer.status != 500
    assert answer.status in set(HTTPStatus)
    assert (answer.status == 401) <= (not wish.signs_in), "401 for a right login"
    assert wish.signs_in or answer.status in (400, 401), "something was answered without a login"
    for name, value in answer.headers.items():
        assert re.fullmatch(r"[A-Za-z0-9-]+", name), name
        assert re.search(r"[\x00-\x1f\x7f]", value) is None, (name, value)
        value.encode("latin-1")
    assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)
    assert answer.status != 405 or "Allow" in answer.headers
    bodiless = wish.method == "HEAD" or answer.status in (204, 304)
    assert not (bodiless and answer.body)
    length = answer.headers.get("Content-Length")
    assert length is None or bodiless or int(length) == len(answer.body)
    if not bodiless and answer.headers.get("Content-Type", "").startswith("application/xml"):
        check_xml(answer)
    elif answer.status == 412 and "Preference-Applied" in answer.headers:
        assert answer.body.startswith(b"BEGIN:VCARD"), "not the card as it is (RFC 8144, section 3.2)"
    else:
        assert answer.status < 400 or bodiless, "an error without its DAV:error"


def check_xml(answer: Response) -> None:
    root = answer.xml
    assert root.tag in ROOTS
    if root.tag == f"{DAV}error":
        assert answer.status >= 400
    if answer.status >= 400:
        assert root.tag in (f"{DAV}error", f"{DAV}mkcol-response")
    assert (root.tag == f"{DAV}multistatus") == (answer.status == 207)
    for line in root.iter(f"{DAV}status"):
        found = _STATUS_LINE.fullmatch(line.text or "")
        assert found is not None, line.text
        assert int(found[1]) in set(HTTPStatus)
    for response in root.findall(f"{DAV}response"):
        assert response.find(f"{DAV}href") is not None
        statuses = [one.findtext(f"{DAV}status") for one in response.findall(f"{DAV}propstat")]
        assert bool(statuses) != (response.find(f"{DAV}status") is not None), "either propstats or one status"
        assert len(statuses) == len(set(statuses))
        # Thunderbird reads the first one only.
        assert "HTTP/1.1 200 OK" not in statuses[1:]


def same(wish: Wish, first: Response, second: Response) -> None:
    """Both answers are one, but for times, and for the order of members and of the cards of an export."""
    assert first.status == second.status
    assert _timeless(repr(first.headers).encode()) == _timeless(repr(second.headers).encode())
    one, other = _timeless(first.body), _timeless(second.body)
    if one == other:
        return
    if first.headers.get("Content-Type", "").startswith("text/vcard"):
        assert sorted(one.split(b"BEGIN:VCARD")) == sorted(other.split(b"BEGIN:VCARD"))
        return
    assert _members(one) == _members(other)
    # The books of a home have an order: macOS shows the first one only.
    books_of = [re.findall(rb"<response><href>([^<]*/)</href>", body) for body in (one, other)]
    assert books_of[0] == books_of[1]


def _timeless(data: bytes) -> bytes:
    return _TIMES.sub(lambda found: b"T" * len(found[0]), data)


def _members(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """(the responses of a multistatus, in order; what else it says)."""
    root = ET.fromstring(body)
    members = [ET.tostring(one) for one in root if one.tag == f"{DAV}response"]
    return sorted(members), [ET.tostring(one) for one in root if one.tag != f"{DAV}response"]


# -- the properties ----------------------------------------------------------------------------------------------------

# What is asked after every story that wrote: whether what was stored is the same too.
LISTING = b'<propfind xmlns="DAV:"><prop><getetag/><getcontentlength/><displayname/><sync-token/></prop></propfind>'
SYNC = b'<sync-collection xmlns="DAV:"><sync-token>@first-token@</sync-token><prop><getetag/></prop></sync-collection>'
ENDING = (
    Wish("PROPFIND", b"/@me@/@book@/", LISTING, (("Depth", "1"),)),
    Wish("PROPFIND", b"/@me@/", LISTING, (("Depth", "1"),)),
    Wish("REPORT", b"/@me@/@book@/", SYNC),
)


@FUZZED
@given(story=stories())
def test_whatever_is_asked_answers_keep_the_rules_and_are_the_same_from_both_databases(serve_both, errors, story):
    told = [server.tell(story) for server in serve_both]
    has_written = any(server.written for server in serve_both)
    if has_written:
        told = [[*answers, *server.tell_on(ENDING)] for server, answers in zip(serve_both, told, strict=True)]

    assert errors == []
    for wish, first, second in zip((*story.wishes, *(ENDING if has_written else ())), *told, strict=True):
        note(f"{wish.login}: {wish.method} {wish.path!r:.200} -> {first.status} {first.body!r:.2000}")
        check(wish, first)
        same(wish, first, second)
    assert not has_written or list(integrity.problems(serve_both[0].db)) == []


@pytest.fixture
def serve_both(serve) -> list[Server]:
    return [serve(kind) for kind in KINDS]


# (a book that Ada may not know of; one that isn't there, of a name as long)
UNKNOWN = [("carla~contacts", "carla~contactz"), ("ben~contacts", "ben~contactz"), ("ada~old", "ada~olx")]


@hypothesis.settings(FUZZED, max_examples=MOST // 5)
@given(story=stories([hidden for hidden, _ in UNKNOWN], [("ada", "ada")], most=4))
def test_a_book_that_may_not_be_read_answers_as_one_that_is_not_there(serve_one, errors, story):
    missing = dict(UNKNOWN)[story.book]
    names = [name.partition("~")[2].encode() for name in (story.book, missing)]
    told = [
        serve_one.tell(story, book=book.encode(), slug=slug)
        for book, slug in zip((story.book, missing), names, strict=True)
    ]

    assert errors == []
    for wish, first, second in zip(story.wishes, *told, strict=True):
        note(f"{wish.method} {wish.path!r:.200} -> {first.status} {first.body!r:.2000}")
        second.body = second.body.replace(names[1], names[0])
        second.headers = {
            name: value.replace(names[1].decode(), names[0].decode()) for name, value in second.headers.items()
        }
        same(wish, first, second)


@pytest.fixture
def serve_one(serve) -> Server:
    return serve("sqlite")


# -- memory ------------------------------------------------------------------------------------------------------------

# MB above what the process had after its first request: the largest body as bytes, and what is made of it. 290 to 360
# were measured; a third more is left to other machines.
MOST_MEMORY = 480
CHILD = "import sys; sys.path.append(sys.argv[1]); from tests.dav.test_dav_fuzz import measure; measure(sys.argv[2])"


def measure(folder: str) -> None:
    """Print one line for each of the hostile requests: [what, status, peak RSS of this process in MB]."""
    db = database.connect(f"sqlite:///{folder}/books.db")
    db.upgrade()
    prepare(db)
    application = serving(db.url, Path(folder))

    def dropping(environ: Any, start_response: Any) -> list[bytes]:
        """The server, its answer read to the end and thrown away."""
        return [b"" for _ in application(environ, start_response)][:0]

    client = Client(dropping, "ada")
    client.propfind("/ada/", depth="1")
    for what, wish in itertools.chain([("nothing", Wish("OPTIONS", b"/ada/"))], hostile()):
        answer = client.request(wish.method, wish.path, wish.body, **dict(wish.headers))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps([what, answer.status, peak]), flush=True)


def test_no_request_whatever_takes_more_than_bounded_memory(tmp_path):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(root), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-5000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in told if one[1] == 500] == []
    first, last = told[0][2], told[-1][2]
    raised = [after for before, after in itertools.pairwise(told) if after[2] > before[2]]
    assert last - first <= MOST_MEMORY, raised
