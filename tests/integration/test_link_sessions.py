# SPDX-License-Identifier: MIT
"""mgmt-link whose configuration is edited while somebody is in through its tunnel: nobody is thrown out."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import socket

import pytest

pytest.importorskip("websockets")

from tests.integration.fake_cloud import FakeCloud  # noqa: E402
from tests.integration.test_bridge_box import cloud, link, peer, sshd  # noqa: E402
from tests.integration.test_link_config import fault, wait_fault  # noqa: E402
from tests.lab.util import free_port, wait_until  # noqa: E402


@contextlib.contextmanager
def inside(peer):
    """A connection to the box's sshd; the block's end leaves it."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
        assert s.makefile("rb", buffering=0).readline().startswith(b"SSH-2.0-OpenSSH")
        yield s


def is_in(s, link):
    s.sendall(b"SSH-2.0-test\r\n")
    assert s.recv(1), "sshd goes on with the handshake"
    assert "alice has left" not in link.logged() and "bridge.ended" not in link.logged()


def taken(other, link):
    assert other.next_connection()
    wait_until(lambda: not fault(link), "the fault is over", link.process.poll)
    assert f"the tunnel is to {other.url('mgmt')} now" in link.logged()


def test_an_edit_waits_until_those_who_are_in_have_left(sshd, peer, link):
    with FakeCloud() as other:
        with inside(peer) as s:
            link.write_env(MGMT_GATEWAY_URL=other.url("mgmt"), SSH_PORT=sshd.port)
            assert "1 sessions" in wait_fault(link, "config.waits")
            is_in(s, link)
            assert other.connections.empty()
        taken(other, link)
        link.stop()


def test_who_comes_in_while_an_edit_is_tried_stays_in_when_it_begins_to_work(sshd, peer, link):
    other = FakeCloud()
    other.port = free_port()
    link.write_env(MGMT_GATEWAY_URL=other.url("mgmt"), SSH_PORT=sshd.port)
    wait_fault(link, "config.unreachable")
    with inside(peer) as s, other:
        wait_fault(link, "config.waits")
        is_in(s, link)
        assert other.connections.empty()
        s.close()
        taken(other, link)
        link.stop()


@pytest.mark.parametrize("peer", ["logs"], indirect=True)
def test_who_reads_a_log_is_not_waited_for(sshd, peer, link):
    with FakeCloud() as other, contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))):
        wait_until(lambda: "[bridge] alice is in by logs" in link.logged(), "the reader is in", link.process.poll)
        link.write_env(MGMT_GATEWAY_URL=other.url("mgmt"), SSH_PORT=sshd.port)
        wait_until(lambda: f"the tunnel is to {other.url('mgmt')} now" in link.logged(), "the edit is taken", link.process.poll)
        wait_until(lambda: "bridge.ended" in link.logged(), "the reading has ended", link.process.poll)
        assert "is taken when the last of" not in link.logged()
        link.stop()
