"""Views that hide fields, over HTTP: no answer to a reader has a byte of what is hidden, and no write loses any."""

import base64
import gzip
import re
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books, grants, reading
from radicale_shared.access import Role, administrator
from radicale_shared.vcard.fields import PROPERTIES
from tests.canaries import EVERY_FIELD, WORD, canary, found_in
from tests.canaries import NAMES as NAMES_WITH_CANARIES
from tests.canaries import card as canaries
from tests.conftest import BY, card, examples
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, etags_of, token_of

BOOK = "/carla/sales~leads/"
A = f"{BOOK}a.vcf"
OWN = "/carla/contacts/"
MAC = "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13"
SECRET = card("a", "Ada", "NOTE:secret", "TEL;TYPE=home:1", "EMAIL:a@b.example")
SEEN = card("a", "Ada", "EMAIL:a@b.example")


def let_in(organisation, *hide, role=Role.CURATOR):
    with organisation.db.write() as session:
        grants.give(session, books.find(session, "sales/leads"), "user:carla", role, by=BY, hide=hide)


def hide(organisation, *fields):
    """Hide other fields from Carla."""
    with organisation.db.write() as session:
        grants.change(session, books.find(session, "sales/leads"), "user:carla", by=BY, hide=fields)


def stored(organisation, href="a.vcf"):
    with organisation.db.read() as session:
        found = reading.get(session, administrator(books.find(session, "sales/leads")), href)
    return found.data if found else None


@pytest.fixture
def filled(organisation):
    let_in(organisation, "note", "tel:home")
    organisation.put("ada", "sales~leads", "a.vcf", SECRET)
    return organisation


def report(name, inside, prop="<getetag/><C:address-data/>"):
    return f"<{name} {XMLNS}><prop>{prop}</prop>{inside}</{name}>"


def address_data(version="", *names):
    form = f' content-type="text/vcard" version="{version}"' if version else ""
    listed = "".join(f'<C:prop name="{name}"/>' for name in names)
    return f"<C:address-data{form}>{listed}</C:address-data>"


# -- the canary --------------------------------------------------------------------------------------------------------


def _reads(client, book):
    """All ways to read a book that there are."""
    a = f"{book}a.vcf"
    props = "<getetag/><getcontentlength/><getlastmodified/><resourcetype/><displayname/><quota-used-bytes/><owner/>"
    yield client.get(a)
    yield client.request("HEAD", a)
    for version in ("3.0", "4.0"):
        yield client.get(a, Accept=f"text/vcard;version={version}")
    yield client.get(a, If_None_Match='"x"', Accept_Encoding="gzip")
    yield client.get(book)
    yield client.get(book, Accept_Encoding="gzip")
    yield client.request("OPTIONS", a)
    for path, depth in ((book, "0"), (book, "1"), (a, "0"), (a, "1"), ("/carla/", "1"), ("/", "1")):
        yield client.request("PROPFIND", path, f"<propfind {XMLNS}><allprop/></propfind>", Depth=depth)
        yield client.request("PROPFIND", path, f"<propfind {XMLNS}><propname/></propfind>", Depth=depth)
        asked = f"<propfind {XMLNS}><prop>{props}<C:address-data/><acl/></prop></propfind>"
        yield client.request("PROPFIND", path, asked, Depth=depth)
    hrefs = f"<href>{a}</href><href>{book}b.vcf</href>"
    words = ["NOTE", "TEL", "X-THING", "X-ABLabel", "PHOTO", "item1.TEL", "X-VCARD4-LANG"]
    for data in (address_data(), address_data("3.0"), address_data("4.0"), address_data("3.0", *words)):
        prop = f"<getetag/><getcontentlength/>{data}"
        yield client.request("REPORT", book, report("C:addressbook-multiget", hrefs, prop))
        everything = '<C:filter><C:prop-filter name="UID"/></C:filter>'
        yield client.request("REPORT", book, report("C:addressbook-query", everything, prop))
        tokens = "<sync-token/><sync-level>1</sync-level>"
        yield client.request("REPORT", book, report("sync-collection", tokens, prop))
    for word in ("NOTE", "TEL", "X-THING", "ADR", "PHOTO"):
        for condition in (
            f"<C:text-match>{WORD}</C:text-match>",
            f'<C:text-match negate-condition="yes">{WORD}</C:text-match>',
            "<C:is-not-defined/>",
            f'<C:param-filter name="TYPE"><C:text-match>{WORD}</C:text-match></C:param-filter>',
        ):
            filter_ = f'<C:filter><C:prop-filter name="{word}">{condition}</C:prop-filter></C:filter>'
            yield client.request("REPORT", book, report("C:addressbook-query", filter_))
    expanded = f"<expand-property {XMLNS}><property name='owner'><property name='displayname'/></property>"
    yield client.request("REPORT", a, f"{expanded}<property name='getcontentlength'/></expand-property>", Depth="0")
    wrong = f'<C:filter><C:prop-filter name="NOTE"><C:text-match collation="{WORD}">x</C:text-match></C:prop-filter>'
    yield client.request("REPORT", book, report("C:addressbook-query", f"{wrong}</C:filter>"))


