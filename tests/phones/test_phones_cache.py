"""Answers that are kept: a warm phone book costs a sign-in and a look at rights, and every change is seen at once."""

import gzip
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, books, cards, entry_refresh, grants, people, phone_books, phone_profiles
from radicale_shared.access import Role
from radicale_shared.phone_profiles import Choices, Dial, NameOrder
from radicale_shared.phones.asking import Document
from radicale_shared.phones.cache import Cache, Kept
from tests.conftest import BY, card, examples

BOOK = "yealink.xml"
GROUPED = "yealink-book.xml"


@pytest.fixture
def filled(organisation):
    organisation.grant("sales/leads", "user:ben", "curator")
    for at in range(30):
        lines = f"TEL;TYPE=work:030 23125 1{at:02}", f"TEL;TYPE=home:030 23125 2{at:02}"
        organisation.put("ada", "sales~leads", f"{at}.vcf", card(f"u{at}", f"Name {at:02}", *lines))
    return organisation


@pytest.fixture
def phone(office, filled):
    return office()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_warm_phone_book_reads_the_phone_and_its_rights_and_no_entry(phone, statements, method):
    cold = phone.get(BOOK)
    phone.used()
    statements.clear()
    warm = phone.request(method, BOOK)

    assert len(statements) == 2
    assert not any("FROM entries" in one or "entry_keys" in one for one in statements.texts)
    assert warm.etag == cold.etag


def test_a_warm_page_of_everyone_reads_no_entry_either(office, filled, statements):
    phone = office("cisco")
    cold = [phone.get("cisco/list", offset=str(offset)) for offset in (0, 8)]
    phone.used()
    statements.clear()

    assert [phone.get("cisco/list", offset=str(offset)) for offset in (0, 8)] == cold
    assert len(statements) == 4


def test_what_phones_send_and_nobody_looks_at_makes_no_difference(phone, statements):
    cold = phone.get(BOOK, mac="0004f2abcdef")
    phone.used()
    statements.clear()
    warm = [phone.request("GET", BOOK, {"mac": f"{at}"}, User_Agent=f"phone/{at}", X_Phone=f"{at}") for at in range(5)]

    assert {told.body for told in warm} == {cold.body}
    assert len(statements) == 2 * 5


def test_all_poly_phones_of_one_password_share_an_answer(office, filled, statements):
    phone = office("poly")
    cold = phone.get("poly/0004f2000000-directory.xml")
    phone.used()
    statements.clear()

    assert phone.get("poly/0004f2000001-directory.xml") == cold
    assert len(statements) == 2


def changes_of(db, phone, filled):
    """Everything that changes what a phone gets: {what: who does it}."""
    leads = filled.book("sales/leads")

    def put():
        filled.put("ada", "sales~leads", "new.vcf", card("new", "New", "TEL:+49 30 23125 99"))

    def change():
        filled.put("ada", "sales~leads", "1.vcf", card("u1", "Otherwise", "TEL:+49 30 23125 99"))

    def remove():
        filled.remove("ben", "sales~leads", "2.vcf")

    def hide_card():
        with db.write(leads.id) as session:
            phone_books.hide_card(session, leads, "3.vcf", hidden=True, by=BY)

    def choose(**choices):
        def do():
            with db.write() as session:
                ada = people.user(session, "ada")
                label = phone.profile.device.label
                phone_profiles.change(session, ada, label, Choices(make="yealink", **choices), by=BY)

        return do

    def region(of):
        def do():
            with db.write() as session:
                phone_books.set_region(session, "DE", by=BY, book=of)
            entry_refresh.refresh(db)

        return do

    def rename():
        with db.write(leads.id) as session:
            books.set_properties(session, leads, by=BY, name="Renamed")

    def hide():
        with db.write(leads.id) as session:
            phone_books.hide(session, leads, hidden=True, by=BY)

    def leave():
        with db.write() as session:
            people.remove_member(session, "sales", "ada")

    def narrow():
        with db.write() as session:
            grants.give(session, leads, "user:ada", Role.VIEWER, by=BY, hide=["tel:home"])
            grants.take(session, leads, "group:sales", by=BY)
            people.remove_member(session, "sales", "ada")

    return {
        "a new card": put,
        "another name": change,
        "a card that is deleted": remove,
        "a card that is hidden from phones": hide_card,
        "the order of names": choose(name_order=NameOrder.WRITTEN, fields=frozenset({"tel:work"})),
        "the fields": choose(fields=frozenset({"tel:home"})),
        "how many": choose(max_entries=3),
        "the server's region": region(None),
        "the book's region": region(leads),
        "how it dials": choose(dial=Dial.NATIONAL, region="DE", outside_prefix="9"),
        "a book's name": rename,
        "a book that is hidden": hide,
        "a group that is left": leave,
        "a grant that hides": narrow,
    }


