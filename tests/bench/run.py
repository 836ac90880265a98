#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs benchmark suites: prints a table each and writes build/bench/SUITE.json.

    tests/bench/run.py [--runs N] [--quick] [--out DIR] SUITE…
"""
import argparse
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.bench import cameras, data, hostile, push, relay, tunnel, update  # noqa: E402  pylint: disable=wrong-import-position
from tests.bench.measure import Suite  # noqa: E402  pylint: disable=wrong-import-position
from tests.lab import isolate  # noqa: E402  pylint: disable=wrong-import-position

SUITES = {"cameras": cameras.run, "data": data.run, "hostile": hostile.run, "push": push.run, "relay": relay.run,
          "tunnel": tunnel.run, "update": update.run}


def arguments():
    parser = argparse.ArgumentParser(description="Benchmarks, each beside a peer.")
    parser.add_argument("--runs", type=int, default=5, help="paired runs (5)")
    parser.add_argument("--quick", action="store_true", help="one small metric only: does it work at all?")
    parser.add_argument("--out", default=os.path.join(ROOT, os.environ.get("BUILD", "build"), "bench"), help="where the JSON goes")
    parser.add_argument("suites", nargs="+", choices=SUITES)
    return parser.parse_args()


def main():
    if not isolate.is_isolated() and os.geteuid() == 0:
        return isolate.run([sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    args = arguments()
    for name in args.suites:
        suite = Suite(name, args.runs)
        folder = tempfile.mkdtemp(prefix="secbox-bench-")
        try:
            SUITES[name](suite, folder, args.quick)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(suite.table())
        print(f"\nwritten to {suite.save(args.out)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
