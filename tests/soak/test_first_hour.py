# SPDX-License-Identifier: MIT
"""From a bare Debian to a guard's page: the one line, the QR code on a phone, the template of the fleet, containers
of the podman user, and a lookup in a browser; and all of it again after a reboot. `make first-hour`; with BOX_SUITE=trixie
on Debian 13."""
# pylint: disable=redefined-outer-name
import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.request
import uuid

import pytest

from tests.conftest import note, require_programs, skip
from tests.lab import whole_box
from tests.lab import browser as browsers
from tests.lab.browser import Browser
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import ROOT, make_words, read_text, wait_until
from tests.system.enrolled import let_it_ask_for_memory, make_images
from tests.system.test_installer_box import AUTHORITY, BareBox, World
from tests.system.test_packages import run

DEVICE, SITE, PIN = "gate-1", "north", "471108152"
SERVICES = {"postgres", "secbox", "relay-client"}

pytestmark = pytest.mark.skipif(not browsers.available(), reason="chromium or chromium-driver is missing: make deps")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A bare Debian, and a gateway that serves the packages as they are built."""
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "recovery-agent", "secboxctl", "secbox-gateway", "secbox-pairing")
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    folder = str(tmp_path_factory.mktemp("first-hour"))
    os.chmod(folder, 0o755)
    run(*make_words("PREBUILT=1", f"PACKED={folder}", "deb"), DEB_BUILD_OPTIONS="noautodbgsym")
    run(*make_words(f"PACKED={folder}", "PODMAN=false", "repo"))
    with BareBox() as box:
        options = ["--install-dir", f"{folder}/repo", "--issuer", "@URL@"]
        certificate = make_certificate(folder, box.gateway_address)
        with Gateway(os.path.join(folder, "gateway"), certificate, box.gateway_address, options) as gateway:
            box.write(AUTHORITY, read_text(gateway.tls[0]))
            box.run("update-ca-certificates")
            yield World(folder, box, gateway, None)


def let_image_know(box, certificate):
    """The lab's authority, which the image lacks, as it has the public ones: a gateway on the Internet needs none of this."""
    hashed = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", certificate], check=True, capture_output=True, text=True)
    box.write("/var/tmp/lab.crt", read_text(certificate))
    for words in (["create", "--name", "seed", "localhost/secbox:latest"],
                  ["cp", "/var/tmp/lab.crt", f"seed:/etc/ssl/certs/{hashed.stdout.strip()}.0"],
                  ["commit", "--quiet", "seed", "localhost/secbox:latest"], ["rm", "seed"]):
        box.user.podman(*words)


def fill_community(gateway):
    """A guard, somebody banned, and a guest of these days."""
    community, unit = str(uuid.uuid4()), str(uuid.uuid4())
    rows = {"": {"name": "Los Robles"}, f"/units/{unit}": {"name": "12-B"},
            f"/users/{uuid.uuid4()}": {"name": "Rosa Díaz", "role": "guard", "pin": PIN},
            f"/bans/{uuid.uuid4()}": {"name": "Juan Pérez", "plate": "ABO-158", "reason": "robo"},
            f"/guests/{uuid.uuid4()}": {"name": "Ana Ruiz", "plate": "XYZ-987", "unit": unit, "from": "2020-01-01T00:00:00Z",
                                        "until": "2100-01-01T00:00:00Z"}}
    for path, row in rows.items():
        answer = gateway.request("PUT", f"/v1/communities/{community}{path}", row)
        assert answer.status == 201, answer
    return community


