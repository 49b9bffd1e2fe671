"""radicale-shared without its history: what its writes would cost if they wrote cards only (``without_history.py``)."""

import sys
from pathlib import Path

from .ours import Ours, OursOnPostgresql

_SCRIPT = Path(__file__).parents[2] / "without_history.py"


class OursBare(Ours):
    """On SQLite. What isn't served, such as the filling, is the product's own."""

    label = "ours-bare"
    by_default = False

    def command(self, port: int) -> list[str]:
        return [sys.executable, str(_SCRIPT), *super().command(port)[1:]]


class OursOnPostgresqlBare(OursOnPostgresql):
    """The same on PostgreSQL."""

    label = "ours-pg-bare"
    by_default = False

    def command(self, port: int) -> list[str]:
        return [sys.executable, str(_SCRIPT), *super().command(port)[1:]]
