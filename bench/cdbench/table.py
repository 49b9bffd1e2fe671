"""Markdown tables of results; several runs of a label give their median."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from .results import Document, Result, Run
from .workloads import CONCURRENT, SOON_AFTER_A_START, WORKLOADS

NAMES = {
    "a0": "load, one bulk PUT",
    "a": "load, one connection",
    "a8": "load, the rest (8 connections)",
    **{workload.letter: workload.name for workload in WORKLOADS},
}
LOADS = frozenset({"a0", "a", "a8"})
WITH_BYTES = ("b", "c", "f")
MEMORY: tuple[tuple[str, Callable[[Run], float | None], Callable[[Run], float | None]], ...] = (
    ("memory after, MB RSS / PSS", lambda run: run.rss_mb, lambda run: run.pss_mb),
    (
        "memory after, MB anonymous: largest process / all",
        lambda run: run.anonymous_worker_mb,
        lambda run: run.anonymous_mb,
    ),
)
NOTHING = "-"


class Figures:
    """Results by size, label and letter, each a list over the runs."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.results: dict[int, dict[str, dict[str, list[Result]]]] = {}
        self._runs: dict[tuple[int, str], list[Run]] = {}
        for document in documents:
            for run in document.runs:
                slot = self.results.setdefault(run.n, {}).setdefault(document.label, {})
                for letter, result in run.results.items():
                    self._add(slot, letter, result)
                self._runs.setdefault((run.n, document.label), []).append(run)

    @staticmethod
    def _add(slot: dict[str, list[Result]], letter: str, result: Result) -> None:
        if result.bulk_per_s is not None:
            slot.setdefault("a0", []).append(result)
            return
        slot.setdefault(letter, []).append(result)
        if letter == "a" and result.rest_per_s is not None:
            slot.setdefault("a8", []).append(Result(per_s=result.rest_per_s, clients=result.rest_clients))

    @property
    def sizes(self) -> list[int]:
        return sorted(self.results)

    @property
    def labels(self) -> list[str]:
        """Every label, in the order of its first appearance."""
        return list(dict.fromkeys(label for n in self.results for label in self.results[n]))

    def runs(self, n: int, label: str) -> list[Run]:
        return self._runs.get((n, label), [])

    def of(self, n: int, label: str, letter: str) -> list[Result]:
        return self.results.get(n, {}).get(label, {}).get(letter, [])

    def cpu_ms(self, n: int, label: str, letter: str) -> float | None:
        """Return the server's CPU milliseconds per request, the median over the runs; None if not measured."""
        return _median(self.of(n, label, letter), lambda result: result.server_cpu_ms)

    def wall_ms(self, n: int, label: str, letter: str) -> float | None:
        """Return the milliseconds per request as clients see them; for concurrent clients a second over the rate."""
        if letter in CONCURRENT:
            rate = _median(self.of(n, label, letter), lambda result: result.per_s)
            return 1e3 / rate if rate else None
        return _median(self.of(n, label, letter), lambda result: result.median_ms)

    def doubtful(self, n: int, label: str, letter: str) -> bool:
        """Whether some answer was not as expected: a server that answers wrong may well be fast."""
        return any(result.notes for result in self.of(n, label, letter))


def render(documents: Iterable[Document]) -> str:
    """Return one table per size: a row per workload, a column per label."""
    figures = Figures(documents)
    lines = [
        "Milliseconds: median (p95) [server CPU per request]; rates where /s is written.",
        "'*' = some answers were not as expected, see notes in the JSON.",
        "",
    ]
    for n in figures.sizes:
        labels = list(figures.results[n])
        lines += [f"### N = {n}", "", row(["workload", *labels]), "|---" * (len(labels) + 1) + "|"]
        for letter, name in NAMES.items():
            rows = [figures.of(n, label, letter) for label in labels]
            if any(rows):
                lines.append(
                    row([f"({letter}) {name}", *(cell(letter, found) if found else NOTHING for found in rows)])
                )
        for name, *values in MEMORY:
            cells = [_memory(figures.runs(n, label), *values) for label in labels]
            if set(cells) != {NOTHING}:
                lines.append(row([name, *cells]))
        for letter in WITH_BYTES:
            sizes = [[r.bytes for r in figures.of(n, label, letter) if r.bytes is not None] for label in labels]
            if any(sizes):
                first = [str(each[0]) if each else NOTHING for each in sizes]
                lines.append(row([f"bytes of an answer to ({letter})", *first]))
        lines.append("")
    return "\n".join(lines)


