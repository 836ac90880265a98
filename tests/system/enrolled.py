# SPDX-License-Identifier: MIT
"""A whole box with a gateway outside of it, as the tests of what is installed have them."""
import contextlib
import tempfile
import types

from tests.conftest import require_programs, skip
from tests.lab import whole_box
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import LabError, read_text

DEVICE = "caseta5"
CA_FILE = "/etc/ssl/certs/lab-cloud.pem"


@contextlib.contextmanager
def bare_box(*programs):
    """A whole box, and a folder for what belongs to its test; the test is skipped where there can be none."""
    require_programs("mgmt-agent", "mgmt-link", "secbox-gateway", "secbox-fleet", *programs)
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    with tempfile.TemporaryDirectory(prefix="secbox-whole-", ignore_cleanup_errors=True) as folder:
        try:
            box = whole_box.WholeBox()
        except LabError as e:
            skip(f"a whole box does not start here: {e}")
        with box:
            yield box, folder


@contextlib.contextmanager
def enrolled(*programs):
    """The box knows the gateway, and nothing of it is started."""
    with bare_box(*programs) as (box, folder), \
            Gateway(folder, make_certificate(folder, box.gateway_address), box.gateway_address) as gateway:
        box.write(CA_FILE, read_text(gateway.tls[0]))
        agent_env = {**gateway.enroll(DEVICE), "CLOUD_CA_FILE": CA_FILE}
        box.write_env("mgmt-agent.env", agent_env)
        box.run("systemctl", "daemon-reload")
        yield types.SimpleNamespace(box=box, gateway=gateway, agent_env=agent_env, folder=folder)
