"""The only merge there is: what one side changed of a card, applied to what the other side made of it.

Unit by unit (``meaning``) and line by line: what the difference doesn't touch keeps its exact bytes and its place.

    nothing changed by theirs   the stored bytes
    nothing changed by ours     what theirs says
    a property that may repeat  unites; a unit that both changed is theirs, and ours is named
    a property that is single   theirs, and ours is named; never lines of both
    CATEGORIES and NICKNAME     item by item, if both changed them
    changed here, deleted there the change stays, and is named; emptied counts as deleted
    VERSION and UID             always ours
    REV and PRODID              as a single one, and nothing is named

A sender who doesn't see all of a card has changed nothing of what is hidden, and can only add to it (``merge_hidden``).
Who takes a change back goes from what it made to what was before it, and overwrites nobody (``take_back``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.checking import VERSIONS
from radicale_shared.vcard.convert import convert
from radicale_shared.vcard.draft import Draft
from radicale_shared.vcard.lines import ContentLine, rebuild_line, unfold
from radicale_shared.vcard.meaning import LABELS, LISTS, MOST_ITEMS, SHOWN_ONCE, SINGLE, Said, SaidParams, Unit, units
from radicale_shared.vcard.pairing import Budget, equal_pairs, likely_pairs
from radicale_shared.vcard.values import escape, items, unescape
from radicale_shared.vcard.visible import hidden_positions, only, visible

_ALWAYS_OURS = frozenset({"VERSION", "UID"})
_SILENT = frozenset({"REV", "PRODID"})
_BLANK = ContentLine(b"")
LONGEST_NOTED = 1000  # characters of a conflict's lines, as people are shown them


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed the same thing, and one of them was taken.

    name: of the property
    kept, lost: the lines, unfolded, with a line break between; empty where one side deleted it. ``lost`` may be as
        large as a photo.
    """

    name: str
    kept: str
    lost: str

    def short(self) -> Conflict:
        """The same for people to read, whom a photo tells nothing: what is long is cut, and ends with "…"."""
        return Conflict(_cut(self.name), _cut(self.kept), _cut(self.lost))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_NOTED else text[: LONGEST_NOTED - 1] + "…"


@dataclass(frozen=True, slots=True)
class Merged:
    """The card that both sides' changes made, and what had to give way."""

    data: bytes
    conflicts: tuple[Conflict, ...]


def merge(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    *,
    unseen: Set[int] = frozenset(),
    ours_stays: bool = False,
    only_names: Set[str] | None = None,
) -> Merged:
    """``ours`` with the difference from ``base`` to ``theirs``. All three are of one version.

    base: what the sender of ``theirs`` had been shown
    ours: what is stored now; it may spell otherwise what it has in common with ``base``
    theirs: what was sent
    unseen: positions of lines of ``ours`` that stay whatever was sent
    ours_stays: where both changed the same, what is there stays, and theirs is named as lost; list items still unite
    only_names: properties, in upper case, to which the difference is limited; a label goes with its property

    The cost is that of reading the three. The result may be larger than each of them.

    Raises NotAVCardError if one of the three is not exactly one card.
    """
    known: dict[bytes, Said] = {}
    stored = Card.parse(ours)
    read = units(_without(stored, unseen), known)
    draft = Draft(stored, read)
    before, here, there = (
        _by_name(one) for one in (units(Card.parse(base), known), read, units(Card.parse(theirs), known))
    )
    budget = Budget()
    conflicts: list[Conflict] = []
    for name in dict.fromkeys([*here, *there, *before]):
        three = _Three(name, before.get(name, ()), here.get(name, ()), there.get(name, ()))
        if name in _ALWAYS_OURS or three.nothing_to_do or (only_names is not None and name not in only_names):
            continue
        if name in LISTS and three.both_changed and three.has_readable_items:
            _merge_items(three, draft, stored.eol)
        elif three.is_single or name in LISTS:
            conflicts += _merge_single(three, draft, ours_stays=ours_stays)
        else:
            conflicts += _merge_many(three, draft, budget, ours_stays=ours_stays)
    return Merged(draft.serialise(), tuple(conflicts))


def take_back(after: bytes, current: bytes, before: bytes, *, only_names: Set[str] | None = None) -> Merged:
    """``current`` without what a change from ``before`` to ``after`` did to it, whatever their versions are.

    What others changed since stays, and is named where the change had touched the same: ``kept`` is what is there,
    ``lost`` what was not brought back. ``current`` may say the same as ``after``; then the result says what ``before``
    said, but for REV and PRODID at most.

    only_names: properties, in upper case, of which alone the change is taken back

    Raises NotAVCardError if one of the three is not exactly one card.
    """
    version = Card.parse(current).version

    def alike(data: bytes) -> bytes:
        card = Card.parse(data)
        same = card.version == version or not {card.version, version} <= set(VERSIONS)
        return data if same else convert(card, version, marked=False).serialise()

    return merge(alike(after), current, alike(before), ours_stays=True, only_names=only_names)


