# SPDX-License-Identifier: MIT
"""Tablets find the box by secbox.local: Debian's avahi-daemon, by the configuration that is installed."""
import os
import re
import shutil
import socket
import struct
import subprocess

import pytest

from tests.lab.util import ROOT, Daemon, read_text, wait_until

AVAHI = "/usr/sbin/avahi-daemon"
CONF = os.path.join(ROOT, "installer", "avahi-daemon.conf")
ADDRESS, GROUP, PORT = "192.168.77.20", "224.0.0.251", 5353
NAME = b"\6secbox\5local\0"


@pytest.fixture
def lan():
    """The guards' network as the box has it: one cable."""
    if os.environ.get("SECBOX_ISOLATED") is None or os.geteuid() != 0:
        pytest.skip("this needs a network of its own: run it through tests.lab.isolate")
    for command in ("link add lan0 type veth peer name lan1", f"addr add {ADDRESS}/24 dev lan0", "link set lan1 up",
                    "link set lan0 up", "link set lo up"):
        subprocess.run(["ip", *command.split()], check=True)
    yield
    subprocess.run(["ip", "link", "del", "lan0"], check=True)


def ask():
    """The addresses that a tablet gets for the name (RFC 6762; from a port of its own the answer comes straight back)."""
    question = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + NAME + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ADDRESS))
        s.settimeout(1)
        s.sendto(question, (GROUP, PORT))
        try:
            answer = s.recv(4096)
        except socket.timeout:
            return []
    records = [answer[m.end():m.end() + 4] for m in re.finditer(rb"\x00\x01\x00\x01....\x00\x04", answer, re.S)]
    return [socket.inet_ntoa(r) for r in records]


def test_the_name_leads_to_the_box(lan, folder):  # pylint: disable=redefined-outer-name,unused-argument
    if not os.path.exists(AVAHI):
        pytest.skip("avahi-daemon is missing: make deps")
    conf = os.path.join(folder, "avahi-daemon.conf")
    shutil.copy(CONF, conf)
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text.replace("[server]\n", "[server]\nenable-dbus=no\n"))  # there is no bus in the laboratory
    os.makedirs("/run/avahi-daemon", exist_ok=True)
    log = os.path.join(folder, "log")
    argv = [AVAHI, "--no-drop-root", "--no-chroot", "--no-rlimits", "-f", conf]
    avahi = Daemon("avahi-daemon", argv, log, {"PATH": os.environ["PATH"]})
    try:
        found = wait_until(ask, "the name is answered for", avahi.death)
    finally:
        avahi.stop()
    assert found == [ADDRESS], read_text(log)
