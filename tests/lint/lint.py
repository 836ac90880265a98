#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rules of the tree that a program can check. Prints what breaks them, and counts checks for tests/run.py.

    lint.py [--named PART] [--staged]      only checks whose names hold PART; all but those that run for seconds
"""
import argparse
import sys

import check_code
import check_docs
import check_format
import check_glossary
import check_installed
import check_layers
import check_names
import check_workflows

SLOW = {"units_verify", "units_are_tight"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--named", default="")
    parser.add_argument("--staged", action="store_true")
    arguments = parser.parse_args()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for module in (check_code, check_format, check_layers, check_docs, check_glossary, check_names, check_installed,
                   check_workflows):
        for check in module.CHECKS:
            if arguments.named not in check.__name__ or arguments.staged and check.__name__ in SLOW:
                continue
            name = check.__name__.replace("_", " ")
            try:
                problems = list(check())
            except LookupError as e:
                counts["skipped"] += 1
                print(f"SKIPPED {name}: {e}")
                continue
            counts["failed" if problems else "passed"] += 1
            if problems:
                print(f"FAILED {name}")
                print("".join(f"  {p}\n" for p in problems), end="")
    print(f"lint: {sum(counts.values())} checks: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
