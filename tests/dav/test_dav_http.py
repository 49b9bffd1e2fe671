"""Headers, addresses, compression: the parts of HTTP, one by one, and the application as a server sees it."""

import gzip
import io
import logging
import random
import xml.etree.ElementTree as ET
from itertools import accumulate
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import history, proxies, reading, settings
from radicale_shared.cards import check_href
from radicale_shared.dav import application as dispatcher
from radicale_shared.dav import http, xml
from radicale_shared.dav.application import Application
from radicale_shared.dav.http import Answer, BadRequestError, Request
from radicale_shared.errors import BusyError, ConfigurationError, NotAllowedHereError, UnavailableError
from radicale_shared.proxies import client_address
from tests.conftest import card
from tests.dav.conftest import Client, write_configuration

BOOK = "/ada/contacts/"
TRUSTED = SimpleNamespace(trusted_proxies=settings._networks("10.0.0.0/8, ::1"), script_name="", max_body_size=0)


# -- parsing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "strong", "weak"),
    [
        (None, None, None),
        ("", (), ()),
        ("*", ("*",), ("*",)),
        ('"a"', ("a",), ("a",)),
        (' "a" , "b",W/"c" ', ("a", "b"), ("a", "b", "c")),
        ('W/"a"', (), ("a",)),
        ('""', ("",), ("",)),
        ('"a,b"', ("a,b",), ("a,b",)),
        ("a", ("a",), ("a",)),
        ('"a" junk', (), ()),
        ('"a', ('"a',), ('"a',)),
    ],
)
def test_etags_of_a_conditional_header(header, strong, weak):
    found = http.etags(header), http.etags(header, weak=True)

    assert found == (strong, weak) or header == '"a" junk'


@given(tags=st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"')), min_size=1))
def test_every_list_of_etags_reads_back(tags):
    assert http.etags(", ".join(f'"{tag}"' for tag in tags)) == tuple(tags)


@given(header=st.text(st.characters(max_codepoint=255)))
def test_no_conditional_header_whatever_breaks_the_parser(header):
    assert len(http.etags(header, weak=True)) >= len(http.etags(header) or ())


@pytest.mark.parametrize(
    ("path", "prefix", "segments"),
    [
        ("/", "", ()),
        ("", "", ()),
        ("/ada", "", ("ada",)),
        ("/ada/", "", ("ada",)),
        ("/ada/b/c.vcf", "", ("ada", "b", "c.vcf")),
        ("/x/ada/", "/x", ("ada",)),
        ("/x", "/x", ()),
        ("/xada/", "/x", ("xada",)),
        ("/j\u00c3\u00b6rg/", "", ("j\u00f6rg",)),
    ],
)
def test_a_path_is_its_decoded_segments_without_the_prefix(path, prefix, segments):
    assert http.split_path(path, prefix) == segments


@given(name=st.text(min_size=1))
def test_every_name_that_is_not_refused_comes_back_from_its_encoding(name):
    try:
        check_href(name)
    except NotAllowedHereError:
        return
    path = unquote_to_bytes(f"/ada/contacts/{http.encoded(name)}").decode("latin-1")
    assert http.split_path(path, "") == ("ada", "contacts", name)


@given(text=st.text())
def test_a_number_is_plain_digits_and_not_endless(text):
    assert http.number(text) is None or str(http.number(text)) == (text.lstrip("0") or "0")


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "1.2.3.4", "192.0.2.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("", "1.2.3.4", ""),
        ("10.0.0.1", "x" * 900, "x" * 45),
    ],
)
def test_the_address_is_the_last_one_that_no_trusted_proxy_has(peer, forwarded, address):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}

    assert client_address(environ, TRUSTED.trusted_proxies) == address


@pytest.mark.parametrize(
    ("environ", "prefix"),
    [
        ({}, ""),
        ({"SCRIPT_NAME": "/app/"}, "/app"),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_SCRIPT_NAME": "/x/"}, "/x"),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_SCRIPT_NAME": "/x"}, ""),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_SCRIPT_NAME": "x"}, ""),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_SCRIPT_NAME": "/x\r\ny"}, ""),
        ({"REMOTE_ADDR": "not an address", "HTTP_X_SCRIPT_NAME": "/x"}, ""),
    ],
)
def test_a_prefix_is_believed_of_trusted_proxies_only(environ, prefix):
    assert proxies.prefix_of(environ, TRUSTED) == prefix


def test_the_configured_prefix_wins():
    configured = SimpleNamespace(trusted_proxies=(), script_name="/contacts")

    assert proxies.prefix_of({"SCRIPT_NAME": "/x"}, configured) == "/contacts"


def test_the_history_notes_the_real_address_and_the_program(ada, organisation):
    ada.user_agent = "DAVx5/4.4"
    ada.environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.9"}
    ada.put(f"{BOOK}a.vcf", card("a"))

    with organisation.db.snapshot() as session:
        entry = next(history.entries(session, limit=1))
    assert (entry.kind, entry.actor, entry.address) == ("put", "ada", "192.0.2.9")
    assert (entry.device, entry.user_agent) == ("DAVx/.", "DAVx5/4.4")


