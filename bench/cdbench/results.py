"""What a measurement leaves: results, runs and documents, and their JSON.

A document holds the runs of one server; a run, the results of one pass over the workloads at one size. Files are a
single document (``carddav_bench.py --out``, ``baseline/``) or a comparison, ``{"documents": [...]}`` (``run.py``).
A field without a value is left out of the file; fields this module does not know are refused, so that a typo cannot
pass for a missing measurement.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Result:
    """What one workload gave. Times are milliseconds per request unless the name says otherwise.

    first_ms: the request before the measured ones, where there is one (listing, first sync, searches)
    unsupported: the status the server refused with; answer: how that answer began
    failed: the error that ended the workload without a measurement
    skipped: why it was not tried
    memory_mb: anonymous memory of the server's largest process before an initial sync
    memory_more_mb: how much more one of its processes had during it
    capped: the time was up before all repeats were done; nothing is extrapolated
    notes: what was wrong with answers, at most a few
    """

    repeats: int | None = None
    first_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    min_ms: float | None = None
    bytes: int | None = None
    server_cpu_ms: float | None = None
    contacts_per_s: float | None = None
    hits: list[int] | None = None
    # concurrent clients
    clients: int | None = None
    requests: int | None = None
    seconds: float | None = None
    per_s: float | None = None
    client_cpu_share: float | None = None
    kinds: dict[str, dict[str, float]] | None = None
    # loading
    already_there: int | None = None
    sequential: int | None = None
    sequential_per_s: float | None = None
    rest: int | None = None
    rest_clients: int | None = None
    rest_per_s: float | None = None
    rest_p95_ms: float | None = None
    bulk: int | None = None
    bulk_s: float | None = None
    bulk_per_s: float | None = None
    # memory
    memory_mb: float | None = None
    memory_more_mb: float | None = None
    # what went wrong
    capped: bool | None = None
    notes: list[str] | None = None
    unsupported: int | str | None = None
    answer: str | None = None
    failed: str | None = None
    skipped: str | None = None


@dataclass(slots=True)
class Run:
    """One pass over the workloads with ``n`` contacts in the book. Results are by the workload's letter.

    anonymous_mb: after the pass, of all the server's processes, its database's included
    anonymous_worker_mb: of the largest of its own
    """

    n: int
    results: dict[str, Result] = field(default_factory=dict)
    round: int | None = None
    when: str | None = None
    cpu_source: str | None = None
    load_before: list[float] | None = None
    load_after: list[float] | None = None
    rss_mb: float | None = None
    pss_mb: float | None = None
    anonymous_mb: float | None = None
    anonymous_worker_mb: float | None = None


@dataclass(slots=True)
class Document:
    """The runs of one server."""

    label: str
    url: str
    runs: list[Run] = field(default_factory=list)


def to_json(document: Document) -> dict[str, Any]:
    """Return ``document`` as it stands in a file."""
    runs = []
    for run in document.runs:
        row = filled(run)
        row["results"] = {letter: filled(result) for letter, result in run.results.items()}
        runs.append(row)
    return {"label": document.label, "url": document.url, "runs": runs}


def from_json(written: Mapping[str, Any]) -> Document:
    """Return the document of one file's object. Raises TypeError if it has a field that no result has."""
    runs = []
    for row in written["runs"]:
        results = {letter: Result(**result) for letter, result in row["results"].items()}
        runs.append(Run(**{**row, "results": results}))
    return Document(written["label"], written["url"], runs)


def load(paths: Iterable[Path]) -> list[Document]:
    """Return the documents of all ``paths``, in their order."""
    documents = []
    for path in paths:
        written = json.loads(path.read_text(encoding="utf-8"))
        documents += [from_json(each) for each in written.get("documents", [written])]
    return documents


def save(path: Path, written: Mapping[str, Any]) -> None:
    """Write ``written`` as JSON, through a second file: an interrupted run keeps what it had measured."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def filled(record: Result | Run) -> dict[str, Any]:
    """Return the fields of ``record`` that have a value."""
    fields = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    return {name: value for name, value in fields.items() if value is not None}
