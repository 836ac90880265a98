# SPDX-License-Identifier: MIT
"""A bare Debian becomes a box from one file, with no route to anything. Minutes long, and what Debian has of it is fetched first:
`make air-gapped`."""
import glob
import os
import shutil
import tempfile

import pytest

from tests.conftest import require_programs, skip
from tests.lab import whole_box
from tests.lab.util import LabError, make_words, wait_until
from tests.system.test_packages import run

UNITS = ["mgmt-agent", "mgmt-link", "recovery-agent", "secbox-recovery-sshd"]


class BareBox(whole_box.WholeBox):
    """A Debian, and nothing but what makes it start."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.kind = "bare"
        self.host = whole_box.BoxPodman("bare")
        self._make("caseta5")

    def _install(self):
        pass

    def _set_up(self):
        pass


@pytest.fixture(scope="module")
def bundle():
    require_programs("mgmt-agent", "recovery-agent", "secboxctl")
    if "SECBOX_CLOSURE" not in os.environ:
        skip("what Debian has of a bundle is fetched by make air-gapped")
    for tool, package in {"dh": "debhelper", "apt-ftparchive": "apt-utils"}.items():
        if not shutil.which(tool):
            skip(f"{package} is not installed: installer/deps.sh packages")
    folder = tempfile.mkdtemp(prefix="secbox-bundle-")
    run(*make_words("PREBUILT=1", f"PACKED={folder}", "deb"), DEB_BUILD_OPTIONS="noautodbgsym")
    run(*make_words(f"PACKED={folder}", "PODMAN=false", f"CLOSURE={os.environ['SECBOX_CLOSURE']}", "bundle"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_bare_debian_is_installed_without_a_network(bundle):
    why = whole_box.why_not("bare")
    if why:
        skip(f"no whole machine here: {why}")
    try:
        box = BareBox()
    except LabError as e:
        skip(f"a whole machine does not start here: {e}")
    with box:
        for source in glob.glob(box.host.seen("/etc/apt/sources.list*")):
            shutil.rmtree(source) if os.path.isdir(source) else os.unlink(source)
        for path in (*glob.glob(f"{bundle}/*.tar"), f"{bundle}/repo/secbox"):
            shutil.copy(path, box.host.seen(f"/var/tmp/{os.path.basename(path)}"))
        box.run("ip", "route", "flush", "table", "main")
        assert box.run("ip", "route").stdout == "" and box.run("sh", "-c", "command -v podman", check=False).stdout == ""
        name, = (os.path.basename(path) for path in glob.glob(f"{bundle}/*.tar"))
        said = box.run("sh", "/var/tmp/secbox", "--offline", f"/var/tmp/{name}", "--unattended").stdout
        assert "SecBox is installed" in said, said
        assert box.run("systemctl", "is-active", *UNITS).stdout.split() == ["active"] * len(UNITS)
        box.find_user()
        box.image("localhost/server:1", "server", "1")
        box.write_env("mgmt-agent.env", {"CLOUD_BASE_URL": "https://cloud.example", "DEVICE_ID": "caseta5", "BOOTSTRAP": "x",
                                         "MGMT_GATEWAY_URL": "wss://cloud.example/mgmt"})
        box.write("/etc/compose.yml", "services:\n  web:\n    image: localhost/server:1\n    restart: always\n")
        box.run("secboxctl", "apply", "/etc/compose.yml")
        wait_until(lambda: set(box.running()) == {"web"}, "the container runs")
        # and nothing of it is asked of anybody later
        assert "file:/var/lib/secbox-install/repo/apt" in box.read("/etc/apt/sources.list.d/secbox.sources")
        again = box.run("sh", "/var/tmp/secbox", "--offline", f"/var/tmp/{name}", "--unattended").stdout
        assert "SecBox is installed" in again, again
