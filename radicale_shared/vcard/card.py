"""One card as its lines: read without loss, edited without touching what isn't meant; and files of many cards.

Nothing here asks whether a card may be stored; that is ``checking``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard.lines import (
    ContentLine,
    content_lines,
    ends_softly,
    fold_line,
    is_mark,
    line_end,
    rebuild_line,
    unfold,
    with_line_ends,
)
from radicale_shared.vcard.values import is_utf8

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Card:
    """A vCard of any version. Immutable: an edit gives a new card that shares every other line with the old one.

    head: everything up to and with the BEGIN line (a BOM and blank lines before it too)
    lines: the lines between BEGIN and END, blank ones too; a nested card is part of its AGENT line
    tail: the END line and blank lines after it
    """

    head: bytes
    lines: tuple[ContentLine, ...]
    tail: bytes

    @classmethod
    def parse(cls, data: bytes) -> Card:
        """The one card in ``data``; ``serialise`` gives ``data`` back.

        A BOM at the start and blank lines around the card are kept, lines that are no content lines as well.

        Raises NotAVCardError if ``data`` is not exactly one card with its END.
        """
        start = len(BOM) if data.startswith(BOM) else 0
        lines: list[ContentLine] = []
        head = tail = 0  # positions in data, 0 as long as the mark wasn't met
        position = start
        for line in _nested_joined(content_lines(data[start:])):
            end = position + len(line.raw)
            if tail:
                if is_mark(line, "BEGIN"):
                    raise NotAVCardError("There is more than one vCard where one was expected.")
                if line.raw.strip():
                    raise NotAVCardError("There is something after the vCard's END line.")
            elif not head:
                if is_mark(line, "BEGIN"):
                    head = end
                elif line.raw.strip():
                    raise NotAVCardError("The data doesn't begin with BEGIN:VCARD.")
            elif is_mark(line, "END"):
                tail = position
            elif is_mark(line, "BEGIN"):
                raise NotAVCardError("A second vCard begins before the first one has ended.")
            else:
                lines.append(line)
            position = end
        if not head:
            raise NotAVCardError("There is no vCard: the data is empty.")
        if not tail:
            raise NotAVCardError("The vCard has no END line; it may have been cut off.")
        return cls(data[:head], tuple(lines), data[tail:])

    def serialise(self) -> bytes:
        """The card's exact bytes."""
        return b"".join((self.head, *(line.raw for line in self.lines), self.tail))

    @property
    def eol(self) -> bytes:
        """The card's own line ending, that of its BEGIN line."""
        return line_end(self.head) or b"\r\n"

    @property
    def version(self) -> str:
        """What VERSION says, e.g. ``"3.0"``; empty if there is none."""
        return self.text("VERSION").strip()

    @property
    def uid(self) -> str:
        """The UID as text without blanks around it; empty if there is none."""
        return self.text("UID").strip()

    def first(self, name: str) -> ContentLine | None:
        """The first line of the property ``name`` (any case), in whatever group it is."""
        name = name.upper()
        return next((line for line in self.lines if line.name == name), None)

    def all(self, name: str) -> list[ContentLine]:
        """The lines of the property ``name`` (any case), of all groups, in the card's order."""
        name = name.upper()
        return [line for line in self.lines if line.name == name]

    def text(self, name: str) -> str:
        """The first value of ``name`` as people read it; empty if there is none."""
        line = self.first(name)
        return line.text if line else ""

    def texts(self, name: str) -> list[str]:
        """The values of ``name`` as people read them, in the card's order."""
        return [line.text for line in self.all(name)]

    def replace_value(self, line: ContentLine, new_raw_value: str) -> Card:
        """The card with another raw (escaped) value in ``line``; its group, name and parameters stay as written.

        Raises ValueError for a value with a line break, and for a line that is opaque or not in this card.
        """
        return self.replace_line(line, rebuild_line(line, new_raw_value, self.eol))

    def replace_line(self, line: ContentLine, new: ContentLine | bytes) -> Card:
        """The card with ``new`` in the place of ``line``.

        Raises ValueError if ``line`` is not in this card or ``new`` is not one line.
        """
        at = self._index(line)
        return replace(self, lines=(*self.lines[:at], self._own(new), *self.lines[at + 1 :]))

    def remove(self, line: ContentLine) -> Card:
        """The card without ``line``. Raises ValueError if it is not in this card."""
        at = self._index(line)
        return replace(self, lines=self.lines[:at] + self.lines[at + 1 :])

    def append(self, line: ContentLine | bytes) -> Card:
        """The card with ``line`` at its end, before END; line breaks are written as this card's own.

        Raises ValueError if ``line`` is not one line that can stand in a card.
        """
        at = len(self.lines)
        if at and ends_softly(self.lines[-1].raw):
            at -= 1  # that line would take the new one along
        return replace(self, lines=(*self.lines[:at], self._own(line), *self.lines[at:]))

    def with_whole_characters(self) -> Card:
        """The card with those lines folded anew whose folds cut a UTF-8 character, so that its bytes are UTF-8.

        RFC 6350 (section 3.2) forbids such folds, the octet counting of RFC 2426 made them; unfolded the lines say the
        same before and after. Lines that are no UTF-8 when unfolded stay as they are.
        """
        return replace(self, lines=tuple(_with_whole_characters(line) for line in self.lines))

    def _index(self, line: ContentLine) -> int:
        """Where ``line`` is: the very object if it is here (duplicates!), else the first equal one."""
        for at, candidate in enumerate(self.lines):
            if candidate is line:
                return at
        try:
            return self.lines.index(line)
        except ValueError:
            raise ValueError("The line is not in this card.") from None

    def _own(self, new: ContentLine | bytes) -> ContentLine:
        raw = with_line_ends(new.raw if isinstance(new, ContentLine) else new, self.eol)
        try:
            lines = Card.parse(b"BEGIN:VCARD" + self.eol + raw + b"END:VCARD").lines
        except NotAVCardError:
            lines = ()
        if len(lines) != 1 or lines[0].raw != raw or not raw.strip() or ends_softly(raw):
            raise ValueError("This is not one line that can stand in a card.")
        return lines[0]

    def __repr__(self) -> str:
        return f"<Card {self.version or '(no version)'}, {len(self.lines)} lines>"