WHAT = [
    *("a new card", "another name", "a card that is deleted", "a card that is hidden from phones", "the fields"),
    *("how many", "the server's region", "the book's region", "how it dials", "a book's name"),
    *("a book that is hidden", "a group that is left", "a grant that hides"),
]


@pytest.mark.parametrize("what", WHAT)
def test_whatever_changes_is_seen_by_the_next_request(phone, filled, db, what):
    before = phone.get(GROUPED)
    assert phone.get(GROUPED, Any="thing").body == before.body
    changes_of(db, phone, filled)[what]()
    after = phone.request("GET", GROUPED, If_None_Match=before.etag)

    assert after.status == 200
    assert after.body != before.body
    assert after.etag != before.etag


def test_what_was_there_before_is_the_same_answer_again(phone, filled):
    before = phone.get(BOOK)
    filled.put("ada", "sales~leads", "new.vcf", card("new", "New", "TEL:+49 30 23125 99"))
    assert phone.get(BOOK).etag != before.etag
    filled.remove("ben", "sales~leads", "new.vcf")

    assert phone.get(BOOK) == before


def test_two_phones_that_see_different_things_never_share_an_answer(office, filled):
    by_ada, by_carla = office(login="ada"), office(login="carla")
    filled.put("carla", "contacts", "own.vcf", card("own", "Carla's own", "TEL:+49 30 23125 9"))

    assert b"Name 00" in by_ada.get(BOOK).body
    assert b"Name 00" not in by_carla.get(BOOK).body
    assert b"Carla&apos;s own" in by_carla.get(BOOK).body
    assert b"Name 00" in by_ada.get(BOOK).body


# -- HTTP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*", "{0}, W/{0}"])
def test_a_phone_that_has_the_answer_is_told_so(phone, form):
    whole = phone.get(BOOK)
    told = phone.request("GET", BOOK, If_None_Match=form.format(whole.etag))

    assert (told.status, told.body) == (304, b"")
    assert told.etag == whole.etag
    assert told.headers["Cache-Control"] == whole.headers["Cache-Control"] == "private, max-age=60"


@pytest.mark.parametrize("form", ['"other"', "", "W/", "{}x"])
def test_a_phone_that_has_another_answer_gets_this_one(phone, form):
    whole = phone.get(BOOK)

    assert phone.request("GET", BOOK, If_None_Match=form.format(whole.etag.strip('"'))).body == whole.body


def test_an_answer_is_packed_for_phones_that_ask_for_it(phone):
    whole = phone.get(BOOK)
    packed = phone.request("GET", BOOK, Accept_Encoding="deflate, gzip;q=0.5")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == whole.body
    assert packed.etag != whole.etag
    assert phone.request("GET", BOOK, Accept_Encoding="gzip", If_None_Match=packed.etag).status == 304
    assert "Content-Encoding" not in phone.request("GET", BOOK, Accept_Encoding="gzip;q=0").headers
    assert "Content-Encoding" not in whole.headers


def test_only_lists_may_be_kept_by_phones_for_a_while(phone):
    assert phone.get(BOOK, q="name").headers["Cache-Control"] == "private, no-cache"
    assert phone.get("lookup", number="1").headers["Cache-Control"] == "private, no-cache"


# -- the cache itself --------------------------------------------------------------------------------------------------


def made(text="x", *, is_listed=True):
    return Kept(Document(text.encode()), is_listed=is_listed)


def wait_for(cache, count):
    """Until so many wait for the one answer that is being made."""
    (making,) = cache._making.values()
    until = time.monotonic() + 20
    while len(making.is_done._cond._waiters) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize(("most", "is_listed"), [(1_000_000, True), (1_000_000, False), (10, True)])
def test_two_who_miss_an_answer_together_wait_for_one(most, is_listed):
    cache = Cache(most)
    count, started, may_end = [], threading.Event(), threading.Event()

    def make(_sent):
        count.append(1)
        started.set()
        assert may_end.wait(20)
        return made(is_listed=is_listed)

    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("route", "state", {"parameters": {}}, make)))
        for _ in range(4)
    ]
    threads[0].start()
    assert started.wait(20)
    for one in threads[1:]:
        one.start()
    wait_for(cache, 3)
    may_end.set()
    for one in threads:
        one.join(20)

    assert len(count) == 1
    assert len(found) == 4
    assert len({id(one) for one in found}) == 1


