# SPDX-License-Identifier: MIT
"""Programs that parse what people write, with one allocation of a run failing: they say so, or say exactly what they say otherwise,
and they never crash. ALLOC_EVERY=1 takes each allocation, as `make check-faults` does; without it there are a few dozen. And a push
and an update, with one of the allocations of mgmt-agent and its workers failing: ALLOC_POINTS of them, spread over all of it."""
# pylint: disable=redefined-outer-name
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.integration.imitated import imitated_podman
from tests.lab.faulty_box import FaultyBox, ImageUpdateBox
from tests.lab.preload import compile_library
from tests.lab.util import ROOT, program, read_text

EVERY = int(os.environ.get("ALLOC_EVERY", "0"))
FEW = 40
POINTS = int(os.environ.get("ALLOC_POINTS", "2"))
EXAMPLE = os.path.join(ROOT, "compose/examples/secbox.yml")
SECBOX_ENV = "".join(f"{key}={value}\n" for key, value in {
    "CLOUD_BASE_URL": "https://cloud.example", "DEVICE_ID": "caseta5", "BOOTSTRAP": "lab-bootstrap-secret-000001",
    "DEVICE_GATEWAY_URL": "wss://cloud.example/device", "LAN_NAMES": "10.0.0.2 secbox.local"}.items())
COMMANDS = {
    "check": ["secbox-fleet", "check", EXAMPLE],
    "config": ["secbox-fleet", "config", EXAMPLE],
    "render": ["secboxctl", "render", "--json", EXAMPLE],
}


class Starved:
    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        self.counted = os.path.join(folder, "count")
        self.library = compile_library("alloc-point", folder)
        os.makedirs(os.path.join(self.root, "etc/tucomunidad"))
        with open(os.path.join(self.root, "etc/tucomunidad/secbox.env"), "w", encoding="utf-8",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(SECBOX_ENV)

    def run(self, argv, number):
        env = {"PATH": os.environ["PATH"], "HOME": self.root, "LANG": "C.UTF-8", "SECBOX_ROOT": self.root,
               "LD_PRELOAD": self.library, "SECBOX_ALLOC_FAIL": str(number), "SECBOX_ALLOC_COUNT": self.counted}
        return subprocess.run([program(argv[0]), *argv[1:]], env=env, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, check=False)


def need_our_malloc():
    with open(program("secboxctl"), "rb") as f:
        if b"__asan_init" in f.read():
            pytest.skip("AddressSanitizer has its own malloc")


@pytest.fixture
def starved(folder):
    require_programs("secboxctl", "secbox-fleet")
    need_our_malloc()
    return Starved(folder)


@pytest.mark.parametrize("name", COMMANDS)
def test_memory_that_is_missing_is_told(starved, name):
    argv = COMMANDS[name]
    good = starved.run(argv, 0)
    assert good.returncode == 0, good
    allocations = int(read_text(starved.counted))
    step = EVERY or max(1, allocations // FEW)
    wrong = []
    for number in range(1, allocations + 1, step):
        p = starved.run(argv, number)
        if p.returncode < 0:
            wrong.append(f"allocation {number}: it ends by signal {-p.returncode}")
        # check's sentence may have another name for the file, and advice that is about the memory
        elif p.returncode == 0 and p.stdout != good.stdout and (name != "check" or ": ok" not in p.stdout):
            wrong.append(f"allocation {number}: it says something else, and that all is well")
    print(f"\nfaults: {name}: {len(range(1, allocations + 1, step))} injected, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:20])


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    require_programs("secboxctl")
    need_our_malloc()
    with imitated_podman(str(tmp_path_factory.mktemp("podman"))) as it:
        yield it


@pytest.mark.parametrize("works", [True, False], ids=["works", "rolled-back"])
@pytest.mark.parametrize("kind", [FaultyBox, ImageUpdateBox], ids=["push", "update"])
def test_one_of_old_and_new_runs(podman, tmp_path, kind, works):
    made, injected, wrong, box = 0, 0, [], None
    for i in range(POINTS):
        if not box:
            made += 1
            folder = tmp_path / str(made)
            folder.mkdir()
            box = kind(podman, str(folder), memory=True)
            allocations = box.count(works, "count-memory")
            box.seconds = 20  # where there is no memory for the message to the cloud, it is taken back when its time is over
        number = 1 + int(allocations * (i + (0.25 if works else 0.75)) / POINTS)
        where, what = box.change("memory", number, works)
        injected += bool(where)
        if what:
            wrong.append(f"allocation {number} of {allocations} ({where}): {what}\n{box.box.log()[-3000:]}")
            box.close()
            box = None
    if box:
        box.close()
    print(f"\nfaults: memory, {kind.__name__}, {'works' if works else 'rolled back'}: {injected} injected of {allocations}, "
          f"{len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:3])
    assert injected > 0
