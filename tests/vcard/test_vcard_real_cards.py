"""Our own cards and those of real clients, read where they lie, and vobject as a second opinion where it is right."""

import pytest
import vobject

from radicale_shared.vcard import Card, build_line, check, display_name, search_fields
from tests.vcard.examples import stored_cards

# What vobject reads wrongly or not at all, each seen with 0.9.9: 2.1 with quoted-printable or charsets, nested cards,
# lines without colon, folds that cut characters, mixed line ends, a slash in a name.
BEYOND_VOBJECT = ("2.1", "opaque", "cut-folds", "mixed", "emoji")


@pytest.mark.parametrize("data", stored_cards("2.1", "3.0", "4.0"))
def test_a_card_is_kept_byte_for_byte_and_may_be_stored_once_it_has_a_uid(data):
    card = Card.parse(data)

    assert card.serialise() == data
    assert bool(display_name(card)) == any(search_fields(card).values())
    if card.version in ("3.0", "4.0"):
        card = card.with_whole_characters()
        with_uid = card if card.uid else card.append(build_line("UID", "added"))
        assert check(with_uid.serialise()).uid


def test_vobject_reads_the_same_names_numbers_and_addresses(corpus_file, request):
    if any(word in request.node.callspec.id for word in BEYOND_VOBJECT):
        pytest.skip("vobject can't read this one")
    card = Card.parse(corpus_file)
    second = vobject.readOne(corpus_file.decode())

    assert card.version == second.version.value
    for name in ("fn", "tel", "email", "uid"):
        assert card.texts(name) == [line.value for line in second.contents.get(name, [])]