def merge_hidden(base: bytes, ours: bytes, theirs: bytes, hidden: Set[str]) -> Merged:
    """The same for a sender from whom the fields ``hidden`` are hidden: those lines of ``ours`` keep their bytes.

    What ``theirs`` has of such fields is added, without a look at what is there: else a sender could find out by trying
    what it is. Only of what a card has once the line that is there stays, and the sent one is named. A property that is
    sent empty says nothing.

    base: what the sender of ``theirs`` had been shown, without the hidden fields

    Raises NotAVCardError as ``merge``.
    """
    sent, stored = Card.parse(theirs), Card.parse(ours)
    new = hidden_positions(sent, hidden)
    seen = _without(sent, new)
    shown = visible(Card.parse(base), hidden).serialise()
    merged = merge(shown, ours, seen.serialise(), unseen=hidden_positions(stored, hidden))
    if not new:
        return merged
    whole = Card.parse(merged.data)
    its = units(whole)
    there = {unit.name: unit for unit in its}
    draft = Draft(whole, its)
    named: list[Conflict] = []
    for unit in units(only(sent, new)):
        if unit.is_empty or unit.name in LABELS:
            continue
        if unit.name in SINGLE and unit.name in there:
            named.append(Conflict(unit.name, there[unit.name].text, unit.text))
            continue
        there.setdefault(unit.name, unit)
        draft.add(unit)
    return Merged(draft.serialise(), (*merged.conflicts, *named))


def _without(card: Card, positions: Set[int]) -> Card:
    """``card`` with blanks in the places of some lines: the others keep theirs."""
    if not positions:
        return card
    return replace(card, lines=tuple(_BLANK if at in positions else line for at, line in enumerate(card.lines)))


@dataclass(frozen=True, slots=True)
class _Three:
    """The units of one property on the three sides."""

    name: str
    base: Sequence[Unit]
    ours: Sequence[Unit]
    theirs: Sequence[Unit]

    @property
    def nothing_to_do(self) -> bool:
        return _counted(self.theirs) in (_counted(self.base), _counted(self.ours))

    @property
    def both_changed(self) -> bool:
        return _counted(self.base) not in (_counted(self.ours), _counted(self.theirs))

    @property
    def is_single(self) -> bool:
        return self.name in SINGLE or (
            self.name in SHOWN_ONCE and max(len(self.base), len(self.ours), len(self.theirs)) == 1
        )

    @property
    def has_readable_items(self) -> bool:
        each = (*self.base, *self.ours, *self.theirs)
        if any(len(unit.lines) > 1 or _is_encoded(unit.lines[0]) for unit in each):
            return False
        return len(each) + sum(unit.lines[0].raw.count(b",") for unit in each) <= 3 * MOST_ITEMS


def _by_name(read: Sequence[Unit]) -> dict[str, list[Unit]]:
    named: dict[str, list[Unit]] = {}
    for unit in read:
        named.setdefault(unit.name, []).append(unit)
    return named


def _counted(some: Sequence[Unit]) -> Counter[tuple[Said, ...]]:
    return Counter(unit.said for unit in some)


def _is_empty(some: Sequence[Unit]) -> bool:
    return all(unit.is_empty for unit in some)


def _text(some: Sequence[Unit]) -> str:
    return "\n".join(unit.text for unit in some)


def _merge_single(three: _Three, draft: Draft, *, ours_stays: bool) -> Iterator[Conflict]:
    """All lines of the property from one side: a mixture could have two of what there may be one of."""
    if three.both_changed and (ours_stays or _is_empty(three.theirs)):
        kept, lost = three.ours, three.theirs
    else:
        kept, lost = three.theirs, three.ours
        _exchange(three.ours, three.theirs, draft)
    nothing_lost = _is_empty(three.base) and _is_empty(lost)
    if three.both_changed and not nothing_lost and three.name not in _SILENT:
        yield Conflict(three.name, _text(kept), _text(lost))


def _exchange(ours: Sequence[Unit], theirs: Sequence[Unit], draft: Draft) -> None:
    """Replace the units ``ours`` by ``theirs``; equal ones stay as they are written."""
    same = equal_pairs(ours, theirs)
    used = set(same.values())
    going = [unit for at, unit in enumerate(ours) if at not in same]
    coming = [unit for at, unit in enumerate(theirs) if at not in used]
    for old, new in zip(going, coming, strict=False):
        draft.replace(old, new)
    for old in going[len(coming) :]:
        draft.remove(old)
    for new in coming[len(going) :]:
        draft.add(new)


