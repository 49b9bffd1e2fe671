"""Which unit of one card became which of another: the equal ones, and the likeliest of those that were changed.

A vCard names no lines, so that a changed one can only be guessed. A wrong guess costs a needless conflict and no data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from radicale_shared.vcard.meaning import Unit

MAX_COMPARISONS = 10_000  # of texts, in one merge; beyond it position decides
COMPARED_CHARACTERS = 80


class Budget:
    """How many texts a merge may still compare with one another, so that no card makes it quadratic."""

    __slots__ = ("_left",)

    def __init__(self, comparisons: int = MAX_COMPARISONS) -> None:
        self._left = comparisons

    def take(self, comparisons: int) -> bool:
        """Whether so many are left; they are used up then."""
        if comparisons > self._left:
            return False
        self._left -= comparisons
        return True


def equal_pairs(ones: Sequence[Unit], others: Sequence[Unit]) -> dict[int, int]:
    """Index in ``ones`` to index in ``others`` of units that say the same; each is used once, in order."""
    return pair_by(lambda unit: unit.said, ones, others, range(len(ones)), range(len(others)))


def likely_pairs(ones: Sequence[Unit], others: Sequence[Unit], budget: Budget) -> dict[int, int]:
    """Index in ``ones`` to index in ``others`` of units of which the second is probably an edit of the first.

    All of one property. By the same value with other parameters or labels, the same group and labels with another
    value, greatest similarity, and at last position; as many pairs as the shorter one has units.
    """
    pairs: dict[int, int] = {}
    left, right = list(range(len(ones))), list(range(len(others)))

    def settle(found: dict[int, int]) -> None:
        nonlocal left, right
        pairs.update(found)
        used = set(found.values())
        left = [at for at in left if at not in found]
        right = [at for at in right if at not in used]

    for key in (_group_and_values, _values, _group_and_labels):
        settle(pair_by(key, ones, others, left, right))
    if budget.take(len(left) * len(right)):
        settle(_pair_by_similarity(ones, others, left, right))
    else:
        settle(pair_by(_params_and_labels, ones, others, left, right))
        settle(dict(zip(left, right, strict=False)))
    return pairs


def _group_and_values(unit: Unit) -> Hashable:
    return unit.group.lower(), unit.values


def _values(unit: Unit) -> Hashable:
    return unit.values


def _group_and_labels(unit: Unit) -> Hashable:
    return (unit.group.lower(), unit.labels) if unit.group else None


def _params_and_labels(unit: Unit) -> Hashable:
    return unit.params, unit.labels


def pair_by(
    key: Callable[[Unit], Hashable],
    ones: Sequence[Unit],
    others: Sequence[Unit],
    left: Sequence[int],
    right: Sequence[int],
) -> dict[int, int]:
    """Pairs of those at ``left`` and ``right`` whose key is the same and not None, in order."""
    waiting: dict[Hashable, deque[int]] = {}
    for at in right:
        if (its := key(others[at])) is not None:
            waiting.setdefault(its, deque()).append(at)
    pairs = {}
    for at in left:
        if queue := waiting.get(key(ones[at])):
            pairs[at] = queue.popleft()
    return pairs


def _pair_by_similarity(
    ones: Sequence[Unit], others: Sequence[Unit], left: Sequence[int], right: Sequence[int]
) -> dict[int, int]:
    """The most similar pair first; among equally similar ones the position decides."""
    numbers: dict[Hashable, int] = {}
    looks = {at: _look(ones[at], numbers) for at in left}, {at: _look(others[at], numbers) for at in right}
    scored = sorted(
        (-_similarity(look, other_look), at, other)
        for at, look in looks[0].items()
        for other, other_look in looks[1].items()
    )
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for _, at, other in scored:
        if at not in pairs and other not in used:
            pairs[at] = other
            used.add(other)
    return pairs


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a unit is compared: parameters and labels only as numbers, as a group may have thousands of lines."""

    text: str
    group: str
    params: int
    labels: int


def _look(unit: Unit, numbers: dict[Hashable, int]) -> _Look:
    text = " ".join(value[:COMPARED_CHARACTERS] for value in unit.values)[:COMPARED_CHARACTERS]
    # No labels are nothing to have in common.
    labels = numbers.setdefault(("labels", unit.labels), len(numbers) + 1) if unit.labels else 0
    return _Look(text, unit.group.lower(), numbers.setdefault(("params", unit.params), len(numbers) + 1), labels)


def _similarity(one: _Look, other: _Look) -> float:
    """How alike two units are: their texts 0 to 1, and a half each for the same parameters, labels and group.

    Texts by what they have in common at both ends: people edit in one place.
    """
    ends = _common_start(one.text, other.text) + _common_start(one.text[::-1], other.text[::-1])
    alike = min(1.0, ends / max(len(one.text), len(other.text), 1))
    alike += 0.5 * (one.params == other.params)
    alike += 0.5 * (one.labels == other.labels != 0)
    return alike + 0.5 * (one.group == other.group != "")


def _common_start(one: str, other: str) -> int:
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
