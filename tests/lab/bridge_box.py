# SPDX-License-Identifier: MIT
"""The box's end of bridge SSH alone: mgmt-link and secbox with their tunnels, and an sshd behind each that trusts the gateway
for its support staff. No mgmt-agent, no podman."""
import contextlib
import os
import shutil

from .recovery import Recovery
from .sshd import Sshd
from .support import RecoverySshd
from .util import Daemon, program, wait_until


class BridgeBox:
    """`port` is where secbox finds the gateway: the gateway's own, or that of a line that can be cut."""

    def __init__(self, gateway, device, folder, port=None):
        self.gateway, self.device, self.folder = gateway, device, folder
        self.device_url = gateway.url.replace("http", "ws", 1).replace(str(gateway.port), str(port or gateway.port)) + "/device"
        self.root = os.path.join(folder, "root")
        self.ca = gateway.request("GET", "/v1/support-ca").json["publicKey"]
        self.sshds = {way: Sshd(os.path.join(folder, f"sshd-{way}"), self.ca, [device]) for way in ("device", "mgmt")}
        for name in ("host_key", "host_key.pub"):  # both ways lead to the one sshd of the box, stopped and started apart
            shutil.copy(os.path.join(self.sshds["device"].folder, name), os.path.join(self.sshds["mgmt"].folder, name))
        self.daemons = {}
        self.settings = {**gateway.enroll(device), "SSH_PORT": str(self.sshds["mgmt"].port)}
        if gateway.tls:
            self.settings["CLOUD_CA_FILE"] = gateway.tls[0]

    def start(self):
        for sshd in self.sshds.values():
            sshd.start()
        self.restart()
        return self

    def restart(self):
        """Both programs anew."""
        self.start_mgmt_link(self.settings)
        self.start_secbox(self.settings)
        self.wait_connected("device", "mgmt")

    def start_mgmt_link(self, settings):
        for path in ("etc/tucomunidad", "run/tucomunidad", "var/lib/tucomunidad"):
            os.makedirs(os.path.join(self.root, path), exist_ok=True)
        path = os.path.join(self.root, "etc/tucomunidad/mgmt-agent.env")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(f"{k}={v}\n" for k, v in settings.items()))
        os.chmod(path, 0o600)
        self.daemons["mgmt"] = Daemon("mgmt-link", [program("mgmt-link"), "--root", self.root],
                                      os.path.join(self.folder, "mgmt-link.log"), {"PATH": os.environ["PATH"]})

    def start_secbox(self, settings):
        env = {"PATH": os.environ["PATH"], "CLOUD_BASE_URL": settings["CLOUD_BASE_URL"], "DEVICE_ID": self.device,
               "BOOTSTRAP": settings["BOOTSTRAP"], "DEVICE_GATEWAY_URL": self.device_url,
               "SSH_TARGET": f"127.0.0.1:{self.sshds['device'].port}", "SECBOX_STATE": os.path.join(self.folder, "state"),
               "SECBOX_RUN": os.path.join(self.root, "run/tucomunidad/secbox"),
               **{k: v for k, v in settings.items() if k == "CLOUD_CA_FILE"}}
        self.daemons["device"] = Daemon("secbox", [program("secbox")], os.path.join(self.folder, "secbox.log"), env)

    @contextlib.contextmanager
    def recovery(self):
        """With recovery-agent and its own sshd, until the end of the block."""
        with Recovery(self.root) as it:
            it.sshd = RecoverySshd(self.root, it.port, self.ca)
            it.sshd.start()
            self.daemons["recovery"] = it.start().daemon
            self.wait_connected("recovery")
            yield it
        del self.daemons["recovery"]

    def roles(self):
        return set(self.gateway.device(self.device)["roles"])

    def wait_connected(self, *ways):
        def trouble():
            return next(filter(None, (self.daemons[way].death() for way in ways)), None)

        wait_until(lambda: set(ways) <= self.roles(), f"{self.device} is connected by {', '.join(ways)}", trouble)

    def signal(self, way, sig):
        self.daemons[way].process.send_signal(sig)

    def log(self):
        return "".join(d.log() for d in self.daemons.values())

    def stop(self):
        for daemon in self.daemons.values():
            daemon.kill()
        for sshd in self.sshds.values():
            sshd.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
