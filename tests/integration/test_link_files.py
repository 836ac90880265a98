# SPDX-License-Identifier: MIT
"""mgmt-link fetches what belongs to a push before mgmt-agent hears of it."""
# pylint: disable=redefined-outer-name,unused-import
import hashlib
import os
import pathlib
import time

import pytest

pytest.importorskip("websockets")

from tests.integration.fake_cloud import timestamp  # noqa: E402
from tests.integration.test_link import box, cloud  # noqa: E402
from tests.lab.connect_proxy import ConnectProxy  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402

DAY = 24 * 3600


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def kept(box, digest="", ending=""):
    return box.state(f"bundles/{digest.removeprefix('sha256:')}{ending}")


def keep(box, digest, data, ending="", age=0):
    for folder in (box.state(), kept(box)):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(kept(box, digest, ending), "wb") as f:
        f.write(data)
    os.utime(kept(box, digest, ending), (time.time() - age, time.time() - age))


def push(connection, name, digest):
    connection.send({"type": "compose.snapshot", "id": name, "version": "7", "deviceId": "caseta5", "compose": "x",
                     "issuedAt": timestamp(), "bundle": {"digest": digest}})


def test_what_lies_here_is_taken_by_its_digest(cloud, box):
    good, bad = b"what was pushed", b"what a disk made of it"
    cloud.bundles = {digest_of(good): good, digest_of(b"other"): b"other"}
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    keep(box, digest_of(good), bad)
    push(connection, "d1", digest_of(good))
    assert box.agent.receive("compose.snapshot")["id"] == "d1"
    assert pathlib.Path(kept(box, digest_of(good))).read_bytes() == good and len(cloud.fetched) == 1
    # and what is right is not fetched again
    push(connection, "d2", digest_of(good))
    assert box.agent.receive("compose.snapshot")["id"] == "d2" and len(cloud.fetched) == 1
    box.stop()


def test_what_always_comes_damaged_is_given_up(cloud, box):
    """Whoever sent it fetches it for a quarter of an hour otherwise, and the box takes no other push meanwhile."""
    wanted = digest_of(b"what was pushed")
    cloud.bundles = {wanted: b"something else", digest_of(b"other"): b"other"}
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    push(connection, "d1", wanted)
    assert box.agent.receive("compose.snapshot")["id"] == "d1", "mgmt-agent says what is missing"
    assert [digest for digest, _ in cloud.fetched] == [wanted] * 3 and not os.path.exists(kept(box, wanted))
    # the next push counts for itself
    push(connection, "d2", digest_of(b"other"))
    assert box.agent.receive("compose.snapshot")["id"] == "d2" and os.path.exists(kept(box, digest_of(b"other")))
    box.stop()


@pytest.mark.parametrize("refuses", [True, False])
def test_files_come_past_a_proxy_that_refuses_them(cloud, box, refuses):
    data = b"what was pushed"
    cloud.bundles = {digest_of(data): data}
    with ConnectProxy() as proxy:
        box.start(http_proxy=f"http://127.0.0.1:{proxy.port}")
        connection = cloud.next_connection()
        box.agent.wait_connected()
        proxy.plain_refusal = 403 if refuses else None
        push(connection, "d1", digest_of(data))
        assert box.agent.receive("compose.snapshot")["id"] == "d1" and os.path.exists(kept(box, digest_of(data)))
        assert proxy.refused == refuses
        # what the gateway does not have, it does not have on either way
        push(connection, "d2", digest_of(b"nobody has it"))
        assert box.agent.receive("compose.snapshot")["id"] == "d2"
        box.stop()


def test_old_ones_go(cloud, box):
    fresh = b"what was pushed"
    cloud.bundles = {digest_of(fresh): fresh}
    whole = [b"%d" % i for i in range(6)]
    for age, data in enumerate(whole):
        keep(box, digest_of(data), data, age=60 * (age + 1))
    keep(box, digest_of(b"begun"), b"beg", ".part", age=3600)
    keep(box, digest_of(b"given up"), b"giv", ".part", age=2 * DAY)
    for i in range(4):  # of a gateway that lets each fetch stall
        keep(box, digest_of(b"stalled %d" % i), b"sta", ".part", age=7200 + i)
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    push(connection, "d1", digest_of(fresh))
    assert box.agent.receive("compose.snapshot")["id"] == "d1"
    left = [kept(box, digest_of(data)) for data in [fresh, *whole[:3]]]
    left += [kept(box, digest_of(begun), ".part") for begun in (b"begun", b"stalled 0", b"stalled 1")]
    wait_until(lambda: sorted(os.listdir(kept(box))) == sorted(map(os.path.basename, left)), "the newest are left")
    box.stop()
