"""Views that hide fields apply under a plain Radicale too: nothing hidden is shown, and no write loses any."""

import pytest

from radicale_shared import books, grants, integrity, reading
from radicale_shared.access import Role, administrator
from tests.canaries import EVERY_FIELD, WORD, found_in
from tests.canaries import card as canaries
from tests.conftest import BY

BOOK = "/carla/sales~leads/"
A = f"{BOOK}a.vcf"


def let_in(organisation, *hide):
    with organisation.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.give(session, book, "user:carla", Role.CURATOR, by=BY, hide=hide)


def stored(organisation, href="a.vcf"):
    with organisation.db.read() as session:
        return reading.get(session, administrator(books.find(session, "sales/leads")), href).data


@pytest.fixture
def filled(organisation, a_card):
    let_in(organisation, "note", "tel:home")
    organisation.put("ada", "sales~leads", "a.vcf", secret(a_card))
    return organisation


def secret(a_card):
    return a_card("a", "Ada", "NOTE:secret", "TEL;TYPE=home:1", "EMAIL:a@b.example")


def test_no_byte_of_any_answer_is_of_a_hidden_field(organisation, carla, ada, tools):
    let_in(organisation, *EVERY_FIELD)
    data, count = canaries("a", "3.0")
    organisation.put("ada", "sales~leads", "a.vcf", data)
    organisation.put("ada", "sales~leads", "b.vcf", canaries("b", "4.0")[0])

    def reads():
        yield from (carla.get(A), carla.request("HEAD", A), carla.get(BOOK), carla.multiget(BOOK, A, f"{BOOK}b.vcf"))
        for depth in "01":
            yield carla.propfind(BOOK, depth=depth)
            yield carla.propfind(BOOK, "D:getetag", "D:getcontentlength", "C:address-data", depth=depth)
        yield carla.propfind(A)
        yield carla.propfind(A, "D:getcontentlength", "C:address-data")
        yield carla.sync(BOOK)
        for name in ("NOTE", "TEL", "X-THING", "ADR", "FN"):
            yield carla.query(BOOK, tools.prop_match(name, WORD))
            yield carla.query(BOOK, tools.prop_match(name, WORD, negate_condition="yes"))
            yield carla.query(BOOK, f'<C:prop-filter name="{name}"><C:is-not-defined/></C:prop-filter>')

    answers = [*reads()]
    seen = carla.get(A)
    answers += [
        carla.put(A, seen.body.replace(b"Ada Lovelace", b"Ada King"), if_match=seen.etag),
        carla.put(A, seen.body, if_match='"stale"'),
        carla.put(f"{BOOK}c.vcf", seen.body),
        carla.move(A, "/carla/contacts/a.vcf"),
        *reads(),
    ]

    assert [found_in(one.body, repr(one.headers).encode()) for one in answers] == [set()] * len(answers)
    assert len([one for one in answers if one.status < 300]) > 50
    assert found_in(stored(organisation)) == set(range(count))
    assert found_in(ada.get("/ada/sales~leads/a.vcf").body) == set(range(count))
    assert carla.query(BOOK, tools.prop_match("NOTE", WORD)).hrefs == []
    assert len(carla.query(BOOK, tools.prop_match("FN", "Ada")).hrefs) == 2


@pytest.mark.parametrize("named", [True, False])
def test_an_edit_keeps_what_is_hidden(filled, carla, a_card, named):
    seen = carla.get(A)
    assert seen.body == a_card("a", "Ada", "EMAIL:a@b.example")
    sent = seen.body.replace(b"a@b", b"c@d")
    answer = carla.put(A, sent, **({"if_match": seen.etag} if named else {}))

    assert stored(filled) == secret(a_card).replace(b"a@b", b"c@d")
    assert (carla.get(A).body, carla.get(A).etag) == (sent, answer.etag)
    assert list(integrity.problems(filled.db)) == []


@pytest.mark.parametrize("path", [A, f"{BOOK}new.vcf"])
def test_a_write_of_which_the_sender_sees_a_part_names_no_state_that_there_is(filled, carla, a_card, path):
    sent = a_card("a" if path == A else "new", "Ada", "NOTE:mine", "EMAIL:a@b.example")
    told = carla.put(path, sent).etag
    found = carla.get(path)

    assert found.body == sent.replace(b"NOTE:mine\r\n", b"")
    assert found.etag != told
    assert carla.put(path, sent, if_match=told).status == 412


def test_who_names_the_state_they_see_edits_that_one(filled, carla, ada, a_card):
    ada.put("/ada/sales~leads/a.vcf", a_card("a", "Ada", "NOTE:secret", "TITLE:Lady", "URL:x"))
    before = a_card("a", "Ada", "EMAIL:a@b.example", "TITLE:Countess")
    carla.put(A, before, if_match=carla.get(A).etag)

    assert stored(filled) == a_card("a", "Ada", "NOTE:secret", "TITLE:Countess", "EMAIL:a@b.example")


def test_a_card_is_not_moved_out_of_a_view(filled, carla, a_card):
    assert carla.move(A, "/carla/contacts/a.vcf").status == 403
    assert carla.get("/carla/contacts/a.vcf").status == 404
    assert stored(filled) == secret(a_card)
