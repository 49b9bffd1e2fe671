"""The goals of this server as data, and a table that says which of them a run has met.

What is compared is the server's CPU time per request, for concurrent clients their rate; how much better this server is
than stock Radicale, than the best peer of the same run and than the best one of ``baseline/``, and how much more the
largest book of the run costs than the smallest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .results import Document
from .table import NAMES, NOTHING, Figures, number, quotient, row
from .workloads import CONCURRENT

SIZE = 10_000
"""The size at which servers are compared, if the run has it; else the largest."""
STOCK = "radicale"
OURS, OURS_ON_POSTGRESQL = "ours", "ours-pg"
FLAT = 1.3
LINEAR = math.inf
"""As much growth as the book's: the quotient of the sizes."""

WORKER_MB = 60.0
"""Anonymous memory of a worker, after work."""
SYNC_MB = 5.0
"""What an initial sync of the largest book may take more of it."""
READS = frozenset({"b", "b2", "c", "d", "e", "f", "g1", "g2", "h", "k", "l"})
READ_FACTOR = 2.0
"""How many times SQLite's CPU a read on PostgreSQL may cost, the database's included."""
PUT_MS = 5.0
"""CPU of a PUT on PostgreSQL, the database's included."""
HISTORY_FACTOR = 1.5
"""How many times the CPU of a PUT that writes cards only one with the history may need."""
BARE = "-bare"
"""What the label of one of our servers ends with where it keeps no history."""
PUT_FACTOR = 3.0
"""How many times that CPU SOGo, which works on PostgreSQL too, needs at least for a PUT."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A workload's goals.

    stock: how many times less than stock Radicale it costs
    best: the same against the best peer; than: against particular ones, by label
    growth: how many times as much it may cost in the largest book as in the smallest
    known_as: the workload's letter in ``baseline/``
    """

    letter: str
    stock: float | None
    best: float
    growth: float
    than: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    known_as: str = ""


GOALS = (
    Goal("b", 100, 5, LINEAR),
    Goal("b2", None, 20, LINEAR, known_as="b"),
    Goal("c", 150, 5, LINEAR),
    Goal("d", 2000, 3, 1.2),
    Goal("e", 500, 2, 1.2),
    Goal("f", 12, 5, FLAT),
    Goal("g1", 2000, 3, 3, than=MappingProxyType({"cyrus": 10})),
    Goal("g2", 3000, 5, 3),
    Goal("h", 3, 3, FLAT),
    Goal("i", 20, 1.5, 1.3),
    Goal("j", 20, 1.5, 1.3),
    Goal("k", 2000, 3, 1.2),
    Goal("l", 10000, 5, 1.3),
    Goal("m", 1000, 3, 1.3),
)


def verdicts(documents: Sequence[Document], baseline: Sequence[Document]) -> str:
    """Return the tables of goals for every one of our servers in ``documents``.

    baseline: the peers as they were measured before; not all of them run again
    """
    figures, known = Figures(documents), Figures(baseline)
    if not figures.sizes:
        return ""
    size = SIZE if SIZE in figures.sizes else figures.sizes[-1]
    factor = machine_factor(figures, known, size)
    parts = [
        _against_peers(Comparison(figures, known, label, size, factor))
        for label in (OURS, OURS_ON_POSTGRESQL)
        if label in figures.labels
    ]
    if {OURS, OURS_ON_POSTGRESQL} <= set(figures.labels):
        parts.append(_postgresql(figures, known, size))
    if with_both := [label for label in (OURS, OURS_ON_POSTGRESQL) if {label, label + BARE} <= set(figures.labels)]:
        parts.append(_history(figures, with_both, size))
    return "\n".join(parts)


def cost(figures: Figures, n: int, label: str, letter: str) -> float | None:
    """Return milliseconds of server CPU per request; for concurrent clients a second over the rate."""
    return figures.wall_ms(n, label, letter) if letter in CONCURRENT else figures.cpu_ms(n, label, letter)


