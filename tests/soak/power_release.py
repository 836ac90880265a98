# SPDX-License-Identifier: MIT
"""Releases of the data plane on the disk of power_record.py, and what power_check.py asks of a box that starts again after one."""
import glob
import json
import os

from tests.lab.release_box import BEATS, DIES, ReleaseBox

FOLDER = "/tmp/disk/release"


class KeptReleaseBox(ReleaseBox):
    """One that is there already."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.folder, self.root = FOLDER, f"{FOLDER}/root"
        self.run_dir, self.opt = f"{self.root}/run/tucomunidad/secbox", f"{self.root}/opt/tucomunidad"
        self.env = {"PATH": f"{FOLDER}/bin:{os.environ['PATH']}", "HOME": FOLDER, "LANG": "C.UTF-8"}
        os.makedirs(self.run_dir, exist_ok=True)


def make():
    """Version 1 runs, and all of it is on the disk."""
    box = ReleaseBox(FOLDER)
    box.switch_on()
    os.sync()
    return box


def change(box, known, version, works):
    """One release, to its end."""
    before = box.current()
    path = box.archive(version, BEATS if works else DIES)
    known.save(kind="release", works=works, before=before, after=f"releases/{version}", outcome=None)
    p = box.apply(path, 60 if works else 5)  # what works may be slow here
    if p.returncode != (0 if works else 1):
        raise AssertionError(f"release {version}, {works=}: {p}")
    known.save(outcome="done" if works else "rolled-back")


def judge(known):
    """Starts what the machine starts, in its order. A sentence, or None."""
    box = KeptReleaseBox()
    for name in glob.glob(f"{FOLDER}/pid-*"):
        os.unlink(name)  # of the boot before: by now somebody else may have these numbers
    try:
        # the units' order: secbox-prepare, secbox, secbox-release
        prepared = box.ctl("release", "prepare")
        if prepared.returncode:
            return f"prepare: {prepared}"
        box.systemctl("restart", "secbox.service")
        if os.path.exists(box.record_path):
            finished = box.ctl("release", "finish")
            if finished.returncode:
                return f"finish: {finished}; {box.record()}"
        return _agrees(box, known)
    finally:
        box.close()


def _agrees(box, known):
    current, record, runs = box.current(), box.record(), box.runs()
    status = json.loads(box.ctl("--json", "release", "status").stdout)
    if current not in (known["before"], known["after"]):
        return f"neither old nor new: {current}"
    if current != f"releases/{runs}" or status["current"] != current:
        return f"{current=}, {runs=}, {status=}"
    is_new = current == known["after"]
    of_this = known["after"] in (record.get("to"), record.get("from"))
    if of_this and record["state"] != ("confirmed" if is_new else record["state"]):
        return f"{current} runs, and the record says {record}"
    if not is_new and of_this and record["state"] not in ("rolled-back", "failed"):
        return f"{current} runs, and the record says {record}"
    if is_new and not of_this:
        return f"{current} runs, and no record says so: {record}"
    if known["outcome"] and (known["outcome"] == "done") != is_new:
        return f"told was {known['outcome']}; {is_new=}"
    return None
