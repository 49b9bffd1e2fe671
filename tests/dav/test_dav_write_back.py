"""Every card of the corpora in its other version: a client changes one property, and that alone differs afterwards."""

import os
from pathlib import Path

import pytest

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, ContentLine, build_line, check, fold_line, split_cards, unfold, upgrade
from tests.dav.conftest import CARDDAV, XMLNS, Client

REPOSITORY = Path(__file__).parents[2]
OWN = REPOSITORY / "tests" / "corpus"
REAL = Path(os.environ.get("RADICALE_SHARED_CARDS") or REPOSITORY / ".." / "shared" / "vcards").resolve()
BOOK = "/ada/contacts/"
URL = f"{BOOK}one.vcf"

# What people change, by the first of these that a card has; what it is changed to.
EDITED = {"TEL": "+49 30 5550 9999", "EMAIL": "new@example.com", "ORG": "New Org", "NOTE": "new note", "FN": "New Name"}

# What is stored doesn't depend on the database; test_dav_convergence tries both.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def storable():
    """Every card of both corpora that can be stored, 2.1 ones as their import has them."""
    found = []
    for folder in (OWN, REAL):
        for path in sorted(folder.rglob("*.vcf")):
            for number, piece in enumerate(split_cards(path.read_bytes())):
                try:
                    found.append(pytest.param(_with_uid(piece), id=f"{path.stem}-{number}"))
                except NotAVCardError:
                    continue  # what no version has a place for; test_vcard_checking tells what that is
    return found


def _with_uid(data):
    card = Card.parse(data)
    if card.version == "2.1":
        card = Card.parse(upgrade(data))
    card = (card if card.uid else card.append(build_line("UID", "added"))).with_whole_characters()
    check(card.serialise())
    return card.serialise()


@pytest.mark.usefixtures("database_url")
def test_there_are_cards_enough_to_mean_something():
    assert len(storable()) >= 15


@pytest.fixture
def device(application, organisation):
    return Client(application, "ada", user_agent="a client of the other version")


def shown(client, version):
    body = (
        f'<C:addressbook-multiget {XMLNS}><prop><C:address-data version="{version}"/></prop>'
        f"<href>{URL}</href></C:addressbook-multiget>"
    )
    return client.request("REPORT", BOOK, body).text(URL, f"{CARDDAV}address-data").encode()


def edited(data):
    """(the card with one property changed, that property's name)"""
    card = Card.parse(data)
    for name, value in EDITED.items():
        if line := card.first(name):
            return card.replace_line(line, build_line(name, value, line.params, line.group)), name
    return card.append(build_line("NOTE", "new note")), "NOTE"


def rewritten(card):
    """The card as a client writes it that keeps no line: other folds, other order, names in lower case."""
    lines = []
    for line in sorted(card.lines, key=lambda one: (one.name != "VERSION", one.group, one.name)):
        if line.name == "AGENT" or not line.name:
            lines.append(line)
            continue
        text = unfold(line.raw)
        header, colon, value = text.partition(b":")
        if b'"' in header:
            header, colon, value = text, b"", b""
        name, semicolon, params = header.partition(b";")
        lines.append(ContentLine(fold_line(name.lower() + semicolon + params + colon + value)))
    return Card(b"BEGIN:VCARD\r\n", tuple(lines), b"END:VCARD\r\n")


def without_parameters(card):
    """The card as a client sends it that drops parameters it doesn't know; and the properties of the conversion."""
    lines = []
    for line in card.lines:
        kept = [(key, values) for key, values in line.params if not key.startswith("X-VCARD")]
        if line.name.startswith("X-VCARD"):
            continue
        lines.append(build_line(line.name, line.value, kept, line.group) if len(kept) < len(line.params) else line)
    return Card(b"BEGIN:VCARD\r\n", tuple(lines), b"END:VCARD\r\n")


def changed_names(before, after):
    """The names of the properties of which a line is in one of two cards only."""
    ones, others = list(Card.parse(before).lines), list(Card.parse(after).lines)
    for line in list(ones):
        if line in others:
            ones.remove(line)
            others.remove(line)
    return {line.name for line in ones + others}


# What clients do to what they were sent.
HABITS = {
    "keeping lines": lambda card: card,
    "rewriting all": rewritten,
    "dropping parameters": lambda card: rewritten(without_parameters(card)),
}


@pytest.mark.parametrize("data", storable())
@pytest.mark.parametrize("habit", HABITS)
def test_exactly_the_property_that_a_client_of_the_other_version_changed_differs_afterwards(ada, device, data, habit):
    assert ada.put(URL, data).status == 201
    other = "3.0" if Card.parse(data).version == "4.0" else "4.0"
    card, name = edited(shown(device, other))
    sent = HABITS[habit](card).serialise()

    answer = device.put(URL, sent, If_Match=ada.get(URL).etag)

    assert answer.status == 204, answer.body
    stored = ada.get(URL).body
    assert changed_names(data, stored) == {name}
    assert EDITED[name].encode() in stored.replace(b"\r\n ", b"").replace(b"\n ", b"")


@pytest.mark.parametrize("data", storable())
@pytest.mark.parametrize("habit", HABITS)
def test_a_card_that_comes_back_as_it_was_shown_is_left_as_it_was(ada, device, data, habit):
    ada.put(URL, data)
    other = "3.0" if Card.parse(data).version == "4.0" else "4.0"
    device.put(URL, HABITS[habit](Card.parse(shown(device, other))).serialise(), If_Match=ada.get(URL).etag)
    assert ada.get(URL).body == data