def _writes(client, book, version):
    """Writes that are answered with what is there, that are refused, or that are seen afterwards."""
    a, seen = f"{book}a.vcf", client.get(f"{book}a.vcf")
    edited = seen.body.replace(b"Ada Lovelace", b"Ada King")
    yield client.put(a, edited, If_Match='"stale"', Prefer="return=representation")
    yield client.put(a, seen.body, If_Match=seen.etag, Prefer="return=representation")
    yield client.put(a, edited, If_Match=seen.etag, Prefer="return=representation")
    yield client.put(a, edited.replace(b"Ada King", b"Ada"), Prefer="return=representation")
    other = card("a", "Ada Lovelace", "TITLE:Countess", version="4.0" if version == "3.0" else "3.0")
    yield client.put(a, other, Prefer="return=representation")
    yield client.delete(a, If_Match='"stale"', Prefer="return=representation")
    yield client.put(f"{book}other.vcf", card("a", "Same UID"))
    yield client.put(a, card("z", "Another UID"))
    yield client.put(a, b"no card")
    yield client.put(a, card("a", "Ada Lovelace", "BDAY:1900-01-01", "NOTE:mine"), Prefer="return=representation")
    yield client.request("POST", book, card("new", "New", "NOTE:mine"), Prefer="return=representation")
    yield client.request("MOVE", a, Destination=f"{OWN}moved.vcf")
    yield client.request("COPY", a, Destination=f"{OWN}copied.vcf")
    yield client.get(f"{OWN}copied.vcf")
    yield client.request("PROPPATCH", a, f"<propertyupdate {XMLNS}><set><prop><x/></prop></set></propertyupdate>")
    yield client.request("PROPPATCH", book, f"<propertyupdate {XMLNS}><set><prop><x/></prop></set></propertyupdate>")


def _everything_of(answer):
    body = answer.body
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return [body, repr(sorted(answer.headers.items())).encode()]


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_no_byte_of_any_answer_is_of_a_hidden_field(organisation, carla, ada, version):
    let_in(organisation, *EVERY_FIELD)
    data, count = canaries("a", version)
    organisation.put("ada", "sales~leads", "a.vcf", data)
    organisation.put("ada", "sales~leads", "b.vcf", canaries("b", "4.0" if version == "3.0" else "3.0")[0])
    mac = Client(carla.application, "carla", user_agent=MAC)
    merged = f"/carla/all/{organisation.access('carla', 'sales~leads').book.uuid}-"

    answers = [*_reads(carla, BOOK), *_writes(carla, BOOK, version), *_reads(carla, BOOK)]
    answers += [
        *(mac.get(f"{merged}a.vcf"), mac.sync("/carla/all/", data=True), mac.multiget("/carla/all/", f"{merged}a.vcf")),
        mac.propfind("/carla/all/", "getetag", "getcontentlength", "quota-used-bytes", depth="1"),
    ]

    assert [found_in(*_everything_of(one)) for one in answers] == [set()] * len(answers)
    assert len([one for one in answers if one.status < 300]) > 90
    assert found_in(stored(organisation)) == found_in(data) == set(range(count))
    for read in (ada.get("/ada/sales~leads/a.vcf"), ada.sync("/ada/sales~leads/", data=True)):
        assert found_in(read.body) >= set(range(count))
    for other in ("3.0", "4.0"):
        body = report("C:addressbook-multiget", "<href>/ada/sales~leads/a.vcf</href>", address_data(other))
        # Of a mark of a conversion that isn't true of its line, a conversion keeps nothing.
        assert len(found_in(ada.request("REPORT", "/ada/sales~leads/", body).body)) >= count - 1


