# SPDX-License-Identifier: MIT
"""A box that belongs to nobody is paired with a real gateway, on its console: what it takes, what it refuses, how it ends."""
# pylint: disable=redefined-outer-name
import hashlib
import itertools
import json
import os
import stat
import struct
import subprocess
import time
import types
import zlib

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import Lab  # noqa: E402
from tests.lab.authority import Authority  # noqa: E402
from tests.lab.box import Box  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.postgres import available  # noqa: E402
from tests.lab.util import free_port, program, read_text, wait_until  # noqa: E402

NUMBERS = itertools.count(1)


class TlsLab(Lab):
    """Boxes are only ever paired over TLS."""

    def raw(self, method, path, body, headers):
        return self.request(method, path, body)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    require_programs("secbox-gateway", "mgmt-agent", "mgmt-link", "secboxctl")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    authority = Authority(str(tmp_path_factory.mktemp("authority")))
    with TlsLab(str(tmp_path_factory.mktemp("cloud")), tls=authority.issue(), authority=authority.file) as it:
        yield it


@pytest.fixture
def box(cloud, folder):
    no_podman = types.SimpleNamespace(user="root", env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    it = Box(no_podman, folder, {})
    it.own = {"PODMAN_USER": "root", "CLOUD_CA_FILE": cloud.authority}
    it.write_env("mgmt-agent.env", it.own)
    it.start()
    yield it
    it.stop()


def claim_of(cloud, name=None, **changes):
    """What the QR code says by which a box becomes this one."""
    env = cloud.enroll(name or f"paired-{next(NUMBERS)}")
    claim = {"v": 1, "typ": "secbox.claim", "deviceId": env["DEVICE_ID"], "cloud": env["CLOUD_BASE_URL"],
             "gw": env["MGMT_GATEWAY_URL"], "boot": env["BOOTSTRAP"], "exp": int(time.time()) + 3600, "com": "Los Olivos"}
    return {**claim, **changes}


def pair(box, claim, *options):
    path = box.write("claim.json", json.dumps(claim) if isinstance(claim, dict) else claim)
    return box.ctl("pair", path, *options)


def pairing(box):
    return json.loads(box.ctl("pair", "--show", "--json").stdout)


def env_text(box):
    return read_text(box.path("etc/tucomunidad/mgmt-agent.env"))


def is_open(box):
    return os.path.exists(box.path("run/tucomunidad/pairing-open"))


def test_the_console_pairs_and_unpairs(cloud, box):
    shown = box.ctl("pair", "--show").stdout
    assert "This box is not paired." in shown and "PIN: " in shown and is_open(box)
    claim = claim_of(cloud)
    p = pair(box, claim)
    assert p.returncode == 0, p
    assert f"paired as {claim['deviceId']} with {claim['cloud']}, for Los Olivos" in p.stdout
    cloud.wait_connected(claim["deviceId"])
    path = box.path("etc/tucomunidad/mgmt-agent.env")
    values = dict(line.split("=", 1) for line in env_text(box).splitlines())
    assert values == {**box.own, "CLOUD_BASE_URL": claim["cloud"], "DEVICE_ID": claim["deviceId"], "BOOTSTRAP": claim["boot"],
                      "MGMT_GATEWAY_URL": claim["gw"]}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    state = pairing(box)
    assert state["state"] == "claimed" and state["community"] == "Los Olivos" and "pin" not in state
    # the same once more is the same; another one is a stranger's
    assert pair(box, claim).returncode == 0
    other = pair(box, claim_of(cloud))
    assert other.returncode == 1 and "pair.claimed" in other.stderr and claim["deviceId"] in other.stderr
    p = box.ctl("unpair")
    assert p.returncode == 2 and "--yes" in p.stderr
    p = box.ctl("unpair", "--yes")
    assert p.returncode == 0 and "not paired any more" in p.stdout, p
    wait_until(lambda: not cloud.device(claim["deviceId"])["connected"], "the tunnel has ended", box.link.death)
    assert env_text(box) == "".join(f"{k}={v}\n" for k, v in box.own.items())
    assert is_open(box)
    # nor does anything of it come back with the programs
    box.stop()
    box.start()
    wait_until(lambda: json.loads(box.ctl("status", "--json").stdout)["link"].get("error"), "mgmt-link says why", box.link.death)
    assert not cloud.device(claim["deviceId"])["connected"]
    # the box's key is the same, so the same claim is good again
    p = pair(box, claim)
    assert p.returncode == 0, p
    cloud.wait_connected(claim["deviceId"])
    assert claim["boot"] not in box.log()


def test_what_the_cloud_refuses_is_shown_and_leaves_the_box_as_it_was(cloud, box):
    claim = claim_of(cloud)
    p = pair(box, {**claim, "boot": "not-the-token"})
    assert p.returncode == 1 and "bootstrap.invalid" in p.stderr, p
    assert pairing(box)["state"] == "unclaimed" and pairing(box)["error"]["id"] == "bootstrap.invalid"
    assert env_text(box) == "".join(f"{k}={v}\n" for k, v in box.own.items())
    assert "the last claim came to nothing" in box.ctl("pair", "--show").stdout
    # a box that has another key came first
    from tests.integration.gateway_lab import Device  # pylint: disable=import-outside-toplevel
    stranger = Device(cloud.url, lambda path, body, headers: cloud.request("POST", path, body), claim["deviceId"], claim["boot"],
                      "mgmt")
    assert stranger.claim().status == 201
    p = pair(box, claim)
    assert p.returncode == 1 and "device.bootstrap-reused" in p.stderr, p
    stranger.close()
    again = claim_of(cloud, claim["deviceId"])
    p = pair(box, again)
    assert p.returncode == 0, p


def png_rows(path):
    """The rows of a picture of one bit a pixel; each checksum is right."""
    data = open(path, "rb").read()  # pylint: disable=consider-using-with
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        content = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + content)
        size = struct.unpack(">IIBB", content[:10]) if kind == b"IHDR" else size
        body += content if kind == b"IDAT" else b""
        at += 12 + length
    assert kind == b"IEND" and size[2:] == (1, 0)
    raw, width = zlib.decompress(body), (size[0] + 7) // 8 + 1
    assert len(raw) == width * size[1]
    return [raw[i:i + width] for i in range(0, len(raw), width)]


