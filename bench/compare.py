#!/usr/bin/env python3
"""Print one table of several result files: compare.py a.json b.json ... (several runs of a label give their median).

With --base LABEL, also how many times as much as LABEL every other server took, and how all grow with the book; with
--goals, which of this server's goals are met. So the parts of a run that was stopped give one table.
"""

import argparse
import sys
from pathlib import Path

from cdbench import goals, results, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--base", help="label to compare the others with, e.g. ours")
    parser.add_argument("--goals", action="store_true", help="also the goals, beside the figures of baseline/")
    given = parser.parse_args()
    documents = results.load(given.files)
    if given.goals:
        baseline = results.load(sorted((Path(__file__).parent / "baseline").glob("*.json")))
        print(goals.verdicts(documents, baseline))
    print(table.comparison(documents, given.base) if given.base else table.render(documents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