@pytest.mark.parametrize("field", EVERY_FIELD)
def test_of_one_hidden_field_nothing_is_seen_and_of_the_others_all_that_is_surely_theirs(organisation, carla, field):
    let_in(organisation, field)
    organisation.put("ada", "sales~leads", "a.vcf", canaries("a", "3.0")[0])
    hidden = {at for at, name in enumerate(NAMES_WITH_CANARIES) if name in PROPERTIES.get(field, ())}

    for read in (carla.get(A), carla.sync(BOOK, data=True), carla.multiget(BOOK, A), carla.get(BOOK)):
        seen = found_in(read.body)
        assert seen.intersection(range(len(NAMES_WITH_CANARIES))) == set(range(len(NAMES_WITH_CANARIES))) - hidden
        assert len(seen) < len(found_in(stored(organisation)))


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_reader_is_given_the_rest_with_an_etag_of_the_view(carla, ada, filled):
    answer = carla.get(A)

    assert (answer.body, answer.headers["Content-Length"]) == (SEEN, str(len(SEEN)))
    assert answer.etag == etags_of(carla, BOOK)[A] != ada.get("/ada/sales~leads/a.vcf").etag
    assert carla.get(A, If_None_Match=answer.etag).status == 304
    assert carla.get(BOOK).body == SEEN


def test_sizes_of_what_is_hidden_are_not_told(carla, ada, filled):
    names = ("getcontentlength", "quota-used-bytes", "quota-available-bytes")
    listed = carla.propfind(BOOK, *names, depth="1")
    whole = ada.propfind("/ada/sales~leads/", *names, depth="1")

    assert all(listed.prop(href, f"{DAV}{name}") is None for href in listed.hrefs for name in names)
    assert whole.text("/ada/sales~leads/a.vcf", f"{DAV}getcontentlength") == str(len(SECRET))
    assert whole.text("/ada/sales~leads/", f"{DAV}quota-used-bytes") == str(len(SECRET))
    assert carla.propfind(A, "getcontentlength").text(A, f"{DAV}getcontentlength") == str(len(SEEN))


def test_the_other_version_is_made_of_what_is_seen(carla, filled):
    assert carla.get(A, Accept="text/vcard;version=4.0").body.splitlines() == [
        *(b"BEGIN:VCARD", b"VERSION:4.0", b"UID:a", b"FN:Ada", b"N:Ada;;;;", b"EMAIL:a@b.example", b"END:VCARD")
    ]


# -- writing -----------------------------------------------------------------------------------------------------------


def test_an_edit_that_comes_out_as_it_was_sent_is_answered_with_its_etag(carla, filled, organisation):
    sent = card("a", "Ada", "EMAIL:c@d.example")
    answer = carla.put(A, sent, If_Match=carla.get(A).etag)

    assert (answer.status, answer.etag) == (204, carla.get(A).etag)
    assert carla.get(A).body == sent
    assert stored(organisation) == SECRET.replace(b"a@b", b"c@d")


