"""Cards come back byte for byte, although Radicale parses each and writes it anew."""

import io
import os
from pathlib import Path

import pytest
from radicale import item as radicale_item

from radicale_shared import books, cards, guard_rules, proxies, sent_bytes
from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, build_line, check, split_cards
from tests.conftest import BY

BOOK = "/ada/contacts/"
REPOSITORY = Path(__file__).parent.parent.parent
CORPUS = REPOSITORY / "tests" / "corpus"
REAL = Path(os.environ.get("RADICALE_SHARED_CARDS") or REPOSITORY / ".." / "shared" / "vcards").resolve()

DAMAGED_BY_VOBJECT = {
    "a comma in a URL": (b"URL:https://example.org/a,b", "3.0"),
    "a list of nicknames": (b"NICKNAME:Ada,Countess", "3.0"),
    "a comma in a note": (b"NOTE:one, two", "3.0"),
    "a photo as data URI": (b"PHOTO:data:image/png;base64,iVBORw0KGgo=", "4.0"),
    "a number with extension": (b"TEL;VALUE=uri:tel:+49-30-1;ext=2", "4.0"),
    "a parameter in lower case": (b"tel;type=cell,voice:1", "3.0"),
    "a line of its own fold": (b"NOTE:a long\r\n  line", "3.0"),
    "a group": (b"item1.TEL:1\r\nitem1.X-ABLabel:Mill", "3.0"),
    "a label in upper case": (b"X-Custom;X-P=1:v", "3.0"),
}


def pieces(folder: Path) -> list[bytes]:
    """All single cards of 3.0 and 4.0 below a folder that may be stored, with a UID each."""
    found = []
    for path in sorted(folder.rglob("*.vcf")):
        for piece in split_cards(path.read_bytes()):
            try:
                card = Card.parse(piece)
                card = card if card.uid else card.append(build_line("UID", "added"))
                found.append(check(card.serialise()).serialise())
            except (NotAVCardError, ValueError):
                continue
    return found


def is_let_in(data: bytes) -> bool:
    """Whether Radicale's own parser takes the card."""
    try:
        items = radicale_item.read_components(data.decode())
        radicale_item.check_and_sanitize_items(items, 0, is_collection=False, tag="VADDRESSBOOK")
        radicale_item.Item(collection_path="x", vobject_item=items[0]).prepare()
    except Exception:  # noqa: BLE001  # vobject raises nearly anything
        return False
    return True


@pytest.mark.parametrize("name", DAMAGED_BY_VOBJECT)
def test_a_card_that_vobject_damages_is_kept(ada, a_card, name):
    line, version = DAMAGED_BY_VOBJECT[name]
    data = a_card("x", "Ada", line.decode(), version=version)

    assert ada.put(BOOK + "x.vcf", data).status == 201
    assert ada.get(BOOK + "x.vcf").body == data
    assert ada.multiget(BOOK, BOOK + "x.vcf").has_data(data)


@pytest.mark.parametrize("folder", [CORPUS, REAL], ids=["corpus", "real"])
def test_every_card_that_radicale_lets_in_comes_back_as_it_was_sent(ada, organisation, folder):
    found = pieces(folder)
    if not found:
        pytest.skip(f"no cards below {folder}; name a folder of them in RADICALE_SHARED_CARDS")
    with organisation.db.write() as session:
        book = books.find(session, "ada/contacts")
        guard_rules.set_rule(session, book, "", cards=None, percent=None, off=True, by=BY)
    kept = 0
    for data in found:
        status = ada.put(BOOK + "x.vcf", data).status
        assert status == (201 if is_let_in(data) else 400), data
        if status == 201:
            kept += 1
            assert ada.get(BOOK + "x.vcf").body == data
            assert ada.multiget(BOOK, BOOK + "x.vcf").has_data(data)
            assert ada.delete(BOOK + "x.vcf").status == 200
    assert kept > len(found) / 2


def test_cards_that_only_another_way_in_takes_are_read_searched_and_exported(ada, organisation, a_card):
    """An import, or our own server, may have stored what vobject can't read."""
    odd = a_card("odd", "Odd", "this is no content line", "AGENT:\r\nBEGIN:VCARD", "TEL:1")
    odd = odd.replace(b"AGENT:\r\nBEGIN:VCARD\r\nTEL:1\r\n", b"NOTE;ENCODING=b:no base64!\r\nTEL:1\r\n")
    assert not is_let_in(odd)
    organisation.put("ada", "contacts", "odd.vcf", odd)
    ada.put(BOOK + "x.vcf", a_card("x"))

    assert ada.get(BOOK + "odd.vcf").body == odd
    assert ada.multiget(BOOK, BOOK + "odd.vcf").has_data(odd)
    assert ada.propfind(BOOK, depth="1").status == 207
    search = '<C:prop-filter name="TEL"><C:text-match>1</C:text-match></C:prop-filter>'
    assert ada.query(BOOK, search).hrefs == [BOOK + "odd.vcf"]
    assert ada.query(BOOK, '<C:prop-filter name="X-NONE"><C:is-not-defined/></C:prop-filter>').status == 207
    assert odd in ada.get(BOOK).body


def test_a_book_as_a_file_begins_each_card_on_a_line(ada, a_card):
    ada.put(BOOK + "x.vcf", a_card("x").rstrip())
    ada.put(BOOK + "y.vcf", a_card("y"))

    assert ada.get(BOOK + "x.vcf").body == a_card("x").rstrip()
    assert ada.get(BOOK).body == a_card("x") + a_card("y")


