"""What a card must be to be stored: one readable vCard 3.0 or 4.0 with one UID (RFC 6352, section 5.1 and 6.3.2.1).

Deliberately little. FN and N are missing in real cards, real cards have lines that are no content lines, and a write
that is refused leaves a phone stuck. Refused is only what can't be kept, found or handed out again.
"""

from __future__ import annotations

from radicale_shared.errors import NotAVCardError, TooLargeError, UnsupportedVersionError
from radicale_shared.vcard.card import Card
from radicale_shared.vcard.values import is_utf8

VERSIONS = ("3.0", "4.0")
MAX_UID_BYTES = 1000  # a UID is indexed, for which PostgreSQL has a limit; no real one has more than some dozens

# What a card is made of costs many times its bytes while it is read.
MAX_LINES = 200_000  # folded ones counted: a photo of 10 MB has 140,000
MAX_PROPERTIES = 50_000  # members of a group are some thousands
MAX_PARAMETERS = 100_000  # with their values; no real card has more than some thousands

# XML 1.0, section 2.2. Cards travel inside XML (address-data), where these can't be written, not even as references.
# In UTF-8 the surrogates of that list are no valid bytes in the first place.
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
_NONCHARACTERS = ("\ufffe".encode(), "\uffff".encode())


def require_few_lines(data: bytes) -> None:
    """Raise NotAVCardError for more lines than are read; to be asked before ``Card.parse`` reads what anybody sent."""
    if data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n") > MAX_LINES:
        raise NotAVCardError(f"The vCard has more than {MAX_LINES} lines.")


def check(data: bytes, max_size: int | None = None) -> Card:
    """The card in ``data`` if it may be stored; it is stored as these very bytes.

    max_size: in bytes; None for any size

    Raises TooLargeError; UnsupportedVersionError for another VERSION than 3.0 and 4.0, or none; NotAVCardError for
    everything else: not UTF-8 (folds that cut a character too, which ``Card.with_whole_characters`` mends), characters
    that XML can't carry, not exactly one card, BEGIN and END that don't match, not exactly one UID of at most 1000
    bytes, more lines, properties or parameters than anybody needs.
    """
    if max_size is not None and len(data) > max_size:
        raise TooLargeError(len(data), max_size)
    if not is_utf8(data):
        raise NotAVCardError("The vCard is not valid UTF-8.")
    if len(data.translate(None, _CONTROLS)) < len(data) or any(found in data for found in _NONCHARACTERS):
        raise NotAVCardError("The vCard contains control characters that can't be handed to clients.")

    require_few_lines(data)
    card = Card.parse(data)
    if len(card.lines) > MAX_PROPERTIES:
        raise NotAVCardError(f"The vCard has more than {MAX_PROPERTIES} properties.")
    if sum(line.most_parameters for line in card.lines) > MAX_PARAMETERS:
        raise NotAVCardError(f"The vCard has more than {MAX_PARAMETERS} parameters.")
    if any(line.name in ("BEGIN", "END") for line in card.lines):
        raise NotAVCardError("Inside the vCard there is a BEGIN or END line that belongs to nothing.")

    versions = card.all("VERSION")
    if len(versions) > 1:
        raise NotAVCardError("The vCard has more than one VERSION.")
    if card.version not in VERSIONS:
        raise UnsupportedVersionError(card.version[:20])

    uids = card.all("UID")
    if len(uids) > 1:
        raise NotAVCardError("The vCard has more than one UID.")
    if not card.uid:
        raise NotAVCardError("The vCard has no UID.")
    if any(char < " " and char != "\t" for char in card.uid):
        raise NotAVCardError("The vCard's UID has control characters.")
    if len(card.uid.encode()) > MAX_UID_BYTES:
        raise NotAVCardError(f"The vCard's UID is longer than {MAX_UID_BYTES} bytes.")
    return card
