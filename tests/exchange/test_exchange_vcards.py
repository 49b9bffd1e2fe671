"""vCard files in and out."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, books, cards, history, people, reading, vcard
from radicale_shared.changes import Actor
from radicale_shared.errors import NotFoundError
from radicale_shared.exchange import slices, vcards
from tests.conftest import kinds_of_deeds

BY = Actor(None, "tests", device="tests")
MAX = 100_000
OLD = b"BEGIN:VCARD\r\nVERSION:2.1\r\nUID:old\r\nN;CHARSET=ISO-8859-1:Fr\xfcnd;Old\r\nTEL;CELL:1\r\nEND:VCARD\r\n"
NO_VERSION = b"BEGIN:VCARD\r\nUID:none\r\nN:Friend;Old\r\nEND:VCARD\r\n"
CUT_OFF = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:cut\r\nFN:Cut Off\r\n"
NO_UID = b"BEGIN:VCARD\nVERSION:3.0\nFN:Nobody\nEND:VCARD\n"


def small(uid: str, note: str = "", version: str = "3.0") -> bytes:
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{uid}", f"NOTE:{note}", "END:VCARD", ""]
    return "\r\n".join(lines).encode()


def bring(db, address: str, *paths: Path | str, **options):
    files = vcards.find_files([str(path) for path in paths])
    return vcards.import_files(db, address, files, by=BY, max_size=options.pop("max_size", MAX), **options)


def exported(db, address: str) -> bytes:
    with db.snapshot() as session:
        return b"".join(vcards.export(session, books.find(session, address)))


def stored(db, address: str) -> dict[str, bytes]:
    with db.snapshot() as session:
        whole = access.administrator(books.find(session, address))
        return {one.href: one.data for one in reading.every(session, whole)}


def counts(report) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, len(report.refused)


@pytest.fixture
def file(tmp_path):
    def write(name: str, *content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(content))
        return path

    return write


def test_many_cards_of_a_file_come_in_by_uid_and_go_out_as_the_same_bytes(organisation, file):
    content = [small("a"), small("b", version="4.0"), small("urn:uuid:c")]

    report = bring(organisation.db, "sales/leads", file("a.vcf", b"\xef\xbb\xbf", *content))

    assert counts(report) == (3, 0, 0, 0)
    assert sorted(stored(organisation.db, "sales/leads")) == ["a.vcf", "b.vcf", "urn:uuid:c.vcf"]
    assert exported(organisation.db, "sales/leads") == b"".join(content)


def test_folders_are_searched_at_any_depth_for_vcard_files(organisation, file, tmp_path):
    file("in/a.vcf", small("a"))
    file("in/deep/er/b.VCARD", small("b"))
    file("in/c.txt", small("c"))

    assert counts(bring(organisation.db, "sales/leads", tmp_path / "in")) == (2, 0, 0, 0)
    assert counts(bring(organisation.db, "sales/leads", tmp_path / "in/c.txt")) == (1, 0, 0, 0)


def test_paths_that_are_not_there_are_refused_before_anything_is_done(organisation, file, tmp_path):
    with pytest.raises(NotFoundError):
        bring(organisation.db, "sales/leads", file("a.vcf", small("a")), tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError):
        bring(organisation.db, "sales/leads", tmp_path / "empty")
    assert stored(organisation.db, "sales/leads") == {}


def test_an_import_is_one_act_and_names_its_files(organisation, file, monkeypatch):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 3)

    bring(organisation.db, "sales/leads", file("a.vcf", *(small(f"u{n}") for n in range(8))), file("b.vcf", small("b")))

    with organisation.db.snapshot() as session:
        book = books.find(session, "sales/leads")
        assert kinds_of_deeds(session, book.id).count("import") == 1
        entries = list(history.entries(session, book_id=book.id, href="u7.vcf"))
    assert [(one.kind, one.reason, one.actor) for one in entries] == [("import", "a.vcf, b.vcf", "tests")]


def test_importing_twice_changes_nothing_and_leaves_no_act(organisation, file):
    path = file("a.vcf", small("a"), NO_UID, small("b"))
    bring(organisation.db, "sales/leads", path)
    before = organisation.book("sales/leads").revision

    report = bring(organisation.db, "sales/leads", path)

    assert counts(report) == (0, 0, 3, 0)
    assert organisation.book("sales/leads").revision == before
    with organisation.db.read() as session:
        assert kinds_of_deeds(session, organisation.book("sales/leads").id).count("import") == 1


def test_a_second_card_of_one_uid_is_refused_so_that_a_repetition_changes_nothing(organisation, file):
    first, second = file("a.vcf", small("x", "home"), small("y"), small("x", "work")), file("b.vcf", small("x", "b"))

    for expected in ((2, 0, 0, 2), (0, 0, 2, 2)):
        report = bring(organisation.db, "sales/leads", first, second)
        assert counts(report) == expected
        assert [(one.file, one.card) for one in report.refused] == [(str(first), 3), (str(second), 1)]
        assert all(f"the same UID as card 1 of {first} in this import" in one.what for one in report.refused)
    assert stored(organisation.db, "sales/leads") == {"x.vcf": small("x", "home"), "y.vcf": small("y")}


def test_what_was_altered_to_be_stored_is_told_only_when_it_is_stored(organisation, file):
    path = file("a.vcf", NO_UID, small("a"))

    assert [one.what for one in bring(organisation.db, "sales/leads", path).mended] == [slices.GIVEN_UID]
    assert bring(organisation.db, "sales/leads", path).mended == []


def test_a_known_uid_is_updated_in_place_whatever_its_href_is(organisation, file):
    organisation.put("ada", "sales~leads", "phone-made-this.vcf", small("a", "old"))

    assert counts(bring(organisation.db, "sales/leads", file("a.vcf", small("a", "new")))) == (0, 1, 0, 0)
    assert stored(organisation.db, "sales/leads") == {"phone-made-this.vcf": small("a", "new")}
    with organisation.db.read() as session:
        assert history.state_after(session, organisation.book("sales/leads").id, "phone-made-this.vcf", 2) == small(
            "a", "old"
        )


def test_a_name_that_another_card_has_gets_a_suffix(organisation, file):
    organisation.put("ada", "sales~leads", "a.vcf", small("other"))

    bring(organisation.db, "sales/leads", file("a.vcf", small("a")))

    assert stored(organisation.db, "sales/leads") == {"a.vcf": small("other"), "a-2.vcf": small("a")}


def test_a_deleted_card_comes_back_at_its_name(organisation, file):
    organisation.put("ada", "contacts", "a.vcf", small("a"))
    organisation.remove("ada", "contacts", "a.vcf")

    assert counts(bring(organisation.db, "ada/contacts", file("a.vcf", small("a")))) == (1, 0, 0, 0)
    assert list(stored(organisation.db, "ada/contacts")) == ["a.vcf"]


def test_odd_uids_get_legal_names(organisation, file):
    uids = ["a/b", "..", ".", ".hidden", "x" * 900, "ö" * 300, "💥", "with space", "a\tb", "'quote'", "?#%"]

    report = bring(organisation.db, "sales/leads", file("a.vcf", *(small(uid) for uid in uids)))

    assert counts(report) == (len(uids), 0, 0, 0)
    for href in stored(organisation.db, "sales/leads"):
        cards.check_href(href)
        assert not href.startswith(".")
    assert counts(bring(organisation.db, "sales/leads", file("a.vcf", *(small(uid) for uid in uids))))[2] == len(uids)


def test_bad_cards_are_listed_with_place_name_and_reason_and_the_rest_goes_in(organisation, file):
    path = file("a.vcf", small("a"), NO_VERSION, b"junk\r\n", CUT_OFF, small("b"), small("c", "x" * MAX))

    report = bring(organisation.db, "sales/leads", path)

    assert counts(report) == (2, 0, 0, 4)
    assert [(one.file, one.card, one.name) for one in report.refused] == [
        (str(path), 2, "Old Friend"),
        (str(path), 3, ""),
        (str(path), 4, "Cut Off"),
        (str(path), 6, "c"),
    ]
    for remark, word in zip(report.refused, ("version", "BEGIN", "END", "100000"), strict=True):
        assert word in remark.what


def test_cards_of_2_1_are_converted_to_3_and_told(organisation, file):
    without_uid = OLD.replace(b"UID:old\r\n", b"")

    for expected, told in (((2, 0, 0, 0), 2), ((0, 0, 2, 0), 0)):
        report = bring(organisation.db, "sales/leads", file("a.vcf", OLD, without_uid))
        assert counts(report) == expected
        assert [one.name for one in report.mended if one.what == vcards.CONVERTED] == ["Old Fründ"] * told

    first, second = (vcard.check(data) for data in stored(organisation.db, "sales/leads").values())
    assert (first.version, first.uid, second.uid) == ("3.0", "old", vcards.uid_for(without_uid))
    assert b"TEL;TYPE=CELL:1\r\n" in first.serialise()


def test_a_card_of_2_1_that_cannot_be_converted_is_refused_with_a_reason(organisation, file):
    agents = b"AGENT:\r\nBEGIN:VCARD\r\n" * 9 + b"END:VCARD\r\n" * 9
    deep = OLD.replace(b"END", agents + b"END")

    report = bring(organisation.db, "sales/leads", file("a.vcf", deep, OLD.replace(b"TEL", b"X-A" * MAX), small("a")))

    assert counts(report) == (1, 0, 0, 2)
    assert ["nested" in one.what for one in report.refused] == [True, False]


def test_bytes_that_are_no_text_are_refused_one_by_one(organisation, file):
    latin = small("a").replace(b"FN:a", b"FN:J\xfcrgen")

    report = bring(organisation.db, "sales/leads", file("a.vcf", latin, small("b"), small("n\x00ul")))

    assert counts(report) == (1, 0, 0, 2)
    assert "UTF-8" in report.refused[0].what


def test_folds_that_cut_a_character_are_mended_and_told(organisation, file):
    whole = small("a", "Grüße")
    cut = whole.replace("ü".encode(), b"\xc3\r\n \xbc")

    report = bring(organisation.db, "sales/leads", file("a.vcf", cut))

    assert counts(report) == (1, 0, 0, 0)
    assert [(one.card, one.name) for one in report.mended] == [(1, "a")]
    assert stored(organisation.db, "sales/leads") == {"a.vcf": whole}


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@pytest.mark.parametrize("empty", [b"", b"UID:\n"])
def test_a_card_without_uid_gets_one_of_its_bytes_and_keeps_the_rest(organisation, file, version, empty):
    data = NO_UID.replace(b"3.0", version.encode()).replace(b"FN", empty + b"FN")

    report = bring(organisation.db, "sales/leads", file("a.vcf", data, data))

    assert counts(report) == (1, 0, 1, 0)
    ((href, kept),) = stored(organisation.db, "sales/leads").items()
    uid = vcard.check(kept).uid
    assert uid.startswith("urn:uuid:") == (version == "4.0")
    assert href == f"{uid}.vcf"
    assert [line for line in kept.splitlines(True) if not line.startswith(b"UID")] == [
        line for line in data.splitlines(True) if not line.startswith(b"UID")
    ]


def test_a_uid_is_the_same_whatever_the_line_breaks():
    assert vcards.uid_for(NO_UID) == vcards.uid_for(NO_UID.replace(b"\n", b"\r\n")) == vcards.uid_for(NO_UID.strip())


def test_empty_and_unreadable_files_are_listed(organisation, file, tmp_path, monkeypatch):
    empty, bad, good = file("empty.vcf"), file("bad.vcf", small("x")), file("good.vcf", small("a"))
    opened = Path.open

    def deny(self, *arguments, **options):
        if self == bad:
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", deny)
    report = bring(organisation.db, "sales/leads", empty, bad, good)

    assert counts(report) == (1, 0, 0, 2)
    assert [one.what for one in report.refused] == [
        "There is no vCard in this file.",
        "The file can't be read: Permission denied.",
    ]


def test_names_of_files_that_are_no_utf8_are_shown_all_the_same(organisation, tmp_path):
    path = os.fsencode(tmp_path) + b"/j\xfcrgen.vcf"
    with open(path, "wb") as opened:
        opened.write(NO_VERSION)

    report = bring(organisation.db, "sales/leads", tmp_path)

    assert report.refused[0].file.endswith("/j\ufffdrgen.vcf")


@pytest.mark.parametrize("most", [1, 2, 200])
def test_a_dry_run_counts_as_the_real_one_also_across_slices(organisation, file, monkeypatch, most):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", most)
    organisation.put("ada", "sales~leads", "a.vcf", small("a"))
    organisation.put("ada", "sales~leads", "b.vcf", small("b", "old"))
    path = file(
        "a.vcf",
        small("a"),
        small("b", "new"),
        small("c"),
        small("c"),
        small("c", "2"),
        NO_VERSION,
        NO_UID,
        NO_UID,
        small("b", "new"),
    )
    before = stored(organisation.db, "sales/leads"), organisation.book("sales/leads")

    dry = bring(organisation.db, "sales/leads", path, dry_run=True)

    assert (stored(organisation.db, "sales/leads"), organisation.book("sales/leads")) == before
    assert asdict(dry) == asdict(bring(organisation.db, "sales/leads", path))
    assert counts(dry) == (2, 1, 4, 2)


def test_an_interrupted_import_keeps_whole_slices_and_goes_on_where_it_stopped(organisation, file, monkeypatch):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 10)
    path = file("a.vcf", *(small(f"u{n}") for n in range(35)))
    put, seen = cards.put, []

    def stop(*arguments, **options):
        seen.append(1)
        if len(seen) == 26:
            raise RuntimeError("pulled the plug")
        return put(*arguments, **options)

    monkeypatch.setattr(cards, "put", stop)
    report = vcards.Report()
    with pytest.raises(RuntimeError):
        bring(organisation.db, "sales/leads", path, report=report)
    monkeypatch.setattr(cards, "put", put)

    assert counts(report) == (20, 0, 0, 0)
    assert len(stored(organisation.db, "sales/leads")) == 20
    assert counts(bring(organisation.db, "sales/leads", path)) == (15, 0, 20, 0)


def test_a_slice_is_short_in_cards_and_in_time(organisation, file, monkeypatch):
    path = file("a.vcf", *(small(f"u{n}") for n in range(450)))
    sizes: list[int] = []
    write = organisation.db.write

    def watched(book_id: int = 0):
        sizes.append(0)
        return write(book_id)

    put = cards.put

    def counted(*arguments, **options):
        sizes[-1] += 1
        return put(*arguments, **options)

    monkeypatch.setattr(organisation.db, "write", watched)
    monkeypatch.setattr(cards, "put", counted)
    clock = iter(range(10_000))
    monkeypatch.setattr(
        slices.slices.time, "monotonic", lambda: next(clock) * slices.slices.MOST_TIME.total_seconds() / 50
    )

    bring(organisation.db, "sales/leads", path)

    assert sum(sizes) == 450
    assert max(sizes) <= 51


def test_a_book_that_is_deleted_meanwhile_stops_the_import(organisation, file, monkeypatch):
    monkeypatch.setattr(slices.slices, "MOST_CARDS", 5)
    done: list[int] = []

    def delete(_bytes: int) -> None:
        done.append(1)
        if len(done) == 8:
            with organisation.db.write() as session:
                books.trash(session, books.find(session, "sales/leads"), by=BY)

    with pytest.raises(NotFoundError):
        bring(organisation.db, "sales/leads", file("a.vcf", *(small(f"u{n}") for n in range(20))), progress=delete)


def test_a_large_file_is_not_taken_into_memory(organisation, file, monkeypatch):
    path = file("a.vcf", *(small(f"u{n}", "x" * 50_000) for n in range(400)))
    monkeypatch.setattr(cards, "put", lambda *_, **__: cards.Written(True, "", 1))

    tracemalloc.start()
    report = bring(organisation.db, "sales/leads", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert report.added == 400
    assert path.stat().st_size > 20_000_000
    assert peak < 14_000_000


def test_progress_counts_all_bytes(organisation, file):
    path, read = file("a.vcf", small("a"), OLD, small("b")), []

    bring(organisation.db, "sales/leads", path, progress=read.append)

    assert sum(read) == path.stat().st_size


def test_an_export_ends_each_card_with_a_line_break(organisation):
    organisation.put("ada", "sales~leads", "a.vcf", small("a").rstrip())
    organisation.put("ada", "sales~leads", "b.vcf", small("b"))

    assert exported(organisation.db, "sales/leads") == small("a") + small("b")


_texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=40)
_line_ends = st.sampled_from(["\r\n", "\n"])


@st.composite
def card_sets(draw) -> list[bytes]:
    """Cards of one book: different UIDs, any texts, line ends and versions."""
    uids = draw(st.lists(st.uuids() | st.text("abcXYZ:/.~ -_ä", min_size=1, max_size=20).map(str.strip), unique_by=str))
    made = []
    for uid in (str(uid) for uid in uids if str(uid)):
        end, version = draw(_line_ends), draw(st.sampled_from(["3.0", "4.0"]))
        texts = [f"NOTE:{text}" for text in draw(st.lists(_texts, max_size=3))]
        lines = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{draw(_texts)}", *texts, "END:VCARD", ""]
        made.append(end.join(lines).encode())
    return made


@given(content=card_sets())
def test_any_set_of_cards_comes_out_as_it_went_in(organisation, tmp_path, content):
    slug = uuid4().hex
    with organisation.db.write() as session:
        books.add(session, people.group(session, "sales"), slug, by=BY)
    path = tmp_path / "cards.vcf"
    path.write_bytes(b"".join(content))

    report = bring(organisation.db, f"sales/{slug}", path)

    if content:
        assert counts(report) == (len(content), 0, 0, 0)
    assert exported(organisation.db, f"sales/{slug}") == b"".join(content)
    path.write_bytes(exported(organisation.db, f"sales/{slug}"))
    assert counts(bring(organisation.db, f"sales/{slug}", path))[2] == len(content)


def test_every_good_card_of_the_corpus_comes_back_as_it_is(organisation, file):
    corpus = Path(__file__).parent.parent / "corpus"
    for number, path in enumerate(sorted(corpus.glob("*.vcf"))):
        slug = f"corpus-{number}"
        with organisation.db.write() as session:
            books.add(session, people.group(session, "sales"), slug, by=BY)
        report = bring(organisation.db, f"sales/{slug}", path)
        out = exported(organisation.db, f"sales/{slug}")
        told = {one.card for one in (*report.refused, *report.mended)}
        for place, data in enumerate(vcard.split_cards(path.read_bytes()), start=1):
            assert place in told or data in out, path.name


def test_an_import_needs_no_rights_of_a_person(organisation, file):
    with organisation.db.read() as session:
        assert access.administrator(books.find(session, "carla/contacts")).verbs == access.VERBS[access.Role.OWNER]

    assert counts(bring(organisation.db, "carla/contacts", file("a.vcf", small("a")))) == (1, 0, 0, 0)