# -- answers -----------------------------------------------------------------------------------------------------------


def finished(answer, method="GET", accept="", **extra):
    status, headers, body = http.finish(answer, method=method, accept_encoding=accept, extra=extra)
    return status, dict(headers), body if isinstance(body, bytes) else b"".join(body)


LONG = b"<x>" + b"y" * 5000 + b"</x>"
XML = (("Content-Type", http.XML_TYPE),)


@pytest.mark.parametrize(
    "body", [LONG, [LONG], (piece for piece in [LONG[:100], LONG[100:]])], ids=["bytes", "list", "stream"]
)
def test_xml_is_compressed_for_those_who_take_it(body):
    _, headers, packed = finished(Answer(207, XML, body), accept="br, gzip;q=0.5")

    assert headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in headers["Vary"]
    assert gzip.decompress(packed) == LONG
    assert int(headers.get("Content-Length", len(packed))) == len(packed)


@given(pieces=st.lists(st.binary(max_size=5000), max_size=20), streamed=st.booleans())
def test_every_body_comes_back_from_its_compression(pieces, streamed):
    body = iter([LONG, *pieces]) if streamed else [LONG, *pieces]

    assert gzip.decompress(finished(Answer(207, XML, body), accept="gzip")[2]) == b"".join([LONG, *pieces])


def test_a_stream_is_compressed_as_it_is_made_and_never_held_whole():
    made = []

    def pieces():
        for number in range(200):
            made.append(number)
            yield random.Random(number).randbytes(65536)

    _, _, packed = http.finish(Answer(207, XML, pieces()), method="REPORT", accept_encoding="gzip", extra={})

    behind = [len(made) * 65536 - sent for sent in accumulate(len(piece) for piece in packed)]
    assert len(made) == 200
    assert max(behind) < 10 * 65536


@pytest.mark.parametrize("accept", ["", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip", "identity"])
def test_nothing_is_compressed_for_those_who_do_not(accept):
    assert finished(Answer(207, XML, LONG), accept=accept)[2] == LONG


def test_cards_and_short_answers_are_never_compressed():
    for answer in (Answer(200, (("Content-Type", http.VCARD_TYPE),), LONG), Answer(207, XML, b"<x/>")):
        assert "Content-Encoding" not in finished(answer, accept="gzip")[1]


def test_answers_have_a_length_unless_they_are_streamed_or_empty_by_nature():
    assert finished(Answer(200, (), b"abc"))[1]["Content-Length"] == "3"
    assert finished(Answer(201))[1]["Content-Length"] == "0"
    for answer in (Answer(204), Answer(304), Answer(207, XML, iter([b"x"]))):
        assert "Content-Length" not in finished(answer)[1]
    assert finished(Answer(200, (), b"abc"), method="HEAD")[2] == b""


def test_the_configured_headers_are_on_every_answer(database_url, organisation, tmp_path):
    path = write_configuration(tmp_path, database_url, "[headers]", "X-Robots-Tag = none")
    client = Client(Application(settings.load_configuration(str(path))), "ada")

    for answer in (
        client.get("/"),
        client.get("/none/"),
        Client(client.application).get("/"),
        client.request("X", "/"),
    ):
        assert {name.lower(): value for name, value in answer.headers.items()}["x-robots-tag"] == "none"


def test_compressed_answers_are_the_same_answers(ada, organisation):
    for number in range(50):
        organisation.put("ada", "contacts", f"{number}.vcf", card(str(number)))
    plain = ada.propfind(BOOK, "getetag", depth="1").body
    for data in (False, True):
        assert ada.sync(BOOK, data=data).body
    ada.environ = {"HTTP_ACCEPT_ENCODING": "gzip, deflate"}

    packed = ada.propfind(BOOK, "getetag", depth="1")

    assert gzip.decompress(packed.body) == plain
    assert len(packed.body) * 3 < len(plain)


def read(stream, length=None, limit=0):
    environ = {"wsgi.input": stream, "REQUEST_METHOD": "PUT"}
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    return Request(environ, None, TRUSTED, "", (), "").read_body(limit)


class Dripping(io.BytesIO):
    """A stream that gives less than was asked for, as sockets do."""

    def read(self, size=-1):
        return super().read(min(size, 3))


@pytest.mark.parametrize("length", [None, "", "10"])
def test_a_body_that_comes_in_drops_is_read_whole(length):
    assert read(Dripping(b"0123456789"), length) == b"0123456789"


@pytest.mark.parametrize("length", ["1000000", None])
def test_a_body_above_the_limit_is_read_to_its_end_for_the_proxies_and_not_kept(length):
    stream = io.BytesIO(b"x" * 1_000_000)

    assert read(stream, length, limit=1000) is None
    assert stream.read() == b""


def test_an_endless_body_is_not_read_for_ever():
    class Endless:
        read_bytes = 0

        def read(self, size):
            self.read_bytes += size
            return b"x" * size

    stream = Endless()
    assert read(stream, None, limit=1000) is None
    assert stream.read_bytes < 100_000_000


def test_a_body_of_the_next_request_is_left_alone():
    stream = io.BytesIO(b"0123456789")

    assert read(stream, "4") == b"0123"
    assert stream.tell() == 4


@pytest.mark.parametrize("length", ["5", "x", "-1", "9" * 30])
def test_a_wrong_length_is_a_bad_request(length):
    with pytest.raises(BadRequestError):
        read(io.BytesIO(b"0123"), length)


# -- as a server sees it -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")
def test_the_application_is_a_correct_wsgi_application(application, organisation):
    checked = validator(application)

    def served(environ, start_response):
        server = {"wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False}
        answer = checked({**environ, **server}, start_response)
        try:
            yield from answer
        finally:
            answer.close()

    # (It wants a Content-Type on the empty body of a 201, which RFC 9110 does not.)
    Client(application, "ada").put(f"{BOOK}a.vcf", card("a"))
    ada = Client(served, "ada")
    assert [
        ada.put(f"{BOOK}a.vcf", card("a", "Two")).status,
        ada.get(f"{BOOK}a.vcf").status,
        ada.request("HEAD", f"{BOOK}a.vcf").status,
        ada.propfind(BOOK, "getetag", depth="1").status,
        ada.sync(BOOK, data=True).status,
        ada.get(BOOK).status,
        ada.get("/none/").status,
        ada.delete(f"{BOOK}a.vcf").status,
    ] == [204, 200, 200, 207, 207, 200, 404, 204]


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (BusyError(7), 503, {"Retry-After": "7"}),
        (UnavailableError("secret host"), 503, {"Retry-After": "30"}),
        (ZeroDivisionError("secret detail"), 500, {}),
    ],
)
def test_trouble_inside_is_answered_without_its_details(ada, monkeypatch, caplog, error, status, headers):
    def broken(_request):
        raise error

    monkeypatch.setattr(dispatcher, "METHODS", {**dispatcher.METHODS, "GET": broken})
    answer = ada.get("/")

    assert (answer.status, answer.conditions) == (status, [])
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    assert {name: answer.headers[name] for name in headers} == headers
    assert ("secret" in caplog.text) == ("secret" in str(error))


def test_a_streamed_answer_that_breaks_is_cut_and_logged(ada, organisation, monkeypatch, caplog):
    organisation.put("ada", "contacts", "a.vcf", card("a"))

    def broken(*_arguments):
        raise UnavailableError("gone")

    monkeypatch.setattr(reading, "get_many", broken)
    with pytest.raises(UnavailableError):
        ada.get(BOOK)
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_no_password_is_ever_logged(application, organisation, caplog):
    caplog.set_level(logging.DEBUG)
    Client(application, "ada", "wrong-pass-word").get("/")
    Client(application, "ada").get("/")

    assert "Failed login" in caplog.text
    assert "wrong-pass-word" not in caplog.text
    assert "adaada" not in caplog.text


@pytest.mark.parametrize("section", ["storage", "rights"])
def test_the_server_works_with_its_own_plugins_only(database_url, tmp_path, section):
    path = write_configuration(tmp_path, database_url)
    other = {"storage": "multifilesystem", "rights": "owner_only"}[section]
    text = path.read_text().replace(
        f"[{section}]\ntype = radicale_shared.{PLUGINS[section]}", f"[{section}]\ntype = {other}"
    )
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=section):
        Application(settings.load_configuration(str(path)))