def machine_factor(figures: Figures, known: Figures, size: int) -> float | None:
    """Return how many times the CPU of the baseline the peers needed now, the geometric mean over all that both have.

    Below 1, this machine is faster than the baseline's was. None if no peer is in both.
    """
    quotients = [
        now / then
        for label in figures.labels
        for letter in NAMES
        if letter not in CONCURRENT
        and (now := figures.cpu_ms(size, label, letter))
        and (then := known.cpu_ms(size, label, letter))
    ]
    return math.exp(sum(map(math.log, quotients)) / len(quotients)) if quotients else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of our servers beside the peers at one size."""

    figures: Figures
    known: Figures
    label: str
    size: int
    factor: float | None

    def cost(self, letter: str, n: int | None = None) -> float | None:
        return cost(self.figures, n or self.size, self.label, letter)

    def best(self, goal: Goal) -> tuple[str, float] | None:
        """(label, cost) of the best peer in this run, by what it needed for the goal's workload."""
        costs = {label: self._peer(label, goal) for label in self.figures.labels if not label.startswith(OURS)}
        return _least(costs)

    def best_known(self, goal: Goal) -> tuple[str, float] | None:
        """(label, cost) of the best peer of the baseline."""
        letter = goal.known_as or goal.letter
        return _least({label: cost(self.known, self.size, label, letter) for label in self.known.labels})

    def times(self, goal: Goal, label: str) -> float | None:
        """How many times as much ``label`` cost in this run."""
        return quotient(self._peer(label, goal), self.cost(goal.letter))

    def growth(self, letter: str) -> float | None:
        sizes = self.figures.sizes
        return quotient(self.cost(letter, sizes[-1]), self.cost(letter, sizes[0])) if len(sizes) > 1 else None

    def _peer(self, label: str, goal: Goal) -> float | None:
        return cost(self.figures, self.size, label, goal.letter)


def _least(costs: Mapping[str, float | None]) -> tuple[str, float] | None:
    return min(((label, value) for label, value in costs.items() if value), key=lambda each: each[1], default=None)


def _against_peers(comparison: Comparison) -> str:
    figures, sizes = comparison.figures, comparison.figures.sizes
    factor = comparison.factor
    scaled = (
        f"The peers that are in both now needed {number(factor)} times the CPU of the baseline: "
        'the figure after "or" is the baseline\'s best at that speed.'
        if factor
        else "No peer of this run is in the baseline, so nothing says how fast this machine is beside the baseline's."
    )
    lines = [
        f"### Goals of {comparison.label}, N = {comparison.size}",
        "",
        "Server CPU per request, for concurrent clients the rate. How many times less (more a second) than the others; "
        "in brackets the goal.",
        *(
            []
            if comparison.size == SIZE
            else [f"The goals are meant for {SIZE} contacts, which this run does not have."]
        ),
        scaled,
        "",
        row(["workload", comparison.label, "stock", "best peer", "best of the baseline", "growth", "goal"]),
        "|---" * 7 + "|",
    ]
    lines += [_line(comparison, goal) for goal in GOALS]
    workers = [mb for n in sizes for run in figures.runs(n, comparison.label) if (mb := run.anonymous_worker_mb)]
    lines.append(_limit_line("anonymous memory of a worker after work, MB", max(workers, default=None), WORKER_MB))
    more = [
        each.memory_more_mb for each in figures.of(sizes[-1], comparison.label, "n") if each.memory_more_mb is not None
    ]
    name = f"more of it for an initial sync of {sizes[-1]}, MB"
    lines.append(_limit_line(name, max(more, default=None), SYNC_MB))
    return "\n".join([*lines, ""])


def _line(comparison: Comparison, goal: Goal) -> str:
    own = comparison.cost(goal.letter)
    missed: list[str] = []
    known: list[bool] = []
    slower = False

    def times(name: str, value: float | None, wanted: float | None) -> str:
        if value is None or wanted is None:
            return NOTHING
        known.append(value >= wanted)
        if value < wanted:
            missed.append(name)
        return f"{number(value)} ({wanted:g})"

    stock = times("stock", comparison.times(goal, STOCK), goal.stock)
    best = NOTHING
    if own and (peer := comparison.best(goal)):
        best = f"{peer[0]} {times('best peer', peer[1] / own, goal.best)}"
    before = NOTHING
    if own and (peer := comparison.best_known(goal)):
        before = f"{peer[0]} {times('baseline', peer[1] / own, goal.best)}"
        if comparison.factor:
            same_speed = peer[1] / own * comparison.factor
            before += f", or {number(same_speed)}"
            slower = same_speed < goal.best
    for label, wanted in goal.than.items():
        if comparison.times(goal, label) is not None:
            best += f", {label} {times(label, comparison.times(goal, label), wanted)}"
    sizes = comparison.figures.sizes
    limit = sizes[-1] / sizes[0] if goal.growth == LINEAR else goal.growth
    grown = comparison.growth(goal.letter)
    if grown is not None:
        known.append(grown <= limit)
        if grown > limit:
            missed.append("growth")
    growth = NOTHING if grown is None else f"{number(grown)} ({limit:g})"
    shown = NOTHING if own is None else f"{number(1e3 / own)}/s" if goal.letter in CONCURRENT else f"{number(own)} ms"
    if own and comparison.figures.doubtful(comparison.size, comparison.label, goal.letter):
        shown += " *"
    return row(
        [
            f"({goal.letter}) {NAMES[goal.letter]}",
            shown,
            stock,
            best,
            before,
            growth,
            _verdict(known, missed, slower=slower),
        ]
    )


