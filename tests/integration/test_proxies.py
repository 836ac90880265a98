# SPDX-License-Identifier: MIT
"""secbox-gateway behind nginx, haproxy and caddy with the settings that are shipped for them; whom it believes; and a
certificate that is renewed under open tunnels."""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

from tests.integration.gateway_lab import Device, Tunnel, program, wait_until
from tests.integration.test_communities import Community
from tests.lab import isolate
from tests.lab.authority import Authority
from tests.lab.bundles import bring
from tests.lab.gateway import Answer, Gateway
from tests.lab.util import ROOT, Daemon, free_port, port_answers, read_text

# whom the gateway has to see: neither a proxy's address nor anybody's by accident
CALLER = "10.98.76.54"
NAME = "cloud.example"
DEVICE = "caseta5"
V2 = b"\r\n\r\n\0\r\nQUIT\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not isolate.is_isolated(), reason="needs root in namespaces")


@pytest.fixture(scope="module")
def address():
    subprocess.run(["ip", "address", "add", f"{CALLER}/32", "dev", "lo"], check=True)
    yield CALLER
    subprocess.run(["ip", "address", "del", f"{CALLER}/32", "dev", "lo"], check=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("authority")))


class Proxy(Daemon):
    """One of the shipped files with its addresses and certificate replaced by ours."""

    def __init__(self, name, folder, authority, gateway_port, changes=()):
        cert, key = authority.issue(hosts=(CALLER,))
        self.port = free_port()
        with open(os.path.join(authority.folder, "both.pem"), "w", encoding="utf-8") as f:
            f.write(read_text(cert) + read_text(key))
        source = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}[name]
        text = read_text(os.path.join(ROOT, "installer/proxy", source))
        changes = {"127.0.0.1:8080": f"127.0.0.1:{gateway_port}", "/etc/ssl/private/cloud.example.crt": cert,
                   "/etc/ssl/private/cloud.example.key": key, "/etc/ssl/private/cloud.example.pem": f"{authority.folder}/both.pem",
                   "listen 443": f"listen {CALLER}:{self.port}", "bind :443": f"bind {CALLER}:{self.port}",
                   "\ncloud.example {": f"\nhttps://{CALLER}:{self.port} {{\n\ttls {cert} {key}", NAME: CALLER,
                   "maxconn 20000": "maxconn 1000",
                   **dict(changes)}
        for old, new in changes.items():
            text = text.replace(old, new)
        path = os.path.join(folder, source)
        if name == "nginx":
            text = (f"daemon off;\nuser root;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
                    + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + text + "}\n")
        if name == "caddy":
            text = "{\n\tadmin off\n\tauto_https off\n}\n" + text
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        argv = {"nginx": ["nginx", "-p", folder, "-c", path], "haproxy": ["haproxy", "-db", "-f", path],
                "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", path]}[name]
        if not shutil.which(argv[0], path="/usr/sbin:/usr/bin"):
            pytest.skip(f"{argv[0]} is not installed: installer/deps.sh test")
        super().__init__(name, argv, os.path.join(folder, f"{name}.log"),
                         {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": folder, "XDG_DATA_HOME": folder})
        wait_until(lambda: port_answers(self.port, CALLER), f"{name} listens", self.death)

    def close(self):
        self.stop()

    @property
    def url(self):
        return f"https://{CALLER}:{self.port}"


@contextlib.contextmanager
def gateway_with(folder, *options, tls=None):
    with Gateway(folder, tls, options=options, authority=tls and tls[2]) as gateway:
        yield gateway


def poster(url, context):
    def post(path, body, headers):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url + path, data=data, method="POST",
                                         headers={"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=120, context=context) as answer:
            return Answer(answer.status, answer.read().decode())
    return post


def new_box(gateway, url, context, name=DEVICE):
    box = Device(url, poster(url, context), name, gateway.enroll(name)["BOOTSTRAP"])
    answer = box.claim()
    assert answer.status == 201, answer
    return box


def tunnel_of(box, context):
    tunnel = Tunnel(box.url.replace("http", "ws", 1) + "/mgmt", box.token, box.hello(), tls=context)
    assert tunnel.next()["type"] == "welcome"
    tunnel.send(box.status())
    return tunnel


@pytest.mark.parametrize("name, options, changes", [
    ("nginx", ["--forwarded-for", "127.0.0.1"], {}),
    ("caddy", ["--forwarded-for", "127.0.0.1"], {}),
    ("haproxy", ["--proxy-protocol", "127.0.0.1"], {}),
    ("haproxy", ["--proxy-protocol", "127.0.0.0/8,::1"], {"send-proxy-v2": "send-proxy"}),
], ids=["nginx", "caddy", "haproxy-v2", "haproxy-v1"])
def test_a32_a33_the_shipped_settings(folder, address, authority, name, options, changes):
    """A claim, a tunnel and an operator through the proxy; the gateway knows who called, and nobody can pretend."""
    context = ssl.create_default_context(cafile=authority.file)
    with gateway_with(folder) as gateway:
        with contextlib.closing(Proxy(name, folder, authority, gateway.port, changes)) as proxy:
            again(gateway, *options, "--issuer", proxy.url)
            with through(gateway, proxy, context) as front:
                box = new_box(front, proxy.url, context)
                tunnel = tunnel_of(box, context)
                wait_until(lambda: front.request("GET", f"/v1/devices/{DEVICE}").json["device"]["connected"], "it is connected")
                assert front.device(DEVICE)["peer"].split(":")[0] == CALLER
                env = {"PATH": os.environ["PATH"], "HOME": folder, "SECBOX_GATEWAY": proxy.url, "SECBOX_TOKEN": gateway.token,
                       "SECBOX_CA": authority.file}
                p = subprocess.run([program("secbox-fleet"), "devices", "list"], env=env, capture_output=True, text=True,
                                   check=False)
                assert p.returncode == 0 and DEVICE in p.stdout, p.stderr
                del env["SECBOX_CA"]
                p = subprocess.run([program("secbox-fleet"), "devices", "list"], env=env, capture_output=True, text=True,
                                   check=False)
                assert p.returncode != 0 and "SECBOX_CA" in p.stderr and "CLOUD_CA_FILE" not in p.stderr, p.stderr
                bad = {"Authorization": "Bearer x", "X-Forwarded-For": "6.6.6.6"}
                assert upgrade(CALLER, proxy.port, bad, context).startswith(b"HTTP/1.1 401")
                assert wait_until(lambda: refused_from(gateway), "a line of the log") == {CALLER}
                tunnel.close()
                import_file(front)
                data = os.urandom(5 * 1024 * 1024)
                digest = "sha256:" + hashlib.sha256(data).hexdigest()
                assert bring(front, digest, data) == (200, {"digest": digest}), "what travels with a push"
            assert "--issuer is not set" not in gateway.log()


def import_file(front):
    """More than any other request may have, in pieces and in one."""
    community = Community(front)
    rows = b"name,notes\r\n" + b"".join(b"%d,%s\r\n" % (i, b"x" * 4000) for i in range(800))
    url = f"{front.url}{community.path}/import?table=units&format=csv&dryRun=1"
    for body, more in ((rows, {}), (iter([rows]), {"Transfer-Encoding": "chunked"})):
        headers = {"Authorization": f"Bearer {front.token}", "Content-Type": "text/csv", **more}
        request = urllib.request.Request(url, data=body, method="POST", headers=headers)
        with urllib.request.urlopen(request, timeout=120, context=front.context) as answer:
            assert json.load(answer)["import"]["created"] == 800


def again(gateway, *options):
    """The gateway, started anew with these."""
    before = gateway.log().count("serving as")
    gateway.stop()
    gateway.options = list(options)
    gateway.start()
    wait_until(lambda: gateway.log().count("serving as") > before, "the gateway serves", gateway.daemon.death)


@contextlib.contextmanager
def through(gateway, proxy, context):
    """The same gateway, asked through the proxy."""
    own = gateway.url, gateway.context
    gateway.url, gateway.context = proxy.url, context
    wait_until(lambda: gateway.request("GET", "/healthz").status == 200, "the gateway serves through the proxy", proxy.death)
    try:
        yield gateway
    finally:
        gateway.url, gateway.context = own


def refused_from(gateway):
    """From which addresses tunnels were refused."""
    words = [line.split(" tunnel from ", 1)[1].split()[0] for line in gateway.log().splitlines() if " tunnel from " in line]
    return {word.split(":")[0] for word in words}


def upgrade(host, port, headers, context=None, before=b""):
    """The first bytes of the answer to a request for a tunnel."""
    lines = ["GET /mgmt HTTP/1.1", f"Host: {host}:{port}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: secbox.v1",
             *(f"{k}: {v}" for k, v in headers.items())]
    with socket.create_connection((host, port), timeout=120) as s:
        if before:
            s.sendall(before)
        if context:
            s = context.wrap_socket(s, server_hostname=host)
        s.sendall("\r\n".join([*lines, "", ""]).encode())
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = s.recv(200)
        s.close()
        return got


def test_nobody_else_is_believed(folder):
    """Neither header counts from an address that is not named; and a named one must speak the protocol."""
    bad = {"Authorization": "Bearer x", "X-Forwarded-For": "6.6.6.6"}
    v1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n"
    with gateway_with(folder, "--forwarded-for", "10.0.0.0/8", "--proxy-protocol", "10.1.1.1") as gateway:
        assert upgrade("127.0.0.1", gateway.port, bad).startswith(b"HTTP/1.1 401")
        assert wait_until(lambda: refused_from(gateway), "a line of the log") == {"127.0.0.1"}
        assert upgrade("127.0.0.1", gateway.port, bad, before=v1).startswith(b"HTTP/1.1 400")
        assert "--issuer is not set" in gateway.log(), "a proxy is there, and the gateway says what it lacks"
        again(gateway, "--proxy-protocol", "127.0.0.1")
        assert upgrade("127.0.0.1", gateway.port, bad) == b"", "without its header a proxy is hung up on"
        assert "is the PROXY protocol switched on in the proxy?" in gateway.log()
        for before in (v1, V2 + b"\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\x01\xbb"):
            assert upgrade("127.0.0.1", gateway.port, bad, before=before).startswith(b"HTTP/1.1 401")
        assert gateway.log().count(" tunnel from 203.0.113.7:4711 ") == 2 and "6.6.6.6" not in gateway.log()
        assert upgrade("127.0.0.1", gateway.port, bad, before=V2 + b"\x20\0\0\0").startswith(b"HTTP/1.1 401")
        assert refused_from(gateway) == {"203.0.113.7", "127.0.0.1"}


def test_the_header_comes_before_tls(folder, authority):
    tls = (*authority.issue(hosts=("127.0.0.1",)), authority.file)
    context = ssl.create_default_context(cafile=authority.file)
    with gateway_with(folder, "--proxy-protocol", "127.0.0.2", tls=tls) as gateway:
        again(gateway, "--proxy-protocol", "127.0.0.1")
        before = b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"
        assert upgrade("127.0.0.1", gateway.port, {"Authorization": "Bearer x"}, context, before).startswith(b"HTTP/1.1 401")
        assert "[2001:db8::7]:4711" in gateway.log()


def serial_of(port, authority):
    context = ssl.create_default_context(cafile=authority.file)
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s, context.wrap_socket(s, server_hostname="127.0.0.1") as t:
        return t.getpeercert()["serialNumber"]


def test_a30_a_renewed_certificate_is_taken_without_dropping_a_tunnel(folder, authority):
    cert, key = authority.issue(name="renewed", hosts=("127.0.0.1",))
    context = ssl.create_default_context(cafile=authority.file)
    with gateway_with(folder, tls=(cert, key, authority.file)) as gateway:
        tunnel = tunnel_of(new_box(gateway, gateway.url, context), context)
        first = serial_of(gateway.port, authority)
        pid = gateway.daemon.pid
        # with a signal, and without one
        authority.issue(name="renewed", hosts=("127.0.0.1",))
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: serial_of(gateway.port, authority) != first, "new connections see the new certificate")
        second = serial_of(gateway.port, authority)
        authority.issue(name="renewed", hosts=("127.0.0.1",))
        wait_until(lambda: serial_of(gateway.port, authority) != second, "the files are noticed")
        second = serial_of(gateway.port, authority)
        # one that cannot be used: the one before stays
        good = read_text(key)
        for damage, says in (("", "key and certificate must belong together"), (None, "cannot read")):
            if damage is None:
                os.unlink(key)
            else:
                with open(key, "w", encoding="utf-8") as f:
                    f.write(damage)
            os.kill(pid, signal.SIGHUP)
            wait_until(lambda says=says: says in gateway.log(), "the gateway says what is wrong", gateway.daemon.death)
            assert serial_of(gateway.port, authority) == second
        entries = gateway.request("GET", "/v1/audit?limit=1000").json["entries"]
        told = [e["detail"]["error"]["message"] for e in entries if e["action"] == "config.fault" and e["alarm"]]
        assert any("key and certificate must belong together" in t for t in told) and any("cannot read" in t for t in told)
        with open(key, "w", encoding="utf-8") as f:
            f.write(good)
        assert gateway.device(DEVICE)["connected"] and gateway.daemon.pid == pid
        tunnel.send({"type": "agent.status", "deviceId": DEVICE, "state": "idle"})
        assert tunnel.silent() == [], "the tunnel has outlived it all"
        tunnel.close()


def test_what_may_not_be_read_or_opened_says_for_whom(folder, authority):
    """As the unprivileged user that the unit names, on a key of root's and a port of root's."""
    cert, key = authority.issue(hosts=("127.0.0.1",))
    os.chmod(authority.folder, 0o755)
    os.chmod(key, 0o600)
    for parent in (authority.folder, os.path.dirname(authority.folder)):
        os.chmod(parent, 0o755)
    state = os.path.join("/run", "gateway-state")
    os.makedirs(state, mode=0o700, exist_ok=True)
    shutil.chown(state, "nobody", "nogroup")
    shutil.copy(program("secbox-gateway"), "/run/secbox-gateway")
    shutil.copytree(authority.folder, "/run/gateway-tls", dirs_exist_ok=True)
    base = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--bounding-set=-all", "/run/secbox-gateway", "serve",
            "--state", state, "--database", "host=/nowhere"]
    moved = [f"/run/gateway-tls/{os.path.basename(path)}" for path in (cert, key)]
    try:
        p = subprocess.run([*base, "--listen", "127.0.0.1:0", "--cert", moved[0], "--key", moved[1]], capture_output=True,
                           text=True, check=False)
        assert p.returncode != 0 and f"cannot read {moved[1]}: Permission denied for the user nobody" in p.stderr, p.stderr
        p = subprocess.run(["sh", "-c", 'echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"', "sh", *base,
                            "--listen", "127.0.0.1:443"], capture_output=True, text=True, check=False)
        assert p.returncode != 0 and "port 443: Permission denied for the user nobody: ports below 1024" in p.stderr, p.stderr
        assert "CAP_NET_BIND_SERVICE" in p.stderr and "PrivateUsers=no" in p.stderr
    finally:
        os.unlink("/run/secbox-gateway")
        shutil.rmtree(state)
        shutil.rmtree("/run/gateway-tls")
