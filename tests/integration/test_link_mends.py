# SPDX-License-Identifier: MIT
"""mgmt-link where this box, and not its configuration, lacks something for a while."""
# pylint: disable=redefined-outer-name,unused-import
import os

import pytest

pytest.importorskip("websockets")

from tests.integration.test_link import box, cloud  # noqa: E402


def test_what_is_lacking_may_come_later(cloud, box):
    """Nobody can come by and touch the file: the tunnel is the way by which they would."""
    os.makedirs(box.state("key.pem"))
    os.chmod(box.state(), 0o700)
    box.start()
    assert box.agent.wait_fault()["connected"] is False
    assert not cloud.claims and not cloud.upgrades
    os.rmdir(box.state("key.pem"))
    cloud.next_connection()
    box.agent.wait_connected()
    box.stop()
