"""Result files and the tables made of them."""

import json

import pytest
from cdbench import results, table
from cdbench.results import Document, Result, Run


def document(label: str, *runs: tuple[int, dict[str, dict[str, object]]]) -> Document:
    return results.from_json(
        {"label": label, "url": "http://x/", "runs": [{"n": n, "results": found} for n, found in runs]}
    )


def lines(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


def get(wall: float, cpu: float, **more: object) -> dict[str, object]:
    return {"median_ms": wall, "p95_ms": 2 * wall, "server_cpu_ms": cpu, **more}


def test_several_runs_of_a_server_give_their_median():
    measured = document("ours", (10, {"h": get(1, 0.5)}), (10, {"h": get(9, 8)}), (10, {"h": get(2, 1.5)}))

    assert lines(table.render([measured]), "| (h)") == ["| (h) GET one contact | 2.00 (p95 4.00) [cpu 1.50] |"]


def test_a_server_without_a_figure_has_a_dash_and_a_refusal_its_status():
    measured = [
        document("ours", (10, {"h": get(1, 1)})),
        document("a", (10, {"k": {"unsupported": 500, "answer": ""}})),
        document("b", (10, {"k": {"failed": "EOFError: x"}})),
    ]

    assert lines(table.render(measured), "| (h)") == ["| (h) GET one contact | 1.00 (p95 2.00) [cpu 1.00] | - | - |"]
    assert lines(table.render(measured), "| (k)")[0].endswith("| - | unsupported (500) | failed |")


def test_capped_and_wrong_answers_are_marked():
    measured = document("ours", (10, {"b": get(1, 1, capped=True, notes=["9 responses, expected 10"])}))

    assert lines(table.render([measured]), "| (b)")[0].endswith("capped * |")


def test_ratios_say_how_many_times_as_long_the_others_took():
    measured = [
        document("ours", (10, {"h": get(2, 0.5), "l": {"per_s": 1000, "server_cpu_ms": 0.1}})),
        document("peer", (10, {"h": get(3, 10), "l": {"per_s": 50, "server_cpu_ms": 2}})),
    ]

    text = table.ratios(measured, "ours")

    assert lines(text, "| (h)") == ["| (h) GET one contact | 1.50 / 20.0 |"]
    assert lines(text, "| (l)") == ["| (l) 32 clients polling (k)+(d) | 20.0 / 20.0 |"]


def test_a_ratio_of_wrong_answers_is_marked():
    measured = [
        document("ours", (10, {"h": get(2, 1)})),
        document("peer", (10, {"h": get(1, 1, notes=["0 cards, expected 1"])})),
    ]

    assert lines(table.ratios(measured, "ours"), "| (h)") == ["| (h) GET one contact | 0.50 / 1.00 * |"]


def test_growth_compares_the_largest_size_with_the_smallest():
    measured = document("ours", (10, {"h": get(2, 1)}), (50, {"h": get(5, 9)}), (100, {"h": get(3, 4)}))

    text = table.growth([measured])

    assert "1 is flat, 10 is linear" in text
    assert lines(text, "| (h)") == ["| (h) GET one contact | 1.50 / 4.00 |"]


def test_a_comparison_without_ours_or_with_one_size_leaves_out_what_it_cannot_say():
    measured = [document("a", (10, {"h": get(1, 1)})), document("b", (10, {"h": get(1, 1)}))]

    text = table.comparison(measured, "ours")

    assert "relative to" not in text
    assert "Growth" not in text


def test_a_document_survives_its_file(tmp_path):
    run = Run(10, {"h": Result(repeats=3, median_ms=1.5, notes=["odd: ü"])}, round=2, cpu_source="ticks", rss_mb=3.5)
    measured = Document("ours", "http://x/", [run])
    single, several = tmp_path / "one.json", tmp_path / "two.json"

    results.save(single, results.to_json(measured))
    results.save(several, {"when": "now", "documents": [results.to_json(measured)] * 2})

    assert results.load([single, several]) == [measured] * 3
    assert json.loads(single.read_text())["runs"][0]["results"]["h"] == {
        "repeats": 3,
        "median_ms": 1.5,
        "notes": ["odd: ü"],
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "two.json"]


def test_a_field_no_result_has_is_refused():
    with pytest.raises(TypeError):
        document("ours", (10, {"h": {"median": 1}}))


def test_the_baseline_tables_are_those_of_the_baseline_files(bench_folder):
    """Old result files stay readable, and BASELINE.md says what they say."""
    documents = results.load(sorted((bench_folder / "baseline").glob("*.json")))
    written = (bench_folder / "BASELINE.md").read_text(encoding="utf-8")

    assert table.render(documents).strip() in written
