# SPDX-License-Identifier: MIT
# pylint: disable=redefined-outer-name,unused-import
import os, shutil, stat
import pytest
from tests.integration.imitated import box, cloud, podman  # noqa: F401
from tests.lab.imitated_box import STATE, compose, wanted_image

def test_x(box, cloud):
    print(cloud.result(compose(1))["outcome"])
    print(cloud.result(compose(2))["outcome"])
    st = box.path(STATE)
    print(sorted(os.listdir(st)))
    tag = 2
    for kind in ("gone", "000", "link", "fifo", "dir"):
        for name in ("current.json", "floor.json", "history.jsonl", "journal.json", "services.json", "updates.json", "reported.json", "snapshots", "pulled-images.json", "orders.json", "reserve","updates-failed.json"):
            path = os.path.join(st, name)
            if box.agent: box.agent.stop()
            if os.path.isdir(path): shutil.rmtree(path)
            elif os.path.lexists(path): 
                if kind != "000": os.unlink(path)
            if kind == "000":
                if not os.path.exists(path): open(path, "w").write("{}")
                os.chmod(path, 0)
            elif kind == "link":
                target = box.path("etc/other"); open(target, "w").write("untouched"); os.symlink(target, path)
            elif kind == "fifo": os.mkfifo(path)
            elif kind == "dir": os.mkdir(path); open(path + "/x", "w").close()
            try:
                box.start_agent()
                cloud.connect()
                tag = 3 - tag
                r = cloud.result(compose(tag))
                print(kind, name, r["outcome"], r.get("error"), {k for k in box.running_images().values()} == {wanted_image(tag)}, oct(os.lstat(path).st_mode) if os.path.lexists(path) else "-")
                if kind == "link": print(open(target).read())
                if r["outcome"] != "done":
                    r = cloud.result(compose(tag)); print("   again", r["outcome"], r.get("error"))
            except BaseException as e:
                print(kind, name, "EXC", repr(e)[:1500])
            if os.path.isdir(path) and kind == "dir": shutil.rmtree(path)
            elif kind in ("fifo",) and os.path.lexists(path) and stat.S_ISFIFO(os.lstat(path).st_mode): os.unlink(path)
    print(box.log()[-3000:])
