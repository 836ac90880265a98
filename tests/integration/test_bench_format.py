# SPDX-License-Identifier: MIT
"""The benchmarks run, and their JSON has the documented form."""
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.bench.measure import FIELDS, Suite, check_form
from tests.conftest import require_programs
from tests.lab.util import ROOT

GOOD = {"metric": "m", "unit": "ms", "ours": 1.0, "peer": 4.0, "peer_name": "p", "ratio": 0.25, "runs": 5}


def test_pairs_are_measured_in_turn(folder):
    calls = []
    suite = Suite("sample", 3)

    def measured(who, values):
        def call(run):
            calls.append((who, run))
            return values[run]
        return call

    suite.pairs("m", "ms", "p", measured("ours", [9, 1, 2]), measured("peer", [4, 4, 100]))
    assert calls == [("ours", 0), ("peer", 0), ("ours", 1), ("peer", 1), ("ours", 2), ("peer", 2)]
    suite.save(folder)
    with open(os.path.join(folder, "sample.json"), encoding="utf-8") as f:
        document = json.load(f)
    assert document == [{"metric": "m", "unit": "ms", "ours": 2, "peer": 4, "peer_name": "p", "ratio": 0.5, "runs": 3}]
    assert check_form(document) is None
    assert "0.500" in suite.table()


def test_a_bound_is_said_to_be_met_or_missed():
    suite = Suite("sample", 1)
    suite.bound("memory", 255.5, "MB", 256)
    suite.bound("a call", 201, "ms", 200)
    suite.bound("failed", 0, "calls", 0)
    assert suite.notes == ["met: memory: 256 MB, at most 256", "MISSED: a call: 201 ms, at most 200",
                           "met: failed: 0 calls, at most 0"]


@pytest.mark.parametrize("document", [
    {}, [], [{}], [{**GOOD, "more": 1}], [{k: GOOD[k] for k in reversed(FIELDS)}], [{**GOOD, "ratio": 0.26}],
    [{**GOOD, "runs": 0}], [{**GOOD, "ours": "1"}], [{**GOOD, "unit": ""}], [{**GOOD, "peer_name": None}]])
def test_another_form_is_noticed(document):
    assert check_form([GOOD]) is None
    assert check_form(document)


def quick(suite, folder):
    """The rows of a suite's one quick run."""
    p = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tests", "bench", "run.py"), "--quick", "--runs", "1",
                        "--out", folder, suite], capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    with open(os.path.join(folder, f"{suite}.json"), encoding="utf-8") as f:
        document = json.load(f)
    assert check_form(document) is None
    return document


def test_the_push_suite_runs(folder):
    require_programs("mgmt-agent", "mgmt-worker")
    for name in ("podman", "podman-compose"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed: installer/deps.sh bench")
    document = quick("push", folder)
    again = document[0]
    assert (again["metric"], again["unit"], again["runs"]) == ("the same snapshot again, services: 1", "ms", 1)
    assert again["ours"] < again["peer"]
    started = [row for row in document if row["unit"] == "processes"]
    assert all(row["ours"] == 0 for row in started)


def test_the_update_suite_runs(folder):
    require_programs("mgmt-worker")
    for name in ("podman", "skopeo", "docker-registry"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed: installer/deps.sh bench")
    document = quick("update", folder)
    assert (document[0]["unit"], document[0]["peer_name"]) == ("ms", "skopeo inspect of each")


def test_the_tunnel_suite_runs(folder):
    require_programs("secbox-gateway")
    if not shutil.which("node"):
        pytest.skip("node is not installed: installer/deps.sh bench")
    rows = quick("tunnel", folder)
    assert (rows[0]["metric"], rows[0]["unit"]) == ("memory of the gateway for each idle box, boxes: 200", "KiB")
    # whether it is less is for programs without sanitizers to say
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows if row["unit"] in ("KiB", "1/s", "Mbit/s"))


def test_the_data_suite_runs(folder):
    require_programs("secbox")
    rows = quick("data", folder)
    assert [(row["metric"].split(",")[0], row["unit"]) for row in rows] == [
        ("rows into the replica by a snapshot", "1/s"), ("rows into the replica by changes", "1/s"),
        ("the same by a snapshot", "1/s"), ("CPU of a row by a snapshot", "µs")]
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows)


def test_the_cameras_suite_runs(folder):
    require_programs("secbox", "secbox-gateway")
    for name in ("nginx", "ffmpeg"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed: installer/deps.sh test bench")
    rows = quick("cameras", folder)
    assert [row["unit"] for row in rows] == ["1/s", "% of a core", "KiB"]
    assert rows[0]["ours"] > 0 and rows[0]["peer"] > 0 and rows[1]["ours"] > 0