def test_what_the_operator_is_shown_pairs_the_box(cloud, box, folder):
    fleet = Fleet(cloud.url, cloud.token, folder)
    fleet.env["SECBOX_CA"] = cloud.authority
    name, picture = f"shown-{next(NUMBERS)}", os.path.join(folder, "qr.png")
    p = fleet.run("devices", "add", name, "--label", "community=Los Olivos", "--qr", "--qr-png", picture, check=0)
    assert json.loads(p.stdout)["com"] == "Los Olivos" and json.loads(p.stdout)["boot"] not in p.stderr
    drawn = [line for line in p.stderr.splitlines() if "█" in line]
    rows = png_rows(picture)
    assert stat.S_IMODE(os.stat(picture).st_mode) == 0o600 and len(rows) == len(drawn[0]) * 8
    half = {"█": (0, 0), "▄": (1, 0), "▀": (0, 1), " ": (1, 1)}
    for y, line in enumerate(drawn):
        for x, block in enumerate(line):
            for below in (0, 1):
                dark = 2 * y + below < len(drawn[0]) and not rows[(2 * y + below) * 8][1 + x]
                assert dark == bool(half[block][below] and 2 * y + below < len(drawn[0]))
    assert subprocess.run([program("secboxctl"), "--root", box.root, "pair", "-"], input=p.stdout, text=True, env=box.env,
                          check=False).returncode == 0
    p = fleet.run("devices", "bootstrap", name, "--qr", check=0)
    assert json.loads(p.stdout)["deviceId"] == name and "█" in p.stderr


@pytest.mark.parametrize("change, identifier, member", [
    ({"gw": "ws://127.0.0.1:9/mgmt"}, "claim.member", "gw"),
    ({"exp": 1700000000}, "claim.expired", "exp"),
    ({"deviceId": "${NAME}"}, "claim.unexpanded", "deviceId"),
])
def test_a_claim_that_is_wrong_changes_nothing(cloud, box, change, identifier, member):
    before = env_text(box)
    p = pair(box, claim_of(cloud, **change), "--json")
    error = json.loads(p.stdout)["error"]
    assert p.returncode == 1 and error["id"] == identifier and error["key"] == member
    assert env_text(box) == before and pairing(box)["state"] == "unclaimed"


def test_only_clouds_that_the_box_may_have(cloud, box):
    box.own["CLAIM_HOST_SUFFIX"] = "cloud.example"
    box.write_env("mgmt-agent.env", box.own)
    p = pair(box, claim_of(cloud))
    assert p.returncode == 1 and "claim.host" in p.stderr and "127.0.0.1" in p.stderr
    for text in ("", "hello", "x" * 5000):
        assert pair(box, text).returncode == 1
    assert pair(box, "{}").returncode == 1
    assert box.ctl("pair").returncode == 2


def test_a_cloud_that_is_away_is_waited_for_and_a_lost_answer_is_asked_again(cloud, box):
    claim = claim_of(cloud)
    nowhere = f"127.0.0.1:{free_port()}"
    away = {**claim, "cloud": f"https://{nowhere}", "gw": f"wss://{nowhere}/mgmt"}
    with subprocess.Popen([program("secboxctl"), "--root", box.root, "pair", box.write("away.json", json.dumps(away))],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=box.env) as waiting:
        wait_until(lambda: pairing(box)["state"] == "claiming", "it is being paired", box.agent.death)
        assert box.ctl("unpair", "--yes").returncode == 0
        out, err = waiting.communicate()
        assert waiting.returncode == 1 and not out and "pair.ended" in err, (out, err)
    p = pair(box, away, "--timeout", "3")
    assert p.returncode == 1 and "pair.not-yet" in p.stderr, p
    assert pairing(box)["state"] == "claiming"
    # killed meanwhile, it goes on where it was
    box.agent.kill()
    box.start_agent()
    assert pairing(box)["state"] == "claiming"
    p = pair(box, claim, "--timeout", "60")
    assert p.returncode == 1 and "pair.claiming" in p.stderr, p
    assert box.ctl("unpair", "--yes").returncode == 0
    # the key was claimed before, and the answer to that got lost
    assert pair(box, claim).returncode == 0
    box.link.stop()
    os.unlink(box.path("var/lib/tucomunidad/mgmt-link/token"))
    box.start_link()
    cloud.wait_connected(claim["deviceId"])


