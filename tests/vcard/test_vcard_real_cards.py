"""Cards of real clients, read where they lie, and vobject as a second opinion where it is right."""

import os
from pathlib import Path

import pytest
import vobject

from radicale_shared.vcard import Card, build_line, check, display_name, search_fields, split_cards

REPOSITORY = Path(__file__).parent.parent.parent
FOLDER = Path(os.environ.get("RADICALE_SHARED_CARDS") or REPOSITORY / ".." / "shared" / "vcards").resolve()
REAL_FILES = sorted(FOLDER.rglob("*.vcf"))

# What vobject reads wrongly or not at all, each seen with 0.9.9: 2.1 with quoted-printable or charsets, nested cards,
# lines without colon, folds that cut characters, mixed line ends, a slash in a name.
BEYOND_VOBJECT = ("2.1", "opaque", "cut-folds", "mixed", "emoji")


def real_cards() -> list:
    if not REAL_FILES:
        reason = f"no *.vcf below {FOLDER}; name a folder of cards in RADICALE_SHARED_CARDS"
        return [pytest.param(b"", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(piece, id=f"{path.relative_to(FOLDER)}-{number}")
        for path in REAL_FILES
        for number, piece in enumerate(split_cards(path.read_bytes()))
        if piece.lstrip()[:5].upper() == b"BEGIN"
    ]


@pytest.mark.parametrize("data", real_cards())
def test_a_real_card_is_kept_byte_for_byte_and_may_be_stored_once_it_has_a_uid(data):
    card = Card.parse(data)

    assert card.serialise() == data
    assert bool(display_name(card)) == any(search_fields(card).values())
    if card.version in ("3.0", "4.0"):
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