def claim_by_phone(world, fleet, community, folder):
    """The operator makes the code; whoever stands before the box has it as a picture on a phone: browsers give their camera to no
    page that came without TLS."""
    picture = os.path.join(folder, "qr.png")
    fleet.run("devices", "add", DEVICE, "--label", f"community={community},site={SITE}", "--qr-png", picture, check=0)
    pin = json.loads(world.box.run("secboxctl", "pair", "--show", "--json").stdout)["pin"]
    with Browser(width=360, height=800) as phone:
        phone.open(f"http://{world.box.address}:8080/")
        phone.choose_file("#image", picture)
        wait_until(lambda: phone.run("return document.querySelector('#claim').value"), "the code is read")
        phone.type("#pin", pin)
        phone.click("#send")
        phone.wait_text(DEVICE, "#whose")
        # it follows the services until the guards' pages are there
        wait_until(lambda: set(world.box.running()) == SERVICES, "the template has arrived, and all of it runs")
        phone.wait_text(f"https://{world.box.address}:8443/", "#ready")


def authority_of(box, folder):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    path = os.path.join(folder, "ca.crt")
    with urllib.request.urlopen(f"https://{box.address}:8443/ca.crt", context=context, timeout=60) as answer, \
            open(path, "wb") as f:
        f.write(answer.read())
    return path


def guards(box):
    """Those who may log in, told to a tablet that trusts the box's authority, by the box's address."""
    try:
        with tempfile.TemporaryDirectory() as folder, open(authority_of(box, folder), "rb") as f:
            authority = f.read()
        context = ssl.create_default_context(cadata=authority.decode() if authority.startswith(b"-----") else authority)
        with urllib.request.urlopen(f"https://{box.address}:8443/api/lan/guards", context=context, timeout=60) as answer:
            return json.load(answer)["guards"]
    except OSError:
        return None


def look_up(box, folder):
    """As a guard at the gate, on a tablet that trusts the box."""
    wait_until(lambda: guards(box), "the community's data are there, and the box is trusted by its address")
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        browser = Browser()
        browser.trust(authority_of(box, fresh))
        with browser as page:
            page.open(f"https://{box.address}:8443/")
            wait_until(lambda: "Rosa Díaz" in page.text("#guard"), "the guard is known")
            page.run("const s = document.querySelector('#guard');"
                     "s.value = [...s.options].find((o) => o.textContent === a[0]).value", "Rosa Díaz")
            page.type("#pin", PIN)
            page.click("button[type=submit]")
            for typed, verdict in (("ab0 i58", "VETADO"), ("xyz987", "AUTORIZADO"), ("quien sabe", "DESCONOCIDO")):
                page.type("#search", typed)
                page.find(f"[data-verdict={verdict}]")


def test_from_a_bare_debian_to_a_guards_page(world, tmp_path):
    box, gateway, folder = world.box, world.gateway, str(tmp_path)
    fleet = Fleet(gateway.url, gateway.token, folder)
    fleet.env["SECBOX_CA"] = gateway.tls[0]
    community = fill_community(gateway)
    fleet.run("template", "set", "gate", f"{ROOT}/compose/examples/secbox.yml", "--selector", f"site={SITE}", check=0)
    before = int(box.run("df", "--output=used", "-k", "/").stdout.split()[-1])
    begin = time.monotonic()
    world.install()
    installed = time.monotonic()
    box.find_user()
    box.write("/etc/tucomunidad/policy.json", read_text(f"{ROOT}/compose/examples/policy.json"))
    let_it_ask_for_memory(box)
    # what a registry would bring
    make_images(box, folder)
    let_image_know(box, gateway.tls[0])
    images = time.monotonic()
    claim_by_phone(world, fleet, community, folder)
    look_up(box, folder)
    end = time.monotonic()
    uids = {box.status_of(c["State"]["Pid"])["Uid"].split()[0] for c in box.containers().values()}
    assert "0" not in uids, "rootless"
    used = int(box.run("df", "--output=used", "-k", "/").stdout.split()[-1]) - before
    note(f"a bare Debian to a guard's page: {end - begin - (images - installed):.0f} s ({installed - begin:.0f} s the one line), "
         f"{used / 1024:.0f} MB")
    box.reboot()
    wait_until(lambda: set(box.running()) == SERVICES, "all run again after the reboot")
    look_up(box, folder)
    gateway.wait_connected(DEVICE)