def test_equal_bytes_are_no_change(ada, a_card):
    ada.put(BOOK + "x.vcf", a_card("x"))
    token = ada.sync(BOOK).token

    assert ada.put(BOOK + "x.vcf", a_card("x")).status == 204
    assert ada.sync(BOOK).token == token


def test_the_history_keeps_who_wrote_by_which_client_from_where(ada, db, a_card):
    ada.environ["HTTP_X_FORWARDED_FOR"] = "198.51.100.7"
    ada.put(BOOK + "x.vcf", a_card("x"))

    with db.snapshot() as session:
        entry = next(iter(cards.history.entries(session)))
    assert (entry.kind, entry.book, entry.href, entry.actor) == ("put", "ada/contacts", "x.vcf", "ada")
    assert (entry.device, entry.user_agent) == ("Tester/.", "Tester/1.0")
    assert entry.address == "127.0.0.1"  # the proxy isn't trusted, so neither is what it says


def test_a_card_without_the_copy_of_its_bytes_is_kept_as_radicale_writes_it(organisation, db, tools, a_card, tmp_path):
    """With another auth plugin nobody copies the body; it works all the same, as well as Radicale can."""
    people = tmp_path / "people"
    people.write_text("ada:adaada\n")
    configuration = tools.configuration(db.url)
    htpasswd = {"type": "htpasswd", "htpasswd_filename": str(people), "htpasswd_encryption": "plain"}
    configuration.update({"auth": htpasswd}, "test")
    sent_bytes.begin({sent_bytes.DISPATCHER: True}, limit=0)
    ada = tools.client(tools.application(configuration), "ada")

    assert ada.put(BOOK + "x.vcf", a_card("x")).status == 201
    assert b"FN:X\r\n" in ada.get(BOOK + "x.vcf").body


def test_a_card_above_the_limit_is_refused(organisation, db, tools, a_card):
    small = tools.configuration(db.url, server={"max_resource_size": "400", "max_content_length": "600"})
    ada = tools.client(tools.application(small), "ada")

    assert ada.put(BOOK + "x.vcf", a_card("x", "X", "NOTE:" + "a" * 500)).status in {400, 412}
    folded = a_card("x", "X", "NOTE:a", *["\r\n " for _ in range(200)])
    assert ada.put(BOOK + "x.vcf", folded).status == 400
    assert ada.put(BOOK + "x.vcf", a_card("x")).status == 201


class TestTee:
    """The copy of a request's body."""

    BODY = b"one\ntwo\nthree"

    def tee(self, limit=0):
        return sent_bytes.Tee(io.BytesIO(self.BODY), limit)

    @pytest.mark.parametrize(
        "read",
        [
            lambda tee: tee.read(),
            lambda tee: tee.read(100),
            lambda tee: [tee.read(5), tee.read(5), tee.read(5)],
            lambda tee: [tee.readline(), tee.readline(2), tee.read()],
            lambda tee: tee.readlines(),
            lambda tee: [tee.readlines(1), tee.readlines()],
            list,
        ],
    )
    def test_it_copies_what_is_read_however_it_is_read(self, read):
        tee = self.tee()
        read(tee)

        assert tee.length == len(self.BODY)
        assert tee.take() == self.BODY

    def test_it_copies_no_more_than_was_read(self):
        tee = self.tee()
        tee.readline()

        assert tee.take() == b"one\n"

    def test_it_gives_its_copy_once(self):
        tee = self.tee()
        tee.read()
        tee.take()

        assert tee.take() == b""

    def test_it_keeps_nothing_of_a_body_above_its_limit(self):
        tee = self.tee(limit=8)

        assert b"".join(tee) == self.BODY
        assert tee.is_too_long
        assert tee.take() == b""


class TestRequest:
    """What is noted of a request."""

    def environ(self, **more):
        return {"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abc"), **more}

    def test_the_next_request_has_nothing_of_the_last(self):
        environ = self.environ()
        sent_bytes.begin(environ, limit=0)
        environ["wsgi.input"].read()
        first = sent_bytes.current()
        sent_bytes.begin(self.environ(REQUEST_METHOD="GET"), limit=0)

        assert first.body.take() == b"abc"
        assert sent_bytes.current().body is None

    def test_our_own_dispatcher_is_left_alone(self):
        environ = self.environ(**{sent_bytes.DISPATCHER: True})
        stream = environ["wsgi.input"]
        sent_bytes.begin(self.environ(), limit=0)
        sent_bytes.begin(environ, limit=0)

        assert environ["wsgi.input"] is stream
        assert sent_bytes.current() is None

    @pytest.mark.parametrize(
        ("remote", "forwarded", "address"),
        [
            ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
            ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("127.0.0.1", "10.0.0.1, 198.51.100.7, 127.0.0.1", "198.51.100.7"),
            ("127.0.0.1", "", "127.0.0.1"),
            ("127.0.0.1", "unknown", "unknown"),
            ("", "198.51.100.7", ""),
        ],
    )
    def test_only_a_trusted_proxy_says_where_a_request_comes_from(self, remote, forwarded, address):
        from ipaddress import ip_network

        environ = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}
        assert proxies.client_address(environ, (ip_network("127.0.0.0/8"),)) == address


def test_a_body_that_breaks_off_is_refused(ada, a_card):
    ada.environ["CONTENT_LENGTH"] = "100000"

    assert ada.put(BOOK + "x.vcf", a_card("x")).status == 400
    del ada.environ["CONTENT_LENGTH"]
    assert ada.get(BOOK + "x.vcf").status == 404
