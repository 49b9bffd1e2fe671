"""Answers that are kept as files, byte for byte: what a phone got once, it gets again.

``WRITE_GOLDEN=1 pytest tests/phones`` writes them anew, to be read before they are committed; ``make test`` never does.
"""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def assert_stored(name: str, body: bytes) -> None:
    """Hold an answer against the file of this name."""
    file = _FOLDER / name
    if os.environ.get("WRITE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    assert file.is_file(), f"no stored answer {file.name}; see {Path(__file__).name}"
    assert body.decode("utf-8", "replace") == file.read_bytes().decode("utf-8", "replace")
    assert body == file.read_bytes()