def ratios(documents: Iterable[Document], base: str) -> str:
    """Return, per size, how many times as long as ``base`` every other label took: wall / CPU."""
    figures = Figures(documents)
    peers = [label for label in figures.labels if label != base]
    lines = [
        f"How many times as much as `{base}`: wall time / server CPU per request; above 1, `{base}` is better.",
        "For concurrent clients, wall time is a second divided by the rate. '*' as above.",
        "",
    ]
    for n in figures.sizes:
        lines += [f"### N = {n}, relative to {base}", "", row(["workload", *peers]), "|---" * (len(peers) + 1) + "|"]
        for letter, name in _measured(figures):
            cells = [
                _pair(
                    quotient(figures.wall_ms(n, peer, letter), figures.wall_ms(n, base, letter)),
                    quotient(figures.cpu_ms(n, peer, letter), figures.cpu_ms(n, base, letter)),
                )
                + (" *" if figures.doubtful(n, peer, letter) or figures.doubtful(n, base, letter) else "")
                for peer in peers
            ]
            lines.append(row([f"({letter}) {name}", *cells]))
        lines.append("")
    return "\n".join(lines)


def growth(documents: Iterable[Document]) -> str:
    """Return how many times as long the largest size took as the smallest, per label: wall / CPU."""
    figures = Figures(documents)
    smallest, largest = figures.sizes[0], figures.sizes[-1]
    labels = figures.labels
    lines = [
        f"### Growth from N = {smallest} to N = {largest}",
        "",
        f"How many times as much: wall time / server CPU per request. 1 is flat, {largest / smallest:.3g} is linear.",
        "",
        row(["workload", *labels]),
        "|---" * (len(labels) + 1) + "|",
    ]
    for letter, name in _measured(figures):
        cells = [
            _pair(
                quotient(figures.wall_ms(largest, label, letter), figures.wall_ms(smallest, label, letter)),
                quotient(figures.cpu_ms(largest, label, letter), figures.cpu_ms(smallest, label, letter)),
            )
            for label in labels
        ]
        lines.append(row([f"({letter}) {name}", *cells]))
    return "\n".join([*lines, ""])


def comparison(documents: Sequence[Document], base: str) -> str:
    """Return all tables of a side-by-side run: figures, the ratios to ``base`` and growth, where there is any."""
    figures = Figures(documents)
    parts = [render(documents)]
    if base in figures.labels and len(figures.labels) > 1:
        parts.append(ratios(documents, base))
    if len(figures.sizes) > 1:
        parts.append(growth(documents))
    return "\n".join(parts)


def cell(letter: str, results: Sequence[Result]) -> str:
    """Return what the table says of the results of one workload."""
    good = [result for result in results if _measures(result)]
    if not good:
        refused = results[0].unsupported
        if results[0].skipped:
            return "too slow"
        return f"unsupported ({refused})" if refused is not None else "failed"

    def median(value: Callable[[Result], float | None]) -> str:
        return number(_median(good, value))

    p95 = median(lambda result: result.p95_ms)
    wall = median(lambda result: result.median_ms)
    if letter == "n":
        return f"{median(lambda result: result.memory_mb)} MB, +{median(lambda result: result.memory_more_mb)} MB"
    if letter == "a0":
        text = f"{median(lambda result: result.bulk_per_s)}/s"
    elif letter == "a":
        text = f"{median(lambda result: result.sequential_per_s)}/s"
    elif letter == "a8":
        text = f"{median(lambda result: result.per_s)}/s"
        if good[0].clients not in (8, None):
            text += f" ({good[0].clients} connection)"
    elif letter in CONCURRENT:
        text = f"{median(lambda result: result.per_s)}/s, p95 {p95} ms"
    elif letter == "f":
        text = f"{median(lambda result: result.contacts_per_s)}/s ({wall} ms a batch)"
    else:
        text = f"{wall} (p95 {p95})"
    if letter != "a8" and any(result.server_cpu_ms is not None for result in good):
        text += f" [cpu {median(lambda result: result.server_cpu_ms)}]"
    if any(result.capped for result in good):
        text += " capped"
    if any(result.notes for result in good):
        text += " *"
    return text


def _measures(result: Result) -> bool:
    return any(value is not None for value in (result.median_ms, result.per_s, result.bulk_per_s, result.memory_mb))


def _measured(figures: Figures) -> list[tuple[str, str]]:
    """(letter, name) of the workloads, loads left out, that any label has results of."""
    return [
        (letter, name)
        for letter, name in NAMES.items()
        if letter not in LOADS | SOON_AFTER_A_START
        and any(figures.of(n, label, letter) for n in figures.sizes for label in figures.labels)
    ]


def _median(results: Iterable[Result], value: Callable[[Result], float | None]) -> float | None:
    values = [each for each in map(value, results) if each is not None]
    return statistics.median(values) if values else None


def _memory(runs: Sequence[Run], *values: Callable[[Run], float | None]) -> str:
    known = [[mb for run in runs if (mb := value(run)) is not None] for value in values]
    return " / ".join(f"{statistics.median(each):.0f}" for each in known) if all(known) else NOTHING


def number(value: float | None) -> str:
    """Return ``value`` with three or so digits that count, a dash for None."""
    if value is None:
        return NOTHING
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f}"


def quotient(above: float | None, below: float | None) -> float | None:
    """Return ``above`` divided by ``below``, None if one of them is missing."""
    return above / below if above is not None and below else None


def _pair(wall: float | None, cpu: float | None) -> str:
    return NOTHING if wall is None and cpu is None else f"{number(wall)} / {number(cpu)}"


def row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
