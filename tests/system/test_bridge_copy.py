# SPDX-License-Identifier: MIT
"""A gigabyte through bridge SSH, over TLS, while the box's line and the operator's own are cut ten times each: byte for byte."""
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab import postgres, sshd
from tests.lab.bridge_box import BridgeBox
from tests.lab.bridge_copy import CUTS, copy
from tests.lab.cut_proxy import CutProxy
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway

BOX = "caseta5"
MEGABYTES = 1024


@pytest.fixture
def tls(folder):
    """A certificate for 127.0.0.1 that is its own authority."""
    cert, key = (os.path.join(folder, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def test_a_gigabyte_over_lines_that_break(tls, folder):
    require_programs("secbox-gateway", "secbox-fleet", "secbox", "mgmt-link")
    if sshd.missing() or not postgres.available():
        pytest.skip("sshd or PostgreSQL is not installed: installer/deps.sh test")
    with Gateway(os.path.join(folder, "gateway"), tls) as gateway, CutProxy(gateway.port) as line, \
            CutProxy(gateway.port) as own, BridgeBox(gateway, BOX, os.path.join(folder, "box"), line.port):
        alice = Fleet(f"https://127.0.0.1:{own.port}", gateway.token, os.path.join(folder, "home"))
        alice.env["SECBOX_CA"] = tls[0]
        alice.run("grants", "add", BOX, "--reason", "a large file", check=0)
        cuts, hashes, errors = copy(alice, BOX, MEGABYTES, False, [line, own])
        assert cuts == [CUTS, CUTS] and hashes[0] == hashes[1] and len(hashes[0]) == 64, errors
        (session,) = gateway.request("GET", f"/v1/sessions?device={BOX}").json["sessions"]
        assert session["endReason"] == "closed" and int(session["bytesFromBox"]) > MEGABYTES << 20