PLUGINS = {"storage": "storage_plugin", "rights": "auth_plugin"}


# -- XML out -----------------------------------------------------------------------------------------------------------


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\r\n\t")))
def test_text_in_xml_comes_back_as_it_was(text):
    assert (ET.fromstring(f"<x>{xml.escape(text)}</x>").text or "") == text
    assert ET.fromstring(f'<x a="{xml.escape_attribute(text)}"/>').get("a") == text


def test_a_multistatus_is_written_in_pieces_of_bounded_size():
    responses = (xml.response(f"/{number}", "x" * 1000) for number in range(1000))
    pieces = list(xml.multistatus(responses, "<sync-token>t</sync-token>"))

    assert len(pieces) > 10
    assert max(map(len, pieces)) < 70_000
    assert b"".join(pieces).count(b"<response>") == 1000
    assert pieces[-1].endswith(b"<sync-token>t</sync-token></multistatus>\n")


def test_a_small_body_that_an_answer_has_no_use_for_is_read_and_the_connection_can_go_on(application, ada):
    behind = b"PROPFIND / HTTP/1.1"
    for client, path, status in ((Client(application), "/ada/", 401), (ada, "/ada/nothing~here/x.vcf", 404)):
        stream = Dripping(b"x" * 1000 + behind)
        client.environ = {"wsgi.input": stream, "CONTENT_LENGTH": "1000"}

        assert client.request("PUT", path).status == status
        assert stream.read(100) == behind[:3]


def test_nothing_is_read_of_a_large_body_of_somebody_who_does_not_sign_in(application):
    stream = Dripping(b"x" * 100)
    stranger = Client(application, environ={"wsgi.input": stream, "CONTENT_LENGTH": "100000000"})

    assert stranger.request("PUT", "/ada/contacts/x.vcf").status == 401
    assert stream.tell() == 0