def _with_whole_characters(line: ContentLine) -> ContentLine:
    if is_utf8(line.raw):
        return line
    text = unfold(line.raw)
    return ContentLine(fold_line(text, line_end(line.raw))) if is_utf8(text) else line


def split_cards(data: bytes) -> Iterator[bytes]:
    """Cut a file with any number of cards into the exact bytes of each, BEGIN line to END line with its line break.

    A nested card (AGENT) stays inside its parent; a BOM and blank lines between cards are dropped. Nothing else is:
    what stands between cards is given as a piece of its own, and so is a card whose END is missing (up to the next
    BEGIN or the end of the file). ``Card.parse`` refuses such pieces, so that the caller can report them.
    """
    start = end = position = 0  # the piece under way is data[start:end]
    inside = False
    for line in _nested_joined(content_lines(data)):
        raw = line.raw
        after = position + len(raw)
        mark = line
        if not inside and raw.startswith(BOM):
            position += len(BOM)
            mark = ContentLine(raw[len(BOM) :])
        if is_mark(mark, "BEGIN"):
            if start < end:
                yield data[start:end]
            start, end, inside = position, after, True
        elif inside and is_mark(mark, "END"):
            yield data[start:after]
            start = end = after
            inside = False
        elif mark.raw.strip():
            if start == end:
                start = position
            end = after
        position = after
    if start < end:
        yield data[start:end]


def _nested_joined(lines: Iterator[ContentLine]) -> Iterator[ContentLine]:
    """``lines`` with each nested card as part of the AGENT line it follows (vCard 2.1: ``AGENT:`` and a whole card).

    Only there a BEGIN opens a nested card. Elsewhere it begins the next one, so that one lost END doesn't swallow the
    rest of a file. A nested card's own AGENT may nest further.
    """
    parts: list[bytes] = []  # the AGENT line under way with what it nests
    depth = 0  # cards open in it
    waiting = False  # the line before was an AGENT without value, whose card may follow
    for line in lines:
        nests = waiting and is_mark(line, "BEGIN")
        if parts and not nests and (depth == 0 or is_mark(line, "BEGIN")):
            # An AGENT without value and without card, or nested cards that lost their END.
            yield ContentLine(b"".join(parts))
            parts, depth = [], 0
        agent = line.value.strip().upper() if line.name == "AGENT" else None
        waiting = agent == ""
        if nests or agent == "BEGIN:VCARD":
            depth += 1
        elif depth and is_mark(line, "END"):
            depth -= 1
        if parts or depth or waiting:
            parts.append(line.raw)
            if not depth and not waiting:
                yield ContentLine(b"".join(parts))
                parts = []
        else:
            yield line
    if parts:
        yield ContentLine(b"".join(parts))
