"""The table of goals: what is compared with what, and when a goal is met."""

import pytest
from cdbench import goals, results
from cdbench.goals import GOALS
from cdbench.results import Document
from cdbench.workloads import CONCURRENT, SOON_AFTER_A_START, WORKLOADS


def document(label: str, *runs: dict[str, object]) -> Document:
    """A server's runs: ``{"n": 10, "h": CPU milliseconds, "l": requests a second, ...}``."""
    rows = []
    for run in runs:
        found = {
            letter: {"per_s": value} if letter in CONCURRENT else {"median_ms": 99, "server_cpu_ms": value}
            for letter, value in run.items()
            if letter != "n"
        }
        rows.append({"n": run["n"], "results": found})
    return results.from_json({"label": label, "url": "http://x/", "runs": rows})


def line(text: str, beginning: str) -> list[str]:
    found = next(line for line in text.splitlines() if line.startswith(f"| {beginning}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_every_workload_has_a_goal():
    assert [goal.letter for goal in GOALS] == [
        each.letter for each in WORKLOADS if each.letter not in SOON_AFTER_A_START
    ]


def test_a_goal_is_met_when_every_comparison_holds_and_the_table_says_with_whom():
    run = [
        document("ours", {"n": 1000, "d": 0.1}, {"n": 10000, "d": 0.11}),
        document("radicale", {"n": 10000, "d": 300}),
        document("cyrus", {"n": 10000, "d": 1.1}),
    ]
    baseline = [document("sabre", {"n": 10000, "d": 1.0}), document("sogo", {"n": 10000, "d": 30})]

    cells = line(goals.verdicts(run, baseline), "(d)")

    assert cells[1:] == ["0.11 ms", "2727 (2000)", "cyrus 10.0 (3)", "sabre 9.09 (3)", "1.10 (1.2)", "met"]


@pytest.mark.parametrize(
    ("stock", "peer", "before", "smallest", "missed"),
    [
        (100, 9, 9, 1, "stock"),
        (9000, 2, 9, 1, "best peer"),
        (9000, 9, 2, 1, "baseline"),
        (9000, 9, 9, 0.5, "growth"),
        (100, 2, 2, 0.5, "stock, best peer, baseline, growth"),
    ],
)
def test_what_is_missed_is_named(stock, peer, before, smallest, missed):
    run = [
        document("ours", {"n": 1000, "k": smallest}, {"n": 10000, "k": 1}),
        document("radicale", {"n": 10000, "k": stock}),
        document("xandikos", {"n": 10000, "k": peer}),
    ]

    cells = line(goals.verdicts(run, [document("sabre", {"n": 10000, "k": before})]), "(k)")

    assert cells[-1] == f"**missed**: {missed}"


def test_concurrent_clients_are_judged_by_their_rate():
    run = [document("ours", {"n": 10000, "l": 6000}), document("radicale", {"n": 10000, "l": 0.5})]

    cells = line(goals.verdicts(run, [document("sabre", {"n": 10000, "l": 1000})]), "(l)")

    assert cells[1:5] == ["6000/s", "12000 (10000)", "radicale 12000 (5)", "sabre 6.00 (5)"]


def test_a_listing_that_has_not_changed_is_compared_with_the_baselines_only_listing():
    run = [document("ours", {"n": 10000, "b": 12, "b2": 2})]

    cells = line(goals.verdicts(run, [document("cyrus", {"n": 10000, "b": 84})]), "(b2)")

    assert cells[4] == "cyrus 42.0 (20)"


def test_a_baseline_of_a_slower_machine_is_also_told_at_this_ones_speed():
    """Cyrus needs half of what it needed then: so would sabre."""
    run = [document("ours", {"n": 10000, "d": 0.2}), document("cyrus", {"n": 10000, "d": 2.2, "h": 0.8})]
    baseline = [document("cyrus", {"n": 10000, "d": 4.4, "h": 1.6}), document("sabre", {"n": 10000, "d": 1.0})]

    cells = line(goals.verdicts(run, baseline), "(d)")

    assert cells[4] == "sabre 5.00 (3), or 2.50"
    assert cells[-1] == "met, but for the baseline at this speed"


def test_a_peer_with_a_goal_of_its_own_is_compared_too():
    run = [
        document("ours", {"n": 10000, "g1": 2}),
        document("xandikos", {"n": 10000, "g1": 8}),
        document("cyrus", {"n": 10000, "g1": 18}),
    ]

    cells = line(goals.verdicts(run, []), "(g1)")

    assert cells[3] == "xandikos 4.00 (3), cyrus 9.00 (10)"
    assert cells[-1] == "**missed**: cyrus"


def test_linear_growth_may_be_as_much_as_the_books():
    grown = [{"n": 1000, "c": 1}, {"n": 10000, "c": 5}, {"n": 50000, "c": 49}]
    worse = [*grown[:2], {"n": 50000, "c": 51}]

    assert line(goals.verdicts([document("ours", *grown)], []), "(c)")[-2:] == ["49.0 (50)", "met"]
    assert line(goals.verdicts([document("ours", *worse)], []), "(c)")[-2:] == ["51.0 (50)", "**missed**: growth"]


def test_memory_counts_by_its_highest():
    written = document("ours", {"n": 10}, {"n": 10})
    for run, worker, more in zip(written.runs, (50.0, 61.0), (4.0, 3.0), strict=True):
        run.anonymous_worker_mb = worker
        run.results["n"] = results.Result(memory_mb=40, memory_more_mb=more)

    text = goals.verdicts([written], [])

    assert line(text, "anonymous memory")[-1] == "**missed**: limit"
    assert line(text, "more of it")[1] == "4.00 (at most 5)"


def test_what_was_not_measured_is_neither_met_nor_missed():
    cells = line(goals.verdicts([document("ours", {"n": 10000, "h": 1})], []), "(d)")

    assert cells[1:] == ["-", "-", "-", "-", "-", "not measured"]


def test_postgresql_is_held_beside_sqlite_and_its_put_beside_sogos():
    run = [
        document("ours", {"n": 10000, "d": 0.2, "h": 0.2, "i": 1}),
        document("ours-pg", {"n": 10000, "d": 0.5, "h": 0.4, "i": 4.5}),
    ]

    text = goals.verdicts(run, [document("sogo", {"n": 10000, "i": 14})])
    text = text[text.index("### ours-pg beside") :]

    assert line(text, "(d)")[-2:] == ["2.50 (at most 2)", "**missed**: limit"]
    assert line(text, "(h)")[-1] == "met"
    assert line(text, "CPU of a PUT")[-1] == "met"
    assert line(text, "SOGo's PUT")[2:] == ["3.11 (at least 3)", "-", "met"]


def test_the_history_is_held_beside_cards_only_and_what_has_none_is_no_peer():
    run = [
        document("ours", {"n": 10000, "i": 1.2}),
        document("ours-bare", {"n": 10000, "i": 1.0}),
        document("ours-pg", {"n": 10000, "i": 3.2}),
        document("ours-pg-bare", {"n": 10000, "i": 2.0}),
    ]

    text = goals.verdicts(run, [])
    told = text[text.index("### What the history costs") :]

    assert line(told, "ours")[1:] == ["1.00", "1.20", "1.20 (at most 1.5)", "met"]
    assert line(told, "ours-pg")[1:] == ["2.00", "3.20", "1.60 (at most 1.5)", "**missed**: limit"]
    assert "bare" not in line(text, "(i)")[3]
    assert "### What the history costs" not in goals.verdicts(run[:1] + run[2:3], [])


def test_a_run_without_the_size_the_goals_are_meant_for_says_so():
    assert "meant for 10000 contacts" in goals.verdicts([document("ours", {"n": 1000, "h": 1})], [])
    assert "meant for" not in goals.verdicts([document("ours", {"n": 10000, "h": 1}, {"n": 50000, "h": 1})], [])


def test_a_run_without_ours_has_no_goals():
    assert goals.verdicts([document("cyrus", {"n": 10, "h": 1})], []) == ""
    assert goals.verdicts([], []) == ""


def test_the_baseline_that_is_there_has_a_peer_for_every_goal(bench_folder):
    baseline = results.load(sorted((bench_folder / "baseline").glob("*.json")))
    ours = document("ours", {"n": 10000, **{goal.letter: 1 for goal in GOALS}})

    text = goals.verdicts([ours], baseline)

    for goal in GOALS:
        assert line(text, f"({goal.letter})")[4] != "-", goal.letter