def key_fingerprint(pem):
    """SHA-256 of the certificate's public key, made by other code than ours."""
    from cryptography import x509  # pylint: disable=import-outside-toplevel
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # pylint: disable=import-outside-toplevel
    certificate = x509.load_pem_x509_certificate(read_text(pem).encode())
    return hashlib.sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def test_a_box_with_a_token_for_many_waits_and_is_let_in(cloud, box, folder):
    fleet = Fleet(cloud.url, cloud.token, folder)
    fleet.env["SECBOX_CA"] = cloud.authority
    claim = json.loads(fleet.run("enrolment", "create", "--boxes", "2", "--label", "community=Los Olivos", "--qr", check=0).stdout)
    box.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    assert "deviceId" not in claim and claim["boot"].startswith("sbe_") and claim["com"] == "Los Olivos"
    p = pair(box, {**claim, "kfp": key_fingerprint(cloud.tls[0])})
    assert p.returncode == 0 and "not paired yet" in p.stdout and "an operator has to let this box in" in p.stdout, p
    name = pairing(box)["deviceId"]
    assert f"as {name}, with the key fingerprint" in p.stdout
    for text in (box.ctl("pair", "--show").stdout, box.ctl("status").stdout, box.ctl("doctor").stdout):
        assert "an operator has to let this box in" in text, text
    assert f"secbox-fleet devices approve {name}" in box.ctl("doctor").stdout
    assert is_open(box) and f"ENROLMENT={claim['boot']}\n" in env_text(box)
    seen = fleet.json("devices", "pending")["pending"]
    assert [entry["device"] for entry in seen] == [name], seen
    machine = seen[0]["machine"]
    assert machine["hostname"] == os.uname().nodename and machine["architecture"] == os.uname().machine
    assert len(machine["machineId"]) == 16 and machine["machineId"] not in "0123456789abcdef0123456789abcdef"
    assert isinstance(machine["addresses"], list) and machine["version"]
    # a restart of everything on the box changes nothing about it
    box.stop()
    box.start()
    wait_until(lambda: pairing(box).get("trouble", {}).get("id") == "enrolment.pending", "it waits again", box.link.death)
    fleet.run("devices", "approve", name, check=0)
    cloud.wait_connected(name)
    wait_until(lambda: pairing(box)["state"] == "claimed", "the box knows", box.link.death)
    wait_until(lambda: "ENROLMENT" not in env_text(box), "the token for many is gone", box.link.death)
    assert "CLOUD_FINGERPRINT" not in env_text(box) and f"DEVICE_ID={name}\n" in env_text(box)
    wait_until(lambda: claim["boot"] not in read_text(box.path("var/lib/tucomunidad/mgmt-link/kept.env")), "nor is it kept",
               box.link.death)
    assert cloud.device(name)["labels"] == {"community": "Los Olivos"}
    assert claim["boot"] not in box.log() + cloud.log()
    box.ctl("unpair", "--yes")


def test_a_box_that_is_refused_belongs_to_nobody(cloud, box, folder):
    fleet = Fleet(cloud.url, cloud.token, folder)
    fleet.env["SECBOX_CA"] = cloud.authority
    claim = json.loads(fleet.run("enrolment", "create", "--qr", check=0).stdout)
    assert pair(box, claim).returncode == 0
    fleet.run("devices", "deny", pairing(box)["deviceId"], check=0)
    state = wait_until(lambda: (lambda s: s["state"] == "unclaimed" and s)(pairing(box)), "the box is told", box.link.death)
    assert state["error"]["id"] == "enrolment.denied"
    assert env_text(box) == "".join(f"{k}={v}\n" for k, v in box.own.items())


def test_a_claim_goes_to_the_key_that_it_names_alone(cloud, box):
    """As a proxy would have another, whose authority the machine trusts."""
    claim = claim_of(cloud, kfp="0" * 64)
    p = pair(box, claim)
    assert p.returncode == 1 and "http.other-key" in p.stderr, p
    assert pairing(box)["state"] == "unclaimed" and pairing(box)["error"]["id"] == "http.other-key"
    assert cloud.postgres.sql(f"SELECT count(*) FROM device_keys WHERE device = '{claim['deviceId']}'") == [["0"]]
    p = pair(box, {**claim, "kfp": "abc"})
    assert p.returncode == 1 and "claim.member" in p.stderr and '"kfp"' in p.stderr, p
    p = pair(box, {**claim, "kfp": key_fingerprint(cloud.tls[0])})
    assert p.returncode == 0, p
    cloud.wait_connected(claim["deviceId"])
