"""Groups in groups: how deep, where circles end, and the tree that people are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Pairs = frozenset[tuple[str, str]]


def within_depth(pairs: Iterable[tuple[str, str]], depth: int) -> Pairs:
    """Those of (group, group in it) that are at most so deep below a group that is in no other.

    Where groups are in one another in a circle, the one that comes first by its key is taken for the uppermost.

    depth: levels of groups, 1 for none in another
    """
    inner: dict[str, list[str]] = {}
    for group, child in pairs:
        if group != child:
            inner.setdefault(group, []).append(child)
    levels = _levels(inner)
    return frozenset((group, child) for group, children in inner.items() for child in children if levels[group] < depth)


def _levels(inner: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """{group: its level}, 1 for the uppermost; of several ways the shortest counts."""
    children = {child for some in inner.values() for child in some}
    levels: dict[str, int] = {}
    # Groups of a circle that no other group leads to come last: all that is below something else has its level by then.
    for uppermost in (sorted(inner.keys() - children), *([one] for one in sorted(inner.keys() & children))):
        front = [one for one in uppermost if one not in levels]
        level = 1
        while front:
            levels.update(dict.fromkeys(front, level))
            front = sorted({child for one in front for child in inner.get(one, ()) if child not in levels})
            level += 1
    return levels
