"""A stored card while units of another card are put into it; every other line keeps its bytes and its place."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.groups import GroupNames, in_group
from radicale_shared.vcard.lines import ContentLine, ends_softly, with_line_ends
from radicale_shared.vcard.meaning import Said, Unit


class Draft:
    """The card ``card`` with the changes asked for so far.

    its: the units that may be changed; a line that is in none of them stays, and its group is in use
    """

    __slots__ = ("_after", "_card", "_group_names", "_groups", "_instead", "_last", "_renamed")

    def __init__(self, card: Card, its: Sequence[Unit]) -> None:
        self._card = card
        self._instead: dict[int, list[bytes]] = {}  # by position: what replaces this line, and follows it
        self._after: dict[int, list[bytes]] = {}
        self._groups = Counter(unit.group.lower() for unit in its)
        changeable = {position for unit in its for position in unit.positions}
        self._groups.update(
            line.group.lower() for at, line in enumerate(card.lines) if line.group and at not in changeable
        )
        self._group_names = GroupNames(self._groups)
        self._renamed: dict[str, str] = {}  # groups of the other card without X- properties, which may be joined again
        self._last = {unit.name: unit.positions[-1] for unit in sorted(its, key=lambda unit: unit.positions[-1])}

    def remove(self, unit: Unit) -> None:
        """Take out ``unit``, one of the card's own."""
        for position in unit.positions:
            self._instead[position] = []

    def rewrite(self, position: int, line: ContentLine) -> None:
        """Put ``line``, which has this card's line ends, in the place of the line at ``position``."""
        self._instead[position] = [line.raw]

    def replace(self, old: Unit, new: Unit) -> None:
        """Put ``new``, of another card, in the place of ``old``, one of the card's own.

        Lines that both have keep this card's bytes, the others take the place of one with the same name, if there is
        one.
        """
        group = self._group_for(new, old)
        if old.group.lower() == group.lower():
            free, coming = self._without_kept(old, new)
        else:
            free, coming = (
                dict(zip(old.positions, old.parts, strict=True)),
                list(zip(new.lines, new.parts, strict=True)),
            )
        places: dict[str, deque[int]] = {}
        for position, part in free.items():
            places.setdefault(part.name, deque()).append(position)
            self._instead[position] = []
        homeless = []
        for line, part in coming:
            if place := places.get(part.name):
                self._instead[place.popleft()] = [self._written(line, group)]
            else:
                homeless.append(self._written(line, group))
        left = deque(sorted(position for place in places.values() for position in place))
        for raw in homeless:
            if left:
                self._instead[left.popleft()] = [raw]
            else:
                self._after.setdefault(old.positions[-1], []).append(raw)

    def add(self, unit: Unit, lines: Iterable[ContentLine] | None = None) -> None:
        """Put ``unit``, of another card, behind the last one of its property, else at the end.

        lines: instead of the unit's own
        """
        group = self._group_for(unit, None)
        position = self._last.get(unit.name, len(self._card.lines) - 1)
        written = [self._written(line, group) for line in (unit.lines if lines is None else lines)]
        self._after.setdefault(position, []).extend(written)

    def serialise(self) -> bytes:
        """The card's bytes with the changes."""
        pieces = [self._card.head, *self._after.get(-1, ())]
        for position, line in enumerate(self._card.lines):
            own, added = self._instead.get(position, [line.raw]), self._after.get(position, [])
            # A soft break at the end of the card's last line would take what follows along.
            pieces += [*added, *own] if added and own == [line.raw] and ends_softly(line.raw) else [*own, *added]
        return b"".join([*pieces, self._card.tail])

    def _without_kept(self, old: Unit, new: Unit) -> tuple[dict[int, Said], list[tuple[ContentLine, Said]]]:
        """The positions of ``old`` and the lines of ``new`` that are left when those that say the same are paired."""
        same: dict[Said, deque[int]] = {}
        free = dict(zip(old.positions, old.parts, strict=True))
        for position, part in free.items():
            same.setdefault(part, deque()).append(position)
        coming = []
        for line, part in zip(new.lines, new.parts, strict=True):
            if kept := same.get(part):
                del free[kept.popleft()]
            else:
                coming.append((line, part))
        return free, coming

    def _group_for(self, new: Unit, old: Unit | None) -> str:
        """The group for ``new`` here: that of ``old`` which it replaces, unless others are in it, else a free one.

        X- properties bind the lines of a group to one unit, so a unit with them shares a group with nothing.
        """
        if not new.group:
            return ""
        if old and old.group and (self._groups[old.group.lower()] == 1 or len(new.lines) == 1):
            return old.group
        if len(new.lines) > 1 or new.name.startswith("X-"):
            return self._group_names.free(new.group)
        key = new.group.lower()
        if key not in self._renamed:
            self._renamed[key] = self._group_names.free(new.group)
        return self._renamed[key]

    def _written(self, line: ContentLine, group: str) -> bytes:
        """``line`` as it stands in this card: in ``group``, with this card's line ends."""
        raw = line.raw.rstrip(b"=\r\n") if ends_softly(line.raw) else line.raw
        if group.lower() != line.group.lower():
            raw = in_group(raw, group.encode())
        return with_line_ends(raw, self._card.eol)
