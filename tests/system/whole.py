# SPDX-License-Identifier: MIT
"""A whole box beside a gateway, for the fixtures of tests that share one."""
import contextlib
import shutil
import tempfile
import types

from tests.conftest import require_programs, skip
from tests.lab import whole_box
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import LabError, read_text

CA_FILE = "/etc/ssl/certs/lab-cloud.pem"


@contextlib.contextmanager
def box_and_gateway(device, *programs):
    """A box that knows a gateway's certificate and has what claims `device` in `agent_env`; nothing of ours runs yet."""
    require_programs("secbox-gateway", "secbox-fleet", *programs)
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    folder = tempfile.mkdtemp(prefix="secbox-whole-")
    try:
        box = whole_box.WholeBox()
    except LabError as e:
        skip(f"a whole box does not start here: {e}")
    with box, Gateway(folder, make_certificate(folder, box.gateway_address), box.gateway_address) as gateway:
        box.write(CA_FILE, read_text(gateway.tls[0]))
        agent_env = {**gateway.enroll(device), "CLOUD_CA_FILE": CA_FILE}
        yield types.SimpleNamespace(box=box, gateway=gateway, agent_env=agent_env, folder=folder)
    shutil.rmtree(folder, ignore_errors=True)


def start(whole, *units):
    """With the configuration that claims the box."""
    whole.box.write_env("mgmt-agent.env", whole.agent_env)
    whole.box.run("systemctl", "daemon-reload")
    whole.box.run("systemctl", "enable", "--now", *units)
