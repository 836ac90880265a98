# SPDX-License-Identifier: MIT
"""What a machine did to its disk, in its order, as disk-log.c wrote it down; and from it the disk as it is when the power goes at
any moment: what was written before the last flush is there, and of what came later each piece, none, or a part of its sectors.

The disk of user-mode Linux gets no flushes from its driver. Where ext4 asks for them is known all the same: jbd2 has the disk
flushed before and after each commit record and each superblock of its journal (REQ_PREFLUSH and REQ_FUA), and no fsync ends before
that."""
import os
import pickle
import shutil
import struct
import subprocess

from .preload import preloaded

HEAD = struct.Struct("QQQ")  # as Record in disk-log.c
WRITE, FLUSH, ZERO, NOTE = 1, 2, 3, 4
SECTOR = 512  # that a disk writes as a whole
JBD2_MAGIC, JBD2_COMMIT, JBD2_SUPERBLOCK = 0xC03B3998, 2, 4  # the beginning of a block of the journal, as 32-bit big-endian numbers
WAYS = ("all", "none", "some", "torn")


def logged(folder, disk, log, notes):
    """The environment of user-mode Linux."""
    return {**preloaded("disk-log", folder), "SECBOX_DISK": disk, "SECBOX_DISK_LOG": log, "SECBOX_DISK_NOTES": notes}


class DiskLog:
    def __init__(self, path):
        self.path = path
        self.records = []  # (kind, offset on the disk, length, where in the log)
        with open(path, "rb") as f:
            while head := f.read(HEAD.size):
                if len(head) < HEAD.size:
                    break  # the machine was killed while it wrote
                kind, offset, length = HEAD.unpack(head)
                at = f.tell()
                data = f.read(length) if kind in (WRITE, NOTE) else b""
                barrier = [(FLUSH, 0, 0, at)] if kind == WRITE and self._has_barrier(data) else []
                self.records += [*barrier, (kind, offset, length, at), *barrier]
        self.file = open(path, "rb")  # pylint: disable=consider-using-with

    @staticmethod
    def _has_barrier(data):
        return len(data) >= 8 and struct.unpack(">II", data[:8]) in ((JBD2_MAGIC, JBD2_COMMIT), (JBD2_MAGIC, JBD2_SUPERBLOCK))

    def data(self, number):
        _, _, length, at = self.records[number]
        return os.pread(self.file.fileno(), length, at)

    def notes(self):
        """(number of the record, name, what was noted), in their order."""
        for number, record in enumerate(self.records):
            if record[0] == NOTE:
                name, text = self.data(number).split(b"\0", 1)
                yield number, name.decode(), pickle.loads(text)


class Disk:
    """The disk as the log makes it, forward only."""

    def __init__(self, log, first, folder):
        self.log, self.base, self.done = log, os.path.join(folder, "base"), 0
        self.image = os.path.join(folder, "image")
        self._copy(first, self.base)

    @staticmethod
    def _copy(source, target):
        if os.path.exists(target):
            os.unlink(target)
        subprocess.run(["cp", "--sparse=always", "--reflink=never", source, target], check=True)

    def _put(self, f, number, part=None):
        kind, offset, length, _ = self.log.records[number]
        if kind == WRITE:
            data = self.log.data(number)
            f.seek(offset)
            f.write(data[:part])
        elif kind == ZERO:
            f.seek(offset)
            f.write(bytes(length if part is None else part))

    def cut(self, moment, way, chance):
        """The path of an image as of when `moment` records were written; moments only grow."""
        flushes = [n for n in range(self.done, moment) if self.log.records[n][0] == FLUSH]
        if flushes:
            with open(self.base, "r+b") as f:
                for number in range(self.done, flushes[-1]):
                    self._put(f, number)
            self.done = flushes[-1] + 1
        self._copy(self.base, self.image)
        with open(self.image, "r+b") as f:
            for number in range(self.done, moment):
                length = self.log.records[number][2]
                if way == "all" or way in ("some", "torn") and chance.random() < 0.5:
                    self._put(f, number)
                elif way == "torn":
                    self._put(f, number, chance.randrange(0, max(1, length // SECTOR)) * SECTOR)
        return self.image

    def close(self):
        shutil.rmtree(os.path.dirname(self.base), ignore_errors=True)
