# SPDX-License-Identifier: MIT
"""The disk that is made from a record is what a disk may be when the power goes: else `make power-cuts` would show nothing."""
import os
import pickle
import random
import struct
import subprocess

import pytest

from tests.lab.disk_log import FLUSH, HEAD, NOTE, SECTOR, WRITE, Disk, DiskLog
from tests.lab.preload import preloaded

BLOCK = 4096
COMMIT = struct.pack(">II", 0xC03B3998, 2).ljust(BLOCK, b"\0")


def block(letter):
    return letter * BLOCK


@pytest.fixture
def recorded(folder):
    """Two writes, the commit record that makes them last, a note, and two writes that nothing makes last."""
    path = os.path.join(folder, "log")
    with open(path, "wb") as f:
        for kind, number, data in [(WRITE, 0, block(b"a")), (WRITE, 1, block(b"b")), (WRITE, 7, COMMIT),
                                   (NOTE, 0, b"known\0" + pickle.dumps({"told": 1})), (WRITE, 0, block(b"c")),
                                   (WRITE, 2, block(b"d"))]:
            f.write(HEAD.pack(kind, number * BLOCK, len(data)) + data)
        f.write(HEAD.pack(WRITE, 0, BLOCK)[:5])  # killed while it wrote
    with open(os.path.join(folder, "first"), "wb") as f:
        f.truncate(8 * BLOCK)
    os.makedirs(os.path.join(folder, "images"))
    log = DiskLog(path)
    yield log, Disk(log, os.path.join(folder, "first"), os.path.join(folder, "images"))
    log.file.close()


def blocks(image):
    with open(image, "rb") as f:
        return [f.read(BLOCK) for _ in range(3)]


def test_a_flush_is_before_and_after_a_commit_record(recorded):
    log, _ = recorded
    assert [r[0] for r in log.records] == [WRITE, WRITE, FLUSH, WRITE, FLUSH, NOTE, WRITE, WRITE]
    assert list(log.notes()) == [(5, "known", {"told": 1})]


def test_f59_what_was_flushed_is_there_whatever_else_is_lost(recorded):
    _, disk = recorded
    assert blocks(disk.cut(2, "none", random.Random(1))) == [bytes(BLOCK)] * 3
    assert blocks(disk.cut(2, "all", random.Random(1)))[:2] == [block(b"a"), block(b"b")]
    assert blocks(disk.cut(3, "none", random.Random(1)))[:2] == [block(b"a"), block(b"b")]
    end = len(disk.log.records)
    assert blocks(disk.cut(end, "none", random.Random(1))) == [block(b"a"), block(b"b"), bytes(BLOCK)]
    assert blocks(disk.cut(end, "all", random.Random(1))) == [block(b"c"), block(b"b"), block(b"d")]
    some = {tuple(b[:1] for b in blocks(disk.cut(end, "some", random.Random(seed)))) for seed in range(40)}
    assert some == {(a, b"b", d) for a in (b"a", b"c") for d in (b"\0", b"d")}, "in any order"
    torn = [blocks(disk.cut(end, "torn", random.Random(seed)))[0] for seed in range(40)]
    lengths = {one.count(b"c") for one in torn}
    assert all(one == b"c" * one.count(b"c") + b"a" * one.count(b"a") for one in torn)
    assert all(length % SECTOR == 0 for length in lengths) and len(lengths) > 3


def test_the_library_writes_down_what_a_program_does_to_the_disk(folder):
    disk, log, other = (os.path.join(folder, name) for name in ("disk", "log", "other"))
    os.makedirs(os.path.join(folder, "kept"))
    for path in (disk, other):
        with open(path, "wb") as f:
            f.truncate(BLOCK)
    env = {**os.environ, **preloaded("disk-log", folder), "SECBOX_DISK": disk, "SECBOX_DISK_LOG": log,
           "SECBOX_DISK_NOTES": f"{folder}/kept/"}
    script = """import os, pickle, sys
disk, other = (os.open(path, os.O_RDWR) for path in sys.argv[1:3])
os.pwrite(other, b"x", 0)
os.pwrite(disk, b"one", 512)
with open(sys.argv[3] + ".new", "wb") as f:
    pickle.dump([1], f)
os.rename(sys.argv[3] + ".new", sys.argv[3])
os.fsync(other)
os.fdatasync(disk)
"""
    subprocess.run(["/usr/bin/python3", "-c", script, disk, other, os.path.join(folder, "kept/known")], env=env, check=True)
    found = DiskLog(log)
    assert [r[0] for r in found.records] == [WRITE, NOTE, FLUSH]
    assert found.records[0][1:3] == (512, 3) and found.data(0) == b"one"
    assert list(found.notes()) == [(1, "known", [1])]
    found.file.close()
