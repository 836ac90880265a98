# SPDX-License-Identifier: MIT
"""A cloud of one: PostgreSQL and secbox-gateway on loopback, and its HTTP interface."""
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

from .util import Daemon, LabError, PATIENCE_SECONDS, free_port, port_answers, program, wait_until


class Answer:
    def __init__(self, status, body):
        self.status = status
        self.text = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"<{self.status} {self.text}>"


class Gateway:
    """With tls, a certificate and its key, everything goes over TLS; the certificate is its own authority unless there is
    another. `name` is how boxes call it, when that is not its address."""

    def __init__(self, folder, tls=None, host="127.0.0.1", options=(), authority=None, name=None, env=None):
        from .postgres import Postgres  # pylint: disable=import-outside-toplevel

        os.makedirs(folder, exist_ok=True)
        self.dir = folder
        self.state = os.path.join(folder, "state")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.host = host
        self.port = free_port()
        self.tls = tls
        self.name = name or host
        self.authority = authority or (tls[0] if tls else None)
        self.context = ssl.create_default_context(cafile=self.authority) if tls else None
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.options = [option.replace("@URL@", self.url) for option in options]  # further ones of serve
        self.daemon = None
        self.returns = 0
        self.postgres = Postgres()
        self.postgres.start()
        try:
            self.env = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8",
                        "SECBOX_GATEWAY_DATABASE": self.postgres.conninfo, **(env or {})}
            self.token = None
            self.start()
            wait_until(lambda: self.request("GET", "/healthz").status == 200, "the gateway has its database", self.daemon.death)
            self.token = self.run("tokens", "add", "--role", "admin", "lab").strip().split()[-1]
        except BaseException:
            self.close()
            raise

    def _argv(self, *args):
        return [program("secbox-gateway"), *args]

    def run(self, *args):
        p = subprocess.run(self._argv(*args), env=self.env, capture_output=True, text=True, check=False)
        if p.returncode:
            raise LabError(f"secbox-gateway {' '.join(args)}: exit {p.returncode}: {p.stderr}")
        return p.stdout

    def start(self):
        tls = ["--cert", self.tls[0], "--key", self.tls[1]] if self.tls else []
        listen = ["--listen", f"{self.host}:{self.port}"]
        self.daemon = Daemon("secbox-gateway", self._argv("serve", *listen, "--state", self.state, *tls, *self.options),
                             os.path.join(self.dir, "gateway.log"), self.env)
        wait_until(lambda: port_answers(self.port, self.host), "the gateway listens", self.daemon.death)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def log(self):
        return self.daemon.log() if self.daemon else ""

    def request(self, method, path, body=None, timeout=PATIENCE_SECONDS * 4):
        """One HTTP request as the operator `lab`."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.context) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.read().decode())

    def enroll(self, device):
        """Makes a device, or lets a new box take its place; returns the mgmt-agent.env of its box."""
        answer = self.request("POST", "/v1/devices", {"id": device, "labels": {}})
        if answer.status == 409:
            self.returns += 1
            if self.returns % 8 == 0:  # it gives one device 16 tokens in ten minutes, and counts in memory
                self.stop()
                self.start()
                wait_until(lambda: self.request("GET", f"/v1/devices/{device}").status == 200, "the gateway is back",
                           self.daemon.death)
            answer = self.request("POST", f"/v1/devices/{device}/bootstrap")
        if answer.status != 201:
            raise LabError(f"the gateway does not make devices: {answer}")
        at = f"{'s' if self.tls else ''}://{self.name}:{self.port}"
        return {"CLOUD_BASE_URL": f"http{at}", "DEVICE_ID": device, "BOOTSTRAP": answer.json["bootstrap"],
                "MGMT_GATEWAY_URL": f"ws{at}/mgmt"}

    def device(self, device):
        return self.request("GET", f"/v1/devices/{device}").json["device"]

    def wait_connected(self, device):
        def connected():
            answer = self.request("GET", f"/v1/devices/{device}")  # 503 while the gateway starts
            return answer.status == 200 and answer.json["device"]["connected"]

        return wait_until(connected, f"{device} is connected", self.daemon.death)

    def wait_reported(self, device, after=""):
        """The box is connected and its agent has reported over that tunnel: before, what only some agents take is refused with
        device.agent-silent. With `after`, a statusAt, it has reported once more since then, as an agent does that comes back."""
        def reported():
            answer = self.request("GET", f"/v1/devices/{device}")
            it = answer.json["device"] if answer.status == 200 else {}
            at = it.get("statusAt", "")  # both are the gateway's time, of the same length
            return it.get("connected") and at >= it["connectedSince"] and at > after and it

        return wait_until(reported, f"the agent of {device} has reported", self.daemon.death)

    def push(self, device, compose, **more):
        """Pushes a compose file and waits for the end: the HTTP status is the push's own."""
        return self.request("POST", f"/v1/devices/{device}/compose-snapshot", {"compose": compose, **more})

    def events(self, device, version):
        answer = self.request("GET", f"/v1/devices/{device}/deployments/{version}")
        return answer.json["events"]

    def close(self):
        self.stop()
        self.postgres.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