def test_who_waits_for_an_answer_that_is_to_something_else_makes_their_own():
    cache = Cache(1_000_000)
    started, may_end = threading.Event(), threading.Event()
    found = {}

    def make(sent):
        started.set()
        assert may_end.wait(20)
        return made(sent["parameters"]["q"])

    def ask(sought):
        found[sought] = cache.get("route", "state", {"parameters": {"q": sought}}, make).document.body

    first, second = (threading.Thread(target=ask, args=(sought,)) for sought in ("one", "two"))
    first.start()
    assert started.wait(20)
    second.start()
    wait_for(cache, 1)
    may_end.set()
    first.join(20)
    second.join(20)

    assert found == {"one": b"one", "two": b"two"}


def test_an_answer_that_there_is_no_room_for_is_told_of_once(caplog):
    cache = Cache(10)
    for _ in range(3):
        assert cache.get("route", "state", {"parameters": {}}, lambda _sent: made()).document.body == b"x"

    assert len(cache) == 0
    assert [one.message for one in caplog.records if "cache_megabytes" in one.message] == [caplog.messages[0]]


def test_who_waits_for_one_who_fails_makes_the_answer():
    cache = Cache(1_000_000)
    started, may_end = threading.Event(), threading.Event()

    def fail(_sent):
        started.set()
        assert may_end.wait(20)
        raise RuntimeError("on purpose")

    def failing():
        with pytest.raises(RuntimeError, match="on purpose"):
            cache.get("route", "state", {"parameters": {}}, fail)

    found = []
    first = threading.Thread(target=failing)
    second = threading.Thread(
        target=lambda: found.append(cache.get("route", "state", {"parameters": {}}, lambda _sent: made("whole")))
    )
    first.start()
    assert started.wait(20)
    second.start()
    may_end.set()
    first.join(20)
    second.join(20)

    assert [one.document.body for one in found] == [b"whole"]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30_000)), max_size=60), st.integers(10_000, 100_000))
@examples(50)
def test_the_cache_never_takes_more_than_it_may(asked, most):
    cache = Cache(most)
    for state, size in asked:
        kept = cache.get("route", state, {"parameters": {}}, lambda _sent, size=size: made("x" * size))
        assert kept.document.body.strip(b"x") == b""
        assert cache.size <= most
    assert cache.size == sum(one.size for one in cache._kept.values())


def test_searches_are_not_kept():
    cache = Cache(1_000_000)
    for at in range(100):
        cache.get("route", "state", {"parameters": {"q": str(at)}}, lambda _sent: made(is_listed=False))

    assert len(cache) == 0


names = st.sampled_from(["a", "b", "c"])
sent = st.dictionaries(names, st.sampled_from(["", "1", "2"]))


def answered(rules, parameters):
    """An answer that looks at parameters one after another, which next depends on what was there: a tree of names."""
    told = []
    for name in rules:
        if name == "all":
            told += sorted(parameters.items())
        elif name == "how many":
            told.append(len(parameters))
        else:
            told.append((name, parameters.get(name)))
            if parameters.get(name) == "2":
                break
    return repr(told)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "all", "how many"]), max_size=3),
    st.lists(st.tuples(sent, sent, st.integers(0, 1)), max_size=25),
)
@examples(200)
def test_an_answer_is_what_would_be_made_now_whatever_it_looks_at(rules, requests):
    cache = Cache(1_000_000)
    for parameters, headers, state in requests:

        def make(seen, state=state):
            told = answered(rules, seen["parameters"]), seen["headers"].get("a"), state
            return made(repr(told))

        found = cache.get("route", state, {"parameters": parameters, "headers": headers}, make)
        assert found.document.body.decode() == repr((answered(rules, parameters), headers.get("a"), state))


@pytest.mark.parametrize("lists", [1, 6])
def test_while_long_lists_are_made_others_are_answered(office, organisation, db, lists):
    leads = organisation.book("ada/contacts")
    secret = db.secret
    for start in range(0, 1200, 200):
        with db.write(leads.id) as session:
            whole = access.administrator(leads)
            for at in range(start, start + 200):
                data = cards.check(card(f"u{at}", f"Name {at:04}", f"TEL:+49 30 23125 {at:04}"))
                cards.put(session, whole, f"{at}.vcf", data, secret=secret, by=BY, policy=None)
    phones, other = [office() for _ in range(lists)], office()
    assert other.get("lookup", number="+49302312500").status == 200
    made, answered_meanwhile = [], []

    def list_all(phone):
        made.append(phone.get(BOOK).body.count(b"<DirectoryEntry>"))

    making = [threading.Thread(target=list_all, args=(phone,)) for phone in phones]
    for one in making:
        one.start()
    while any(one.is_alive() for one in making):
        answered_meanwhile.append(other.get("lookup", number="+4930231250001").text)
    for one in making:
        one.join(60)

    assert made == [1200] * lists
    # Without giving way one would be answered before the lists are begun, and one behind them.
    assert answered_meanwhile.count("Name 0001") > 3 * lists
