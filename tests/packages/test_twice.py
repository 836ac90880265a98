# SPDX-License-Identifier: MIT
"""The same commit gives the same packages and the same repository, wherever it is built. Minutes long: `make packages-twice`."""
import os
import shutil
import subprocess

from tests.lab.util import ROOT

KEY = "repo-test-key.asc"


def run(where, *words):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, check=False)
    assert p.returncode == 0, f"{words}: {p.stdout[-4000:]}{p.stderr[-4000:]}"


def content(folder):
    """Name → bytes of all below a folder; what dpkg says of the machine that built is left out."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if not name.endswith((".buildinfo", ".changes")):
                with open(os.path.join(where, name), "rb") as f:
                    found[os.path.relpath(os.path.join(where, name), folder)] = f.read()
    return found


def test_the_same_commit_gives_the_same_bytes(folder):
    trees = [os.path.join(folder, name) for name in ("a", "another/and-a-longer-name")]
    for tree, origin in zip(trees, (ROOT, trees[0])):
        run(folder, "git", "clone", "-q", origin, tree)
        os.mkdir(f"{tree}/build")
        if origin != ROOT:
            shutil.copy(f"{origin}/build/{KEY}", f"{tree}/build/")
        run(tree, "make", "-s", "deb")
        run(tree, "make", "-s", "PODMAN=false", "CLOSURE=no", "bundle")
    for part in ("deb", "repo"):
        first, second = (content(f"{tree}/build/{part}") for tree in trees)
        assert first.keys() == second.keys() and len(first) >= 10
        assert not [name for name, data in first.items() if second[name] != data]
    bundles = [{name: data for name, data in content(f"{tree}/build").items() if name.endswith(".tar")} for tree in trees]
    assert bundles[0] == bundles[1] and len(bundles[0]) == 1