@pytest.mark.parametrize("path", [A, f"{BOOK}new.vcf"])
def test_a_write_of_which_the_sender_sees_a_part_is_answered_without_etag(carla, filled, path, organisation):
    sent = card("a" if path == A else "new", "Ada", "NOTE:mine", "EMAIL:a@b.example")
    answer = carla.put(path, sent)

    assert answer.status == (204 if path == A else 201)
    assert "ETag" not in answer.headers
    assert carla.get(path).body == sent.replace(b"NOTE:mine\r\n", b"")
    assert b"NOTE:mine" in stored(organisation, path.rpartition("/")[2])


def test_the_card_as_it_is_seen_comes_back_with_a_write_and_with_a_failed_condition(carla, filled):
    edited = card("a", "Ada", "EMAIL:c@d.example", "NOTE:mine")
    failed = carla.put(A, edited, If_Match='"stale"', Prefer="return=representation")
    done = carla.put(A, edited, Prefer="return=representation")

    assert (failed.status, failed.body) == (412, SEEN)
    assert (done.status, done.body, done.etag) == (200, card("a", "Ada", "EMAIL:c@d.example"), carla.get(A).etag)


def test_conditions_name_the_state_by_the_etag_of_the_view(carla, filled):
    etag = carla.get(A).etag
    edited = card("a", "Ada", "EMAIL:c@d.example")

    assert carla.put(A, edited, If='(["stale"])').status == 412
    assert carla.put(A, edited, If=f"([{etag}])").status == 204
    assert carla.put(A, SEEN, If_Match=etag).status == 412


def test_a_card_is_moved_out_of_a_view_by_nobody_who_would_then_see_it(carla, filled, organisation):
    answer = carla.request("MOVE", A, Destination=f"{OWN}a.vcf")

    assert answer.status == 403
    assert answer.conditions == ["need-privileges"]
    assert answer.xml.find(f".//{DAV}href").text == BOOK
    assert carla.get(f"{OWN}a.vcf").status == 404
    assert stored(organisation) == SECRET
    assert carla.request("COPY", A, Destination=f"{OWN}a.vcf").status == 201
    assert carla.get(f"{OWN}a.vcf").body == SEEN


def test_a_card_is_replaced_through_a_view_by_no_copy(carla, filled, organisation):
    carla.put(f"{OWN}a.vcf", card("a", "Mine"))
    for method in ("COPY", "MOVE"):
        answer = carla.request(method, f"{OWN}a.vcf", Destination=A)
        assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert stored(organisation) == SECRET


FIELDS = st.frozensets(st.sampled_from(["note", "tel", "tel:home", "email", "bday"]), max_size=3)
LINES = st.frozensets(
    st.sampled_from(["NOTE:secret", "TEL;TYPE=home:1", "TEL:2", "EMAIL:a@b.example", "BDAY:1815-12-10"])
)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("hide"), FIELDS),
        st.tuples(st.sampled_from(["a.vcf", "b.vcf"]), LINES),
        st.tuples(st.just("sync"), st.none()),
    ),
    max_size=8,
)


@examples(30)
@given(DEEDS)
def test_whatever_is_hidden_from_now_on_a_client_ends_with_what_it_may_see(carla, filled, organisation, deeds):
    held, token = {}, ""
    for kind, what in [*deeds, ("sync", None), ("hide", {"note"}), ("sync", None)]:
        if kind == "hide":
            hide(organisation, *what)
        elif kind != "sync":
            uid = kind.removesuffix(".vcf")
            organisation.put("ada", "sales~leads", kind, card(uid, uid, *sorted(what)))
        else:
            answer = carla.sync(BOOK, token, data=True)
            held |= {
                href: (answer.text(href, f"{DAV}getetag"), answer.text(href, f"{CARDDAV}address-data").encode())
                for href in answer.hrefs
            }
            token = answer.token

            assert set(held) == set(etags_of(carla, BOOK))
            for href, (etag, data) in held.items():
                found = carla.get(href)
                assert (found.etag, found.body) == (etag, data)
    assert carla.sync(BOOK, token).hrefs == []
    assert token == token_of(carla, BOOK)


