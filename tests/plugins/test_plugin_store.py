"""What only our store does: transactions, tokens that never expire, rollbacks, reads after the lock, verification."""

import threading
import xml.etree.ElementTree as ET

import hypothesis
import pytest
from hypothesis import strategies
from radicale_shared.storage_plugin import Storage, filters
from sqlalchemy import update

from radicale_shared import books, history, models, reading, vcard
from radicale_shared.errors import BusyError, SchemaError, UnavailableError
from radicale_shared.search import EVERY, AllOf, AnyOf, Contains

BOOK = "/ada/contacts/"


@pytest.fixture
def storage(ada, db, tools):
    return Storage(tools.configuration(db.url))


def discovered(storage, path, depth="0", user="ada"):
    with storage.acquire_lock("r", user):
        return list(storage.discover(path, depth))


class TestAfterTheLock:
    """PROPFIND renders its answer when the lock is gone."""

    def test_everything_of_a_book_can_be_read(self, ada, storage, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        (book,) = discovered(storage, BOOK)

        assert book.path == "ada/contacts"
        assert book.owner == "ada"
        assert book.tag == "VADDRESSBOOK"
        assert book.get_meta("D:displayname") == "Contacts"
        assert book.get_meta() == {"tag": "VADDRESSBOOK", "D:displayname": "Contacts"}
        token, hrefs = book.sync()
        assert book.etag == f'"{token}"'
        assert list(hrefs) == ["x.vcf"]
        assert book.sync(token) == (token, [])
        assert book.last_modified.endswith(" GMT")
        assert [item.href for item in book.get_all()] == ["x.vcf"]
        assert [item.serialize().encode() for _, item in book.get_multi(["x.vcf"])] == [a_card("x")]
        assert book.has_uid("x")
        assert not book.has_uid("y")
        assert book.serialize().encode() == a_card("x")

    def test_an_item_needs_no_database_any_more(self, ada, storage, a_card, statements):
        ada.put(BOOK + "x.vcf", a_card("x"))
        (item,) = discovered(storage, BOOK + "x.vcf")
        statements.clear()

        assert (item.uid, item.name, item.href) == ("x", "VCARD", "x.vcf")
        assert item.serialize().encode() == a_card("x")
        assert item.last_modified.endswith(" GMT")
        assert len(statements) == 0

    def test_a_mounted_book_is_nobody_s_home(self, organisation, storage):
        (book,) = discovered(storage, "/ada/sales~leads/")

        assert book.owner == ""
        assert not book.is_principal

    def test_without_a_lock_nobody_is_known(self, storage):
        assert [one.path for one in storage.discover("/", "1")] == [""]
        assert list(storage.discover(BOOK)) == []


def test_a_home_is_found_with_one_statement(storage, statements):
    with storage.acquire_lock("r", "ada"):
        statements.clear()
        assert next(iter(storage.discover("/ada/", "1"))).path == "ada"
        assert len(statements) == 1


def test_discover_enters_the_context_of_each_child(ada, storage, a_card):
    from contextlib import contextmanager

    ada.put(BOOK + "x.vcf", a_card("x"))
    entered = []

    @contextmanager
    def child(path, href):
        entered.append((path, href))
        yield

    with storage.acquire_lock("r", "ada"):
        list(storage.discover(BOOK, "1", child))
        list(storage.discover("/ada/", "1", child))
    assert entered == [("ada/contacts", "x.vcf"), ("ada/contacts", None), ("ada/sales~leads", None)]


def test_a_poll_without_news_costs_the_same_in_a_book_of_any_size(ada, a_card, statements):
    def poll():
        statements.clear()
        ada.propfind(BOOK, "CS:getctag", "D:sync-token")
        return len(statements)

    few = poll()
    for number in range(30):
        ada.put(f"{BOOK}{number}.vcf", a_card(str(number)))
    assert poll() == few <= 6


def test_a_listing_costs_no_statement_a_card(ada, a_card, statements):
    for number in range(30):
        ada.put(f"{BOOK}{number}.vcf", a_card(str(number)))
    statements.clear()

    assert len(ada.propfind(BOOK, "D:getetag", depth="1").hrefs) == 31
    assert len(statements) <= 8


def test_multiget_asks_for_many_cards_in_few_statements(ada, storage, a_card, statements):
    for number in range(3):
        ada.put(f"{BOOK}{number}.vcf", a_card(str(number)))
    (book,) = discovered(storage, BOOK)
    wanted = [*(f"{number}.vcf" for number in range(1200)), "0.vcf", "a\x00b"]
    statements.clear()

    found = dict(book.get_multi(wanted))
    assert len(found) == 1201
    assert sorted(href for href, item in found.items() if item) == ["0.vcf", "1.vcf", "2.vcf"]
    assert len(statements) == 1200 // reading.BATCH


def test_a_sync_without_token_leaves_out_what_was_deleted(ada, a_card):
    ada.put(BOOK + "x.vcf", a_card("x"))
    ada.delete(BOOK + "x.vcf")

    assert ada.sync(BOOK).hrefs == []


def test_a_token_from_before_a_restored_backup_starts_the_client_over_once(ada, db, organisation, a_card):
    ada.put(BOOK + "x.vcf", a_card("x"))
    ada.put(BOOK + "y.vcf", a_card("y"))
    token = ada.sync(BOOK).token
    book = organisation.book("ada/contacts")
    with db.write(book.id) as session:
        session.execute(update(models.table(models.Book)).values(revision=book.revision - 1))

    assert ada.sync(BOOK, token).status == 403
    assert organisation.book("ada/contacts").epoch != book.epoch
    fresh = ada.sync(BOOK)
    assert ada.sync(BOOK, fresh.token).hrefs == []
    assert ada.sync(BOOK, token).status == 403


def test_a_book_s_name_comes_back_when_it_is_removed(ada):
    ada.proppatch(BOOK, D__displayname="Friends")
    ada.proppatch(BOOK, D__displayname="")

    assert ada.propfind(BOOK, "D:displayname").text(BOOK, "D:displayname") == "contacts"


def test_extras_of_a_new_book_are_left_out(ada):
    assert ada.mkcol("/ada/friends/", more="<I:order>1</I:order>").status == 201
    assert ada.propfind("/ada/friends/", "I:order").text("/ada/friends/", "I:order") is None


def test_odd_but_legal_names_that_radicale_lets_through_work(ada, a_card):
    names = ["with space.vcf", "ä-ö.vcf", "x" * 200 + ".vcf", "plus+and&.vcf", "trailing ", "~tilde~", "100%.vcf"]
    for number, name in enumerate(names):
        assert ada.put(BOOK + name, a_card(f"u{number}")).status == 201
        assert ada.get(BOOK + name).status == 200
    assert ada.multiget(BOOK, *(BOOK + name for name in names)).missing == []


def test_a_name_that_is_too_long_is_refused(ada, a_card):
    assert ada.put(BOOK + "ä" * 501, a_card("x")).status == 403


class TestTheLock:
    """A write is one transaction."""

    def test_an_edit_that_is_compared_is_the_edit_that_is_written(self, ada, organisation, a_card, tools):
        """Eight clients with the same ETag: one wins, seven are told."""
        etag = ada.put(BOOK + "x.vcf", a_card("x")).etag
        found = []

        def edit(number):
            client = tools.client(ada.application, "ada")
            found.append(client.put(BOOK + "x.vcf", a_card("x", f"N{number}"), if_match=etag).status)

        threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(found) == [204] + [412] * 7

    def test_a_write_lock_under_which_nothing_is_written_leaves_no_trace(self, ada, organisation, storage):
        before = organisation.book("ada/contacts")
        with storage.acquire_lock("w", "ada", path=BOOK + "x.vcf", request="PROPPATCH"):
            pass

        assert organisation.book("ada/contacts") == before

    def test_an_exception_undoes_what_was_written(self, ada, storage, organisation, a_card):
        def write_and_fail():
            with storage.acquire_lock("w", "ada", path=BOOK + "x.vcf", request="PUT"):
                book = next(iter(storage.discover(BOOK)))
                book.upload("x.vcf", Text(a_card("x")))
                raise KeyError

        before = organisation.book("ada/contacts").revision
        with pytest.raises(KeyError):
            write_and_fail()
        assert ada.get(BOOK + "x.vcf").status == 404
        assert organisation.book("ada/contacts").revision == before

    def test_writing_without_the_lock_is_a_mistake(self, storage, a_card):
        (book,) = discovered(storage, BOOK)
        with pytest.raises(RuntimeError):
            book.upload("x.vcf", Text(a_card("x")))

    @pytest.mark.parametrize("error", [BusyError(), UnavailableError("The disk is full.")])
    def test_a_database_that_can_t_write_is_a_500_and_nothing_is_changed(self, ada, a_card, monkeypatch, error):
        ada.put(BOOK + "x.vcf", a_card("x"))

        def fail(*_args, **_more):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(books, "next_revision", fail)
            assert ada.put(BOOK + "x.vcf", a_card("x", "Changed")).status == 500
            assert ada.delete(BOOK + "x.vcf").status == 500
        assert ada.get(BOOK + "x.vcf").body == a_card("x")

    def test_an_unreachable_database_is_not_a_wrong_password(self, ada, monkeypatch):
        def fail(*_args):
            raise UnavailableError("gone")

        monkeypatch.setattr("radicale_shared.accounts.find", fail)
        assert ada.get(BOOK + "x.vcf").status == 500

    def test_a_person_is_not_made_by_signing_in(self, storage):
        with storage.acquire_lock("w", "zoe", actor="zoe"), pytest.raises(ValueError, match="Errno 13"):
            storage.create_collection("/zoe/")


class Text:
    """As much of an Item as ``upload`` asks for."""

    def __init__(self, data):
        self._text = data.decode()

    def serialize(self):
        return self._text


class TestVerify:
    def test_a_whole_store_is_right(self, ada, storage, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        with storage.acquire_lock("r"):
            assert storage.verify()

    def test_bytes_that_were_altered_are_found(self, ada, storage, db, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        with db.write() as session:
            session.execute(update(models.table(models.Body)).values(data=b"altered"))

        with storage.acquire_lock("r"):
            assert not storage.verify()


def test_an_empty_database_is_refused_with_the_command_that_mends_it(tmp_path, tools):
    with pytest.raises(SchemaError, match="radicale-shared db upgrade"):
        Storage(tools.configuration(f"sqlite:///{tmp_path}/empty.db"))


def test_both_adapters_refuse_their_second_identity():
    import runpy
    from pathlib import Path

    for name in ("storage_plugin", "auth_plugin"):
        init = Path(__file__).parent.parent.parent / name / "__init__.py"
        with pytest.raises(ImportError, match=f"radicale_shared.{name}"):
            runpy.run_path(str(init), run_name=name)


# -- narrowing ---------------------------------------------------------------------------------------------------------

CARDDAV = "urn:ietf:params:xml:ns:carddav"


def parsed(text):
    return ET.fromstring(f'<C:filter xmlns:C="{CARDDAV}" {text[0]}>{text[1]}</C:filter>')


def narrowed(filters_, test="anyof"):
    return filters.narrowing([parsed((f'test="{test}"', filters_))])


def test_a_filter_that_is_understood_names_what_the_index_must_contain(tools):
    fn, note = tools.prop_match("FN", "a"), tools.prop_match("NOTE", "b")

    a, b = AnyOf((Contains("fn", "a"),)), AnyOf((Contains("note", "b"),))
    assert narrowed(fn) == AllOf((AnyOf((a,)),))
    assert narrowed(fn + note) == AllOf((AnyOf((a, b)),))
    assert narrowed(fn + note, "allof") == AllOf((AllOf((a, b)),))
    assert filters.narrowing([parsed(("", fn)), parsed(("", note))]) == AllOf((AnyOf((a,)), AnyOf((b,))))


@pytest.mark.parametrize(
    "prop_filter",
    [
        '<C:prop-filter name="FN"/>',
        '<C:prop-filter name="FN"><C:is-not-defined/></C:prop-filter>',
        '<C:prop-filter name="FN"><C:text-match negate-condition="yes">a</C:text-match></C:prop-filter>',
        '<C:prop-filter name="FN"><C:text-match match-type="unheard-of">a</C:text-match></C:prop-filter>',
        '<C:prop-filter name="TEL"><C:param-filter name="TYPE"/></C:prop-filter>',
        '<C:prop-filter name="TEL"><C:text-match>1</C:text-match><C:param-filter name="TYPE"/></C:prop-filter>',
        '<C:prop-filter name="ADR"><C:text-match>a</C:text-match></C:prop-filter>',
        '<C:prop-filter name="X-OWN"><C:text-match>a</C:text-match></C:prop-filter>',
        '<C:prop-filter name="N"><C:text-match>Ada Lovelace</C:text-match></C:prop-filter>',
        '<C:prop-filter name="NOTE"><C:text-match>back\\slash</C:text-match></C:prop-filter>',
    ],
)
def test_a_filter_that_is_not_understood_names_every_card(tools, prop_filter):
    fn = tools.prop_match("FN", "a")

    assert narrowed(prop_filter) == EVERY
    assert narrowed(fn + prop_filter) == EVERY
    assert narrowed(fn + prop_filter, "allof") == AllOf((AllOf((AnyOf((Contains("fn", "a"),)),)),))
    assert narrowed(fn, "unheard-of") == EVERY


def test_too_many_conditions_are_every_card(tools):
    assert narrowed("".join(tools.prop_match("FN", str(number)) for number in range(200))) == EVERY


def test_a_query_that_is_narrowed_reads_only_what_may_match(ada, storage, a_card, tools):
    for number in range(5):
        ada.put(f"{BOOK}{number}.vcf", a_card(f"u{number}"))
    (book,) = discovered(storage, BOOK)

    found = book.get_filtered([parsed(("", tools.prop_match("FN", "U3")))])
    assert [item.href for item, _ in found] == ["3.vcf"]


def test_what_stands_behind_the_end_of_the_index_is_found(ada, a_card, tools):
    note = "NOTE:" + "x" * (vcard.MAX_FIELD_LENGTH + 10) + " needle"
    ada.put(BOOK + "x.vcf", a_card("x", "X", note))
    ada.put(BOOK + "y.vcf", a_card("y"))

    assert ada.query(BOOK, tools.prop_match("NOTE", "needle")).hrefs == [BOOK + "x.vcf"]


WORDS = ("Ada", "ΟΔΟΣ", "straße", "STRASSE", "İstanbul", "O'Hara", "a,b", "x;y", "50%", "under_score", "two words", "Ä")


def holds(condition, fields):
    """Whether a condition holds for the searched fields of a card."""
    match condition:
        case Contains(field, text):
            return vcard.needle(field, text) in fields[field]
        case AllOf(parts):
            return all(holds(part, fields) for part in parts)
        case AnyOf(parts):
            return any(holds(part, fields) for part in parts)


@hypothesis.given(
    texts=strategies.lists(strategies.sampled_from(WORDS), min_size=1, max_size=3),
    needle=strategies.one_of(strategies.sampled_from(WORDS), strategies.text("aAdDsSßςσΣ ,;'%_\\\"", max_size=3)),
    name=strategies.sampled_from(["FN", "N", "NICKNAME", "NOTE", "ORG", "CATEGORIES", "TITLE", "EMAIL", "TEL"]),
    kind=strategies.sampled_from(["contains", "equals", "starts-with", "ends-with"]),
    collation=strategies.sampled_from(["i;octet", "i;unicode-casemap"]),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_narrowing_never_loses_a_card_that_radicale_s_filter_takes(tools, texts, needle, name, kind, collation):
    """Over the index alone: the searched fields, and Radicale's own match on the same card."""
    from radicale.app.report import test_filter as decides
    from radicale.item import Item

    lines = [vcard.build_line(name, vcard.escape(text)) for text in texts]
    data = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\n" + b"".join(line.raw for line in lines) + b"END:VCARD\r\n"
    filter_ = parsed(("", tools.prop_match(name, needle, match_type=kind, collation=collation)))
    if not decides("VADDRESSBOOK", Item(collection_path="x", text=data.decode()), filter_):
        return

    assert holds(filters.narrowing([filter_]), vcard.search_fields(vcard.Card.parse(data)))


# -- Radicale's names that are used and not public --------------------------------------------------------------------


def test_radicale_has_the_private_names_that_are_used():
    from radicale import auth, item, storage
    from radicale.app import Application, put, report
    from radicale.app.base import Access
    from radicale.item import filter as radicale_filter

    for owner, names in {
        auth.BaseAuth: ("_login_ext_with_groups", "_sleep_for_constant_exec_time", "get_external_login"),
        storage.BaseStorage: ("_supports_unicode", "_supports_trailing_whitespace", "_supports_problematic_chars"),
        item: ("get_uid", "read_components"),
        radicale_filter: ("TIMESTAMP_MIN", "TIMESTAMP_MAX"),
        Application: ("_handle_request", "do_PUT", "do_DELETE"),
        Access: ("check", "parent_permissions"),
        put: ("prepare",),
        report: ("retrieve_items", "test_filter"),
    }.items():
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__}.{name}"


def test_a_failed_login_doesn_t_hold_its_thread(organisation, db, tools, monkeypatch):
    import time

    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    client = tools.client(tools.application(tools.configuration(db.url)), "ada", "wrong")

    assert [client.get(BOOK).status for _ in range(3)] == [401] * 3
    assert slept == []


def test_history_and_cards_come_from_one_transaction(ada, db, organisation, a_card):
    ada.put(BOOK + "x.vcf", a_card("x"))
    ada.put(BOOK + "x.vcf", a_card("x", "Xenia"))
    ada.move(BOOK + "x.vcf", BOOK + "y.vcf")
    ada.delete(BOOK + "y.vcf")

    with db.snapshot() as session:
        deeds = [(one.kind, one.href, one.actor) for one in history.entries(session)]
        assert deeds[:5] == [
            ("delete", "y.vcf", "ada"),
            ("move", "y.vcf", "ada"),
            ("move", "x.vcf", "ada"),
            ("put", "x.vcf", "ada"),
            ("put", "x.vcf", "ada"),
        ]
        assert history.state_after(session, organisation.book("ada/contacts").id, "x.vcf", 3) == a_card("x", "Xenia")
