"""What is hidden or foreign is in no answer to a phone, and no answer tells that it exists.

A phone of Ada's sees a book with canaries in hidden fields and on hidden cards; a phone of Ben's sees its twin, which
never had any of that. Their answers have to be the same bytes.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from radicale_shared import books, grants, models, people, phone_books
from radicale_shared.access import Role
from radicale_shared.card_keys import key_of
from radicale_shared.phones.formats import FORMATS
from tests import canaries
from tests.conftest import BY, card, examples

HIDE = ("note", "tel:home", "org", "title", "email", "adr", "nickname", "categories", "url", "bday", "photo", "other")
EVERY_FIELD = frozenset(
    {*("org", "title", "email", "note", "adr"), *("tel:work", "tel:mobile", "tel:home", "tel:fax", "tel:other")}
)
# Of each: a name, a number that is seen, and lines that are hidden. Without the hidden company nobody has another place
# in a list; with it everybody would have.
PEOPLE = [
    ("Eva Muster", "+49 30 23125 11", ["ORG:Zzkanarie1vogel", "TEL;TYPE=home:+49 30 23125 9901", "NOTE:Kanarie2vogel"]),
    ("Eva Muster", "+49 30 23125 12", ["ORG:Aakanarie3vogel", "TEL;TYPE=home:+49 30 23125 9902"]),
    ("Jan Berg", "+49 30 23125 13", ["EMAIL:kanarie4vogel@example.org", "TITLE:Kanarie5vogel", "NICKNAME:Kanarie6vogel"]),  # noqa: E501
    ("", "+49 30 23125 14", ["ORG:Kanarie7vogel", "EMAIL:kanarie8vogel@example.org"]),
    ("Zoe Adler", "0199001122", ["ADR:;;Kanarie9vogel;;;;", "TEL;TYPE=home:+49 30 23125 9903", "X-THING:Kanarie10vogel"]),  # noqa: E501
]  # fmt: skip
# The whole card is hidden from phones, and not there for the twin.
HIDDEN_CARDS = [("Kanarie20vogel Hidden", "+49 30 23125 9904"), ("Eva Muster", "+49 30 23125 9905")]
SECRETS = [
    *("kanarie", "zzkan", "aakan", "Kanarie2vogel", "kanarie4vogel@example.org", "hidden", "vogel", "foreign"),
    *("9901", "9902", "9903", "9904", "9905", "9906", "+49302312599", "0302312599", "2312599", "526274", "99", "52627"),
    "52627 43",
]
SEEN = ["", "eva", "muster", "m", "jan berg", "2312511", "11", "0302312513", "3820", "zo", "eva m", "+4930"]


def card_of(uid, name, *lines):
    """A card of version 4.0, whose name may be missing."""
    content = ["BEGIN:VCARD", "VERSION:4.0", f"UID:{uid}", *([f"FN:{name}"] if name else []), *lines, "END:VCARD", ""]
    return "\r\n".join(content).encode()


@pytest.fixture
def twins(organisation):
    """(organisation, the book with canaries, its twin): both of Carla's and of one name."""
    found = organisation
    with found.db.write() as session:
        carla = people.user(session, "carla")
        for slug, login, hide in (("canaries", "ada", HIDE), ("twin", "ben", ())):
            book = books.add(session, carla, slug, name="Friends", by=BY)
            grants.give(session, book, f"user:{login}", Role.VIEWER, by=BY, hide=hide)
    for slug, is_twin in (("canaries", False), ("twin", True)):
        for at, (name, number, hidden) in enumerate(PEOPLE):
            lines = [f"TEL;TYPE=work:{number}", *([] if is_twin else hidden)]
            found.put("carla", slug, f"{at}.vcf", card_of(f"u{at}", name, *lines))
    canaries_book = found.book("carla/canaries")
    for at, (name, number) in enumerate(HIDDEN_CARDS):
        found.put("carla", "canaries", f"h{at}.vcf", card_of(f"h{at}", name, f"TEL:{number}"))
        with found.db.write(canaries_book.id) as session:
            phone_books.hide_card(session, canaries_book, f"h{at}.vcf", hidden=True, by=BY)
    # Of other people: nothing of these is Ada's to see.
    found.put("carla", "contacts", "f.vcf", card("f", "Kanarie30vogel Foreign", "TEL:+49 30 23125 9906"))
    return found


