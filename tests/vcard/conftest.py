"""Cards for the tests of the vCard engine: our own corpus, and one card to work with."""

from pathlib import Path

import pytest

from radicale_shared.vcard import Card

CORPUS = Path(__file__).parent.parent / "corpus"


@pytest.fixture(params=sorted(CORPUS.glob("*.vcf")), ids=lambda path: path.stem)
def corpus_file(request: pytest.FixtureRequest) -> bytes:
    """Each file of our own corpus in turn."""
    return request.param.read_bytes()


@pytest.fixture
def corpus():
    """Read a file of our own corpus by its name without ending."""
    return lambda name: (CORPUS / f"{name}.vcf").read_bytes()


@pytest.fixture
def ada() -> Card:
    return Card.parse(
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:ada-1\r\nFN:Ada Lovelace\r\nN:Lovelace;Ada;;;\r\n"
        b"item1.TEL;type=CELL;type=pref:+49 30 1\r\nitem1.X-ABLabel:Mill\r\nTEL:+49 30 2\r\nEND:VCARD\r\n"
    )
