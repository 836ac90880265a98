# SPDX-License-Identifier: MIT
"""A copy through `secbox-fleet ssh` over lines that break: a stream of bytes that is never stored, with its hash on both sides."""
import contextlib
import subprocess
import threading

from .util import PATIENCE_SECONDS

CUTS = 10
SOURCE = ("import hashlib, sys; h = hashlib.sha256()\n"
          "for i in range(int(sys.argv[1])):\n"
          "    b = hashlib.sha256(str(i).encode()).digest() * 32768; h.update(b); sys.stdout.buffer.write(b)\n"
          "sys.stdout.buffer.flush(); print(h.hexdigest(), file=sys.stderr)")
SINK = ("import hashlib, sys; h = hashlib.sha256()\n"
        "while b := sys.stdin.buffer.read(1 << 20): h.update(b)\n"
        "print(h.hexdigest())")


def _cut(line, total, p, over):
    """Cuts the line ten times, at equal distances, while so many bytes go through it: each time that they flow again."""
    start, begun = line.passed, line.cuts
    while line.cuts - begun < CUTS and p.poll() is None:
        if line.passed - start > total * (line.cuts - begun + 1) // (CUTS + 1):
            line.cut()
        over.wait(0.005)


def copy(fleet, box, megabytes, to_box, lines):
    """Copies to the box or from it while each of the lines (CutProxy) is cut: cuts of each, both hashes, what was said."""
    here, there = (SOURCE, SINK) if to_box else (SINK, SOURCE)
    ssh = ["ssh", box, "--", f"exec python3 -c '{there}' {megabytes}"]
    begun = [line.cuts for line in lines]
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        local = ["python3", "-c", here, str(megabytes)]
        if to_box:
            source = stack.enter_context(subprocess.Popen(local, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            p = stack.enter_context(fleet.start(*ssh, stdin=source.stdout))
            source.stdout.close()
        else:
            p = stack.enter_context(fleet.start(*ssh))
            sink = stack.enter_context(subprocess.Popen(local, stdin=p.stdout, stdout=subprocess.PIPE, text=True))
            p.stdout.close()
        cutters = [threading.Thread(target=_cut, args=(line, megabytes << 20, p, over)) for line in lines]
        for cutter in cutters:
            cutter.start()
        errors = p.stderr.read()
        hashes = (source.stderr.read(), p.stdout.read()) if to_box else (errors, sink.stdout.read())
        over.set()
        for cutter in cutters:
            cutter.join()
        assert p.wait(PATIENCE_SECONDS) == 0, errors
    return [line.cuts - n for line, n in zip(lines, begun)], [h.split()[-1] for h in hashes], errors