def _limit_line(name: str, value: float | None, limit: float) -> str:
    known = [] if value is None else [value <= limit]
    shown = NOTHING if value is None else f"{number(value)} (at most {limit:g})"
    missed = [] if value is None or value <= limit else ["limit"]
    return row([name, shown, NOTHING, NOTHING, NOTHING, NOTHING, _verdict(known, missed)])


def _verdict(known: Sequence[bool], missed: Sequence[str], *, slower: bool = False) -> str:
    if missed:
        return f"**missed**: {', '.join(missed)}"
    if not known:
        return "not measured"
    return "met, but for the baseline at this speed" if slower else "met"


def _postgresql(figures: Figures, known: Figures, size: int) -> str:
    lines = [
        f"### {OURS_ON_POSTGRESQL} beside {OURS}, N = {size}",
        "",
        "Server CPU per request, the database's included; in brackets the goal.",
        "",
        row(["workload", OURS, OURS_ON_POSTGRESQL, "times as much", "goal"]),
        "|---" * 5 + "|",
    ]
    for goal in GOALS:
        lite, large = (figures.cpu_ms(size, label, goal.letter) for label in (OURS, OURS_ON_POSTGRESQL))
        times = quotient(large, lite)
        if times is None:
            continue
        reads = goal.letter in READS
        missed = ["limit"] if reads and times > READ_FACTOR else []
        verdict = _verdict([True], missed) if reads else NOTHING
        shown = f"{number(times)} (at most {READ_FACTOR:g})" if reads else number(times)
        lines.append(row([f"({goal.letter}) {NAMES[goal.letter]}", number(lite), number(large), shown, verdict]))
    put = figures.cpu_ms(size, OURS_ON_POSTGRESQL, "i")
    lines.append(_short_line("CPU of a PUT, ms", put, f"at most {PUT_MS:g}", put is not None and put <= PUT_MS))
    times = quotient(known.cpu_ms(size, "sogo", "i"), put)
    met = times is not None and times >= PUT_FACTOR
    lines.append(_short_line("SOGo's PUT in the baseline, times as much", times, f"at least {PUT_FACTOR:g}", met))
    return "\n".join([*lines, ""])


def _history(figures: Figures, labels: Sequence[str], size: int) -> str:
    lines = [
        f"### What the history costs, N = {size}",
        "",
        "Server CPU of a PUT with If-Match, ms; in brackets the goal.",
        "",
        row(["server", "cards only", "with the history", "times as much", "goal"]),
        "|---" * 5 + "|",
    ]
    for label in labels:
        bare, whole = (figures.cpu_ms(size, each, "i") for each in (label + BARE, label))
        times = quotient(whole, bare)
        known = [] if times is None else [times <= HISTORY_FACTOR]
        missed = ["limit"] if times is not None and times > HISTORY_FACTOR else []
        told = NOTHING if times is None else f"{number(times)} (at most {HISTORY_FACTOR:g})"
        figures_told = [NOTHING if each is None else number(each) for each in (bare, whole)]
        lines.append(row([label, *figures_told, told, _verdict(known, missed)]))
    return "\n".join([*lines, ""])


def _short_line(name: str, value: float | None, wanted: str, met: bool) -> str:
    if value is None:
        return row([name, NOTHING, NOTHING, NOTHING, "not measured"])
    return row([name, NOTHING, f"{number(value)} ({wanted})", NOTHING, _verdict([met], [] if met else ["limit"])])