def test_a_change_of_the_hidden_fields_tells_of_every_card(carla, filled, organisation):
    organisation.put("ada", "sales~leads", "b.vcf", card("b", "Ben"))
    token = carla.sync(BOOK).token
    for fields in (("note",), (), ("email",)):
        hide(organisation, *fields)
        answer = carla.sync(BOOK, token)
        assert set(answer.hrefs) == {A, f"{BOOK}b.vcf"}
        token = answer.token


# -- searching ---------------------------------------------------------------------------------------------------------

NAMES = ["NOTE", "TEL", "EMAIL", "X-THING", "FN", "ADR", "item1.TEL"]
TEXTS = st.sampled_from(["secret", "1", "a", "home", "lake", "mill", ""])
CONDITIONS = st.one_of(
    st.just("<C:is-not-defined/>"),
    st.just(""),
    st.tuples(st.sampled_from(["contains", "equals", "starts-with"]), st.sampled_from(["yes", "no"]), TEXTS).map(
        lambda one: '<C:text-match match-type="{}" negate-condition="{}">{}</C:text-match>'.format(*one)
    ),
    st.tuples(st.sampled_from(["TYPE", "X-A"]), TEXTS).map(
        lambda one: '<C:param-filter name="{}"><C:text-match>{}</C:text-match></C:param-filter>'.format(*one)
    ),
)
FILTERS = st.tuples(
    st.sampled_from(["anyof", "allof"]),
    st.lists(st.tuples(st.sampled_from(NAMES), CONDITIONS), max_size=3),
).map(
    lambda one: '<C:filter test="{}">{}</C:filter>'.format(
        one[0], "".join(f'<C:prop-filter name="{escape(name)}">{inside}</C:prop-filter>' for name, inside in one[1])
    )
)
HIDDEN_LINES = st.lists(
    st.sampled_from(
        ["NOTE:secret", "TEL;TYPE=home:1", "TEL;TYPE=home;X-A=mill:2", "item1.TEL;TYPE=home:1", "NOTE:Mill"]
    ),
    max_size=3,
    unique=True,
)


@examples(40)
@given(FILTERS, st.lists(HIDDEN_LINES, min_size=3, max_size=3), st.integers(1, 3), st.sampled_from(["3.0", "4.0"]))
def test_no_search_can_tell_what_is_hidden(filled, carla, filter_, lines, most, version):
    inside = f"{filter_}<C:limit><C:nresults>{most}</C:nresults></C:limit>"
    body = report("C:addressbook-query", inside, address_data(version))
    bodies = []
    for hidden in ([], [], []), lines:
        for at, some in enumerate(hidden):
            seen = ["EMAIL:a@lake.example", "TEL;TYPE=work:1", "ADR:;;Mill"][: at + 1]
            filled.put("ada", "sales~leads", f"{at}.vcf", card(str(at), f"Card {at}", *seen, *some))
        bodies.append(carla.request("REPORT", BOOK, body).body)

    assert bodies[0] == bodies[1]


def test_a_search_finds_what_is_seen(filled, carla, ada):
    def found(client, book, name, text):
        matched = f'<C:prop-filter name="{name}"><C:text-match>{text}</C:text-match></C:prop-filter>'
        return client.request("REPORT", book, report("C:addressbook-query", f"<C:filter>{matched}</C:filter>")).hrefs

    assert found(carla, BOOK, "EMAIL", "a@b") == [A]
    assert found(carla, BOOK, "NOTE", "secret") == []
    assert found(ada, "/ada/sales~leads/", "NOTE", "secret") == ["/ada/sales~leads/a.vcf"]


def test_the_canaries_are_found_in_any_dress():
    text = canary(7)
    dressed = [
        text.encode(),
        text.upper().encode(),
        base64.b64encode(f"xy {text} z".encode()),
        re.sub(r"(.{5})", r"\1\r\n ", text).encode(),
        "".join(f"={ord(char):02X}" for char in text).encode(),
        "".join(f"%{ord(char):02x}" for char in text).encode(),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
    ]
    assert [found_in(one) for one in dressed] == [{7}] * len(dressed)