@pytest.fixture
def phones(office, twins):
    """{make: (a phone that may not see the canaries, a phone for which there are none)}."""
    return {
        make: tuple(
            office(make, login=login, only=[address], fields=EVERY_FIELD, region="DE") for login, address in BOTH
        )
        for make in FORMATS
    }


BOTH = (("ada", "carla/canaries"), ("ben", "carla/twin"))


WAYS = [
    lambda sought: {"q": sought},
    lambda sought: {"q": sought, "offset": "1"},
    lambda sought: {"term": sought},
    lambda sought: {"value": sought},
    lambda sought: {"number": sought, "format": "json"},
    lambda sought: {"number": sought, "format": "gigaset"},
    lambda sought: {"command": "get_list", "type": "pb", "ln": f"{sought}*", "fn": "*", "first": "1", "count": "10"},
    lambda sought: {"command": "get_list", "type": "pb", "set_first": f"{sought}*", "first": "1", "count": "10"},
    lambda sought: {"command": "get_list", "type": "pb", "hm": sought, "reqsrc": "auto"},
]
PATHS = [
    (make, route.replace("*", "0004f2000000")) for make, made in FORMATS.items() for route in (*made.answers, "lookup")
]


def told(phone, path, parameters):
    """An answer without what differs by chance: passwords, and the numbers of contacts."""
    found = phone.get(path, **parameters)
    body = found.text.encode() if "charset=utf-16" not in found.headers["Content-Type"].lower() else found.body
    for uid, key in keys_of(phone).items():
        body = body.replace(key.encode(), uid.encode())
    status = found.status, found.headers["Content-Type"], found.headers.get("Refresh", "").replace(phone.password, "")
    return status, body.replace(phone.password.encode(), b"PASSWORD")


def keys_of(phone):
    """{UID: number of the contact} of the book that a phone shows."""
    address = dict(BOTH)[phone.profile.device.slug]
    of = models.table(models.Card).c
    with phone.db.read() as session:
        rows = session.execute(select(of.uid, of.id).where(of.book_id == books.find(session, address).id))
        return {row.uid: key_of(row.id, phone.db.secret) for row in rows}


def same(phones, make, path, parameters):
    """Whether both phones are told the same; without a canary that isn't the phone's own question."""
    of_asking, of_twin = (told(phone, path, parameters) for phone in phones[make])
    assert of_asking == of_twin, (make, path, parameters)
    if not any("kanarie" in value.lower() for value in parameters.values()):
        assert not canaries.found_in(of_asking[1]), (make, path, parameters)


def test_no_list_has_a_canary_or_differs_from_one_where_there_are_none(phones):
    for make, path in PATHS:
        same(phones, make, path, {})
        same(phones, make, path, dict(FORMATS[make].preview[1]))


parts = st.sampled_from([*SECRETS, *SEEN]).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda ends: text[min(ends) : max(ends)]
    )
)


@given(st.sampled_from(PATHS), st.sampled_from(WAYS), st.one_of(st.sampled_from([*SECRETS, *SEEN]), parts))
@example(("htek", "htek.xml"), WAYS[0], "2")
@examples(120)
def test_no_search_tells_what_is_hidden(phones, where, way, sought):
    same(phones, *where, way(sought))


def test_no_secret_finds_anybody(phones):
    for sought in SECRETS:
        same(phones, "yealink", "yealink.xml", {"q": sought})
        assert b"<Name>" not in phones["yealink"][0].get("yealink.xml", q=sought).body, sought


def test_what_is_seen_finds_everybody(phones):
    """The searches of these tests find what they may: else they would prove nothing."""
    asking = phones["yealink"][0]

    assert asking.get("yealink.xml").body.count(b"<DirectoryEntry>") == len(PEOPLE)
    assert [asking.get("yealink.xml", q=sought).body.count(b"<DirectoryEntry>") for sought in SEEN[1:4]] == [2, 2, 2]
    assert asking.get("lookup", number=PEOPLE[0][1]).text == "Eva Muster"


def test_a_phone_of_an_administrators_person_is_no_more_than_that_person(office, twins):
    """A phone's scope names a book that its owner can't read any more: nothing of it is left."""
    phone = office(login="ada", only=["carla/canaries", "ada/contacts"])
    with twins.db.write() as session:
        grants.take(session, books.find(session, "carla/canaries"), "user:ada", by=BY)

    assert b"<Name>" not in phone.get("yealink.xml").body
    assert phone.get("lookup", number=PEOPLE[0][1]).text == ""