def _merge_many(three: _Three, draft: Draft, budget: Budget, *, ours_stays: bool) -> Iterator[Conflict]:
    """Each unit of the base goes its way; what one side added is added, what both added is there once."""
    stayed_here, stayed_there = equal_pairs(three.base, three.ours), equal_pairs(three.base, three.theirs)
    new_here, new_there = _unpaired(three.ours, stayed_here), _unpaired(three.theirs, stayed_there)
    agreed = equal_pairs(new_here, new_there)
    new_here = [unit for at, unit in enumerate(new_here) if at not in agreed]
    new_there = _unpaired(new_there, agreed)
    edited_here, _ = _edits(three.base, stayed_here, new_here, budget)
    edited_there, added_there = _edits(three.base, stayed_there, new_there, budget)

    for at in range(len(three.base)):
        if at in stayed_there:
            continue
        edit = edited_there.get(at)
        untouched = three.ours[stayed_here[at]] if at in stayed_here else None
        changed = edited_here.get(at)
        here = untouched or changed
        if ours_stays and not untouched:
            if edit or changed:
                yield Conflict(three.name, changed.text if changed else "", edit.text if edit else "")
        elif edit and changed and edit.is_empty:
            yield Conflict(three.name, changed.text, edit.text)
        elif edit and here:
            draft.replace(here, edit)
            if changed:
                yield Conflict(three.name, edit.text, changed.text)
        elif edit:
            draft.add(edit)
            yield Conflict(three.name, edit.text, "")
        elif changed:
            yield Conflict(three.name, changed.text, "")
        elif untouched:
            draft.remove(untouched)
    for unit in added_there:
        draft.add(unit)


def _unpaired(some: Sequence[Unit], pairs: dict[int, int]) -> list[Unit]:
    """Those of ``some`` that are the second of no pair."""
    used = set(pairs.values())
    return [unit for at, unit in enumerate(some) if at not in used]


def _edits(
    base: Sequence[Unit], stayed: dict[int, int], new: Sequence[Unit], budget: Budget
) -> tuple[dict[int, Unit], list[Unit]]:
    """By index in ``base``: which of ``new`` a unit that is no longer there has become. And what of ``new`` is left."""
    gone = [at for at in range(len(base)) if at not in stayed]
    pairs = likely_pairs([base[at] for at in gone], new, budget)
    return {gone[one]: new[other] for one, other in pairs.items()}, _unpaired(new, pairs)


def _merge_items(three: _Three, draft: Draft, eol: bytes) -> None:
    """Items that theirs added or took out are added to or taken out of ours; parameters belong to an item."""
    before, here, there = (_items_by_params(side) for side in (three.base, three.ours, three.theirs))
    added: dict[SaidParams, list[str]] = {}
    for params, sent in there.items():
        known = before.get(params, {}) | here.get(params, {})
        added[params] = [text for text in sent if text not in known]
    for unit in three.ours:
        params = unit.parts[0].params
        shown, left = before.get(params, {}), there.get(params, {})
        its = _items(unit)
        stays = [text for text in its if text in left or text not in shown]
        texts = stays + added.pop(params, [])
        if not texts and its:
            draft.remove(unit)
        elif len(stays) < len(its) or len(texts) > len(stays):
            draft.rewrite(unit.positions[0], _with_items(unit.lines[0], texts, eol))
    for unit in three.theirs:
        if texts := added.pop(unit.parts[0].params, []):
            draft.add(unit, [_with_items(unit.lines[0], texts, eol)])


def _items_by_params(some: Iterable[Unit]) -> dict[SaidParams, dict[str, None]]:
    """The texts of all lines by the parameters they stand under, each once, in order."""
    found: dict[SaidParams, dict[str, None]] = {}
    for unit in some:
        found.setdefault(unit.parts[0].params, {}).update(dict.fromkeys(_items(unit)))
    return found


def _items(unit: Unit) -> list[str]:
    return [text for item in items(unit.lines[0].decoded) if (text := unescape(item).strip())]


def _with_items(line: ContentLine, texts: Sequence[str], eol: bytes) -> ContentLine:
    return rebuild_line(line, ",".join(escape(text) for text in texts), eol)


def _is_encoded(line: ContentLine) -> bool:
    """Whether a value can't be written into ``line`` as it is."""
    return bool(line.param("ENCODING")) or b"quoted-printable" in unfold(line.raw).lower()
