# SPDX-License-Identifier: MIT
"""recovery-agent with a real gateway: who it is, what it remembers, when it lets people in, what it tries."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import datetime
import ipaddress
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

from tests.conftest import require_programs  # noqa: E402
from tests.integration.fake_cloud import FakeCloud  # noqa: E402
from tests.integration.gateway_lab import NUMBERS, Lab, enroll, gw, shared  # noqa: E402
from tests.lab import sshd  # noqa: E402
from tests.lab.again import Again  # noqa: E402
from tests.lab.device import Device  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.recovery import Recovery  # noqa: E402
from tests.lab.util import Daemon, free_port, program, read_text, wait_until  # noqa: E402


@pytest.fixture
def box(gw, folder):
    """A box with its recovery-agent, not started; box.cloud is what the gateway shows of it."""
    require_programs("recovery-agent")
    name = f"rescue-{next(NUMBERS)}"
    with Recovery(os.path.join(folder, "root"), gw.enroll(name)) as it:
        it.gw = gw
        yield it


def shown(box):
    answer = box.gw.request("GET", f"/v1/devices/{box.device}")
    return answer.json["device"] if answer.status == 200 else {}


def wait_shown(box, **wanted):
    def there():
        recovery = shown(box).get("recovery", {})
        return recovery if all(recovery.get(k) == v for k, v in wanted.items()) else None
    try:
        return wait_until(there, f"recovery.status with {wanted}", box.daemon.death)
    except Exception as e:
        raise AssertionError(f"{shown(box).get('recovery')}\n{box.log()}") from e


def wait_connected(box):
    wait_until(lambda: "recovery" in shown(box).get("roles", []), "recovery-agent is connected", box.daemon.death)


def test_claims_in_band_and_remembers(gw, box):
    assert not box.log()
    box.start()
    wait_connected(box)
    assert set(shown(box)["keys"]) == {"recovery"} and os.stat(box.state("key.pem")).st_mode & 0o777 == 0o600
    wait_shown(box, state="starting", open=True, verdict="starting")
    wait_until(lambda: os.path.exists(box.state()) and json.loads(read_text(box.state()))["addresses"], "the state is kept",
               box.daemon.death)
    kept = json.loads(read_text(box.state()))
    assert kept["addresses"] == ["127.0.0.1"] and int(kept["serverTime"]) > 1767225600
    wait_until(lambda: os.path.exists(box.state("config.env")), "the configuration is kept", box.daemon.death)
    for name in ("state.json", "config.env"):
        assert os.stat(box.state(name)).st_mode & 0o777 == 0o600
    box.stop()
    # the files are gone or damaged: the one that worked is used, and the key, which needs no bootstrap token any more
    box.write_env("mgmt-agent.env", {"DEVICE_ID": '"${DEVICE_ID:-x}"'})
    os.unlink(box.path("etc/tucomunidad/recovery.env"))
    gw.stop()
    gw.start()
    box.start()
    wait_connected(box)
    assert "going on with the one that worked last" in box.log()
    secret = re.search("BOOTSTRAP=(.*)", read_text(box.state("config.env"))).group(1)
    assert secret.startswith("sbb_") and secret not in box.log()


def test_a_used_bootstrap_and_a_wrong_key_are_said_plainly(gw, box, folder):
    box.start()
    wait_connected(box)
    box.stop()
    os.unlink(box.state("key.pem"))  # set up anew, with the bootstrap token of before
    box.start()
    box.wait_log("device.bootstrap-reused")
    alarms = [e for e in gw.audit("device.bootstrap_reused") if e["device"] == box.device]
    assert alarms and alarms[0]["alarm"]
    box.stop()
    box.write_env("mgmt-agent.env", gw.enroll(box.device))  # an operator renews it
    box.start()
    wait_connected(box)


def test_waits_for_a_configuration(gw, folder):
    with Recovery(os.path.join(folder, "root")) as box:
        box.gw, box.device = gw, f"rescue-{next(NUMBERS)}"
        box.start()
        box.wait_log("there is no configuration")
        box.write_env("mgmt-agent.env", gw.enroll(box.device))
        wait_until(lambda: box.daemon.death(), "it ends, to be started again by the service manager")
        assert "the configuration has changed" in box.log() and box.daemon.process.returncode == 0
        box.start()
        wait_connected(box)


def fault_file(box):
    text = read_text(box.path("run/tucomunidad/recovery/config-fault.json"))
    return json.loads(text) if text else None


def wait_restart(box):
    """It ends, to be started again by the service manager, which these lines stand for."""
    wait_until(lambda: box.daemon.death(), "it ends")
    assert "the configuration has changed" in box.log() and box.daemon.process.returncode == 0, box.log()


def test_authorities_that_it_may_not_read_are_told_and_taken_when_they_are_mended(gw, box, folder):
    authorities = os.path.join(folder, "ca.pem")
    with open(certificate(folder, 2026)[0], encoding="ascii") as source, open(authorities, "w", encoding="ascii") as f:
        f.write(source.read())
    os.chmod(authorities, 0o600)
    box.write_env("mgmt-agent.env", {**gw.enroll(box.device), "CLOUD_CA_FILE": authorities})
    subprocess.run(["chmod", "711", folder, os.path.dirname(folder)], check=True)
    subprocess.run(["chown", "-R", "65534:65534", box.root], check=True)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    box.start(nobody)
    box.wait_log("there is no configuration")
    fault = fault_file(box)
    assert fault["program"] == "recovery-agent" and authorities in fault["error"]["message"]
    assert "cannot be read by recovery-agent's user: Permission denied" in fault["error"]["message"]
    os.chmod(authorities, 0o644)
    wait_restart(box)
    box.start(nobody)
    wait_connected(box)
    wait_until(lambda: not fault_file(box), "the fault is over", box.daemon.death)


def test_an_edit_that_is_wrong_leaves_what_worked_and_is_told(gw, box):
    env = gw.enroll(box.device)
    box.write_env("mgmt-agent.env", env)
    box.start()
    wait_connected(box)
    wait_until(lambda: os.path.exists(box.state("config.env")), "the configuration is kept", box.daemon.death)
    box.write_env("mgmt-agent.env", {**env, "MGMT_GATEWAY_URL": "wss://cloud.invalid"})
    wait_restart(box)
    box.start()
    said = wait_shown(box, configFault=fault_text(box, "RECOVERY_GATEWAY_URL"))
    assert said and fault_file(box)["error"]["id"] == "config.missing"
    box.write_env("mgmt-agent.env", env)
    wait_restart(box)
    box.start()
    wait_shown(box, configFault=None)
    assert fault_file(box) is None


def test_an_edit_that_leads_nowhere_gives_way_to_what_worked(gw, box):
    env = gw.enroll(box.device)
    box.write_env("mgmt-agent.env", env)
    box.write_env("recovery.env", {**box.settings, "RECOVERY_TRY_OTHER": 10})
    box.start()
    wait_connected(box)
    wait_until(lambda: os.path.exists(box.state("config.env")), "the configuration is kept", box.daemon.death)
    box.write_env("mgmt-agent.env", {**env, "MGMT_GATEWAY_URL": f"ws://127.0.0.1:{free_port()}/mgmt"})
    wait_restart(box)
    # before it is started: then it is away for as long as it takes to see it
    wait_until(lambda: "recovery" not in shown(box).get("roles", []), "the gateway has noticed")
    box.start()
    wait_connected(box)
    assert fault_file(box)["error"]["id"] == "config.unreachable"
    # its status follows the connection; until then the gateway shows the one of before
    wait_until(lambda: "Connection refused" in shown(box).get("recovery", {}).get("configFault", ""), "the gateway shows the fault",
               box.daemon.death)


def fault_text(box, part):
    return wait_until(lambda: (fault_file(box) or {}).get("error", {}).get("message"), f"it tells of {part}", box.daemon.death)


class Way:
    """Another tunnel of the box that answers probes as long as it is told to."""

    def __init__(self, gw, box, role):
        env = dict(line.split("=", 1) for line in read_text(box.path("etc/tucomunidad/mgmt-agent.env")).splitlines())
        self.device = Device(gw.url, lambda path, body, headers: gw.raw("POST", path, body, headers), box.device,
                             env["BOOTSTRAP"], role)
        assert self.device.claim().status == 201
        self.answers, self.probes = True, 0
        self.tunnel = self.device.connect(status=False)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while (message := self.tunnel.next()) is not None:
            self.probes += message["type"] == "probe"
            if message["type"] == "probe" and self.answers:
                self.tunnel.send({"type": "probe.answer", "id": message["id"]})

    def close(self):
        self.device.close()


class Heart(Again):
    """Writes the heartbeat as the main container would."""

    def __init__(self, box):
        super().__init__(0.3)
        self.box, self.beats = box, True
        box.beat()
        self.start()

    def once(self):
        if self.beats:
            self.box.beat()

    close = Again.end


def test_opens_when_the_main_way_is_wedged_and_closes_when_it_is_well(gw, box):
    device, heart = Way(gw, box, "device"), Heart(box)
    box.write_env("recovery.env", {**box.settings, "RECOVERY_ACT": 0})
    box.start()
    wait_shown(box, state="healthy", open=False, verdict="closed", reasons=[])
    device.answers = False  # alive, connected, and not serving
    seen = wait_shown(box, state="wedged", open=True, verdict="wedged")
    assert "device tunnel: connected, but no answer" in seen["reasons"] and seen["step"] == "none"
    device.answers = True
    wait_shown(box, state="healthy", open=False)
    heart.beats = False
    seen = wait_shown(box, state="wedged", open=True)
    assert "heartbeat: no progress" in seen["reasons"]
    heart.beats = True
    wait_shown(box, state="healthy", open=False)
    alarms = wait_until(lambda: [e for e in gw.audit("recovery.wedged") if e["device"] == box.device], "the alarms are written")
    assert all(e["alarm"] for e in alarms)
    heart.close()
    device.close()


class FakeAgent:
    """mgmt-agent's socket: notes what it is asked, and answers as told."""

    def __init__(self, box, answer):
        self.asked, self.answer = [], answer
        self.path = box.path("run/tucomunidad/mgmt-agent.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[peer], daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                self.asked.append((message["type"], message["service"]))
                answer = self.answer(message)
                if answer is not None:
                    for part in ({"type": "compose.progress"}, {"type": "container.result", "id": "someone else's", "ok": False},
                                 {"type": "container.result", "id": message["id"], **answer}):
                        peer.sendall(json.dumps(part).encode() + b"\n")

    def close(self):
        self.listener.close()


def test_climbs_the_ladder_within_its_budget(gw, box):
    device, heart = Way(gw, box, "device"), Heart(box)
    busy = [True]

    def answer(message):
        if message["type"] == "container.restart" and busy[0]:
            busy[0] = False
            return {"ok": False, "error": {"id": "agent.busy", "message": "a deployment is under way"}}
        return {"ok": message["type"] == "container.restart"}

    agent = FakeAgent(box, answer)
    box.write_env("recovery.env", {**box.settings, "RECOVERY_REBOOT": 1})
    box.start()
    wait_shown(box, state="healthy")
    heart.beats = False
    wait_until(lambda: ("container.recreate", "secbox") in agent.asked, "it has tried to make the container anew", box.daemon.death)
    assert device.tunnel.code == 1001, "at first the gateway gave the device tunnel up"
    restarts = agent.asked.count(("container.restart", "secbox"))
    assert restarts == 2 and agent.asked[-1][0] == "container.recreate", "refused once, done once, then the next step"
    kept = json.loads(read_text(box.state()))
    assert [e["step"] for e in kept["budget"]] == ["restart", "recreate"], "a refusal costs nothing"
    assert kept["wasHealthy"] is True
    seen = wait_shown(box, step="recreate", open=True)
    assert seen["budget"] == {"restart": 0, "recreate": 0, "reboot": 1}
    # a restart of recovery-agent does not give it another budget; the reboot is asked for by a file
    box.stop()
    box.write_env("recovery.env", {**box.settings, "RECOVERY_REBOOT": 1, "RECOVERY_REBOOT_AFTER": 5})
    box.start()
    wait_until(lambda: os.path.exists(box.path("run/tucomunidad/recovery/reboot")), "a reboot is asked for", box.daemon.death)
    assert len(agent.asked) == 3
    assert [e["step"] for e in json.loads(read_text(box.state()))["budget"]] == ["restart", "recreate", "reboot"]
    # root has not heard of it: it is asked for until the box goes down, and costs nothing more
    os.unlink(box.path("run/tucomunidad/recovery/reboot"))
    wait_until(lambda: os.path.exists(box.path("run/tucomunidad/recovery/reboot")), "it is asked for again", box.daemon.death)
    assert [e["step"] for e in json.loads(read_text(box.state()))["budget"]] == ["restart", "recreate", "reboot"]
    for part in (agent, heart, device):
        part.close()


def test_a_hung_mgmt_agent_keeps_nobody_out(gw, box):
    heart, agent = Heart(box), FakeAgent(box, lambda message: None)
    box.start()
    wait_shown(box, state="healthy")
    heart.beats = False
    wait_until(lambda: agent.asked, "it is asked", box.daemon.death)
    seen = wait_shown(box, state="wedged", open=True, step="restart")
    wait_until(lambda: shown(box)["recovery"]["statusAt"] >= seen["statusAt"], "it goes on")
    heart.close()
    agent.close()


def write_agent_update(box, deadline):
    """A new secbox-agent, which says that it works and that its tunnel is up; the deadline in seconds since the boot."""
    boot, update = read_text("/proc/sys/kernel/random/boot_id").strip(), box.path("var/lib/tucomunidad/agent-update")
    os.makedirs(update, exist_ok=True)
    proof = f"{boot} d-44 secbox-agent\n"
    journal = (f"state=proving\nid=d-44\nnumber=44\npackage=secbox-agent\nfrom=1\nto=2\nnext=\ntunnel=1\nplan=200\nseconds=300\n"
               f"boot={boot}\ndeadline={int(deadline * 1e6)}\n")
    for name, text in (("agent-proof", proof), ("agent-reached", proof), ("journal", journal)):
        with open(f"{update}/new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(f"{update}/new", f"{update}/{name}")


@pytest.mark.parametrize("answers, verdict", [(False, "back"), (True, "keep")])
def test_a_new_agent_whose_tunnel_does_not_answer_is_not_kept_on_its_own_word(gw, box, answers, verdict):
    """Not either while our own line is down, when nobody else could speak for it."""
    mgmt = Way(gw, box, "mgmt")
    mgmt.answers = answers
    box.write_env("recovery.env", {**box.settings, "RECOVERY_ACT": 0})
    write_agent_update(box, time.clock_gettime(time.CLOCK_BOOTTIME) + 86400)
    box.start()
    asked = box.path("run/tucomunidad/recovery/agent-{}")
    if not answers:
        # each takes the gateway 3 s: by then it has been seen that the agent says otherwise
        wait_until(lambda: mgmt.probes >= 5, "the gateway says that the tunnel does not answer", box.daemon.death)
        assert not os.path.exists(asked.format("keep")) and not os.path.exists(asked.format("back"))
        gw.stop()
        box.wait_log("the recovery tunnel is down")
        write_agent_update(box, 0)  # its time is over, and the day that is waited for a line of ours
    wait_until(lambda: os.path.exists(asked.format(verdict)), f"{verdict} is asked for", box.daemon.death)
    assert not os.path.exists(asked.format("keep" if verdict == "back" else "back"))
    mgmt.close()


def test_the_cloud_opens_it(folder):
    """On a gateway that this test plays: an order of the cloud, and one for a break-glass grant."""
    require_programs("recovery-agent")
    with FakeCloud() as cloud, Recovery(os.path.join(folder, "root"), {
            "DEVICE_ID": "caseta5", "BOOTSTRAP": "b", "MGMT_GATEWAY_URL": cloud.url("mgmt")}, RECOVERY_CLOSE_AFTER=1) as box:
        heart = Heart(box)
        box.start()
        connection = cloud.next_connection()
        assert connection.hello["role"] == "recovery" and {"key", "proof", "bootstrap"} <= set(connection.hello)

        def status(**wanted):
            while True:
                message = connection.next()
                if message["type"] == "probe.request":
                    connection.send({"type": "probe.result", "id": message["id"], "device": "ok", "mgmt": "ok"})
                elif wanted.items() <= message.items():
                    return

        status(state="healthy", open=False)
        order = {"type": "recovery.open", "id": "s-1", "reason": "both ways failed", "seconds": "3600"}
        connection.send(order)
        status(open=True, verdict="cloud")
        status(open=False, verdict="closed")  # the main way was well for a second since
        connection.send({**order, "breakGlass": True, "seconds": 2})
        status(open=True, verdict="break-glass")
        connection.send({**order, "seconds": "x"})
        connection.send({"type": "recovery.open", "id": "s-2"})
        status(open=False, verdict="closed")
        assert "the cloud opens recovery for 2 s, whatever the main way does: both ways failed" in box.log()
        heart.close()


class TlsFront:
    """TLS in front of a gateway, with any certificate."""

    def __init__(self, port, cert, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[raw], daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as front, \
                 socket.create_connection(("127.0.0.1", self.target)) as back:
                threading.Thread(target=self.copy, args=[back, front], daemon=True).start()
                self.copy(front, back)
        except OSError:
            pass

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


def certificate(folder, year):
    """Of an authority that is its own, good in that one year."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud")])
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(year, 1, 1))
            .not_valid_after(datetime.datetime(year + 1, 1, 1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    paths = os.path.join(folder, f"{year}.crt"), os.path.join(folder, f"{year}.key")
    with open(paths[0], "wb") as f:
        f.write(cert.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


@pytest.mark.parametrize("year", [2021, 2090])
def test_a_clock_that_is_wrong_keeps_nobody_out(gw, box, folder, year):
    """By this clock the certificate is over, or not valid yet. What counts is the time that the gateway told last."""
    cert, key = certificate(folder, year)
    front = TlsFront(gw.port, cert, key)
    box.write_env("mgmt-agent.env", {**gw.enroll(box.device), "MGMT_GATEWAY_URL": f"wss://127.0.0.1:{front.port}/mgmt",
                                     "CLOUD_CA_FILE": cert})
    box.start()
    box.wait_log("the recovery tunnel is down")
    assert "certificate" in box.log()
    box.stop()
    floor = int(datetime.datetime(year, 6, 1).timestamp())
    os.makedirs(os.path.dirname(box.state()), exist_ok=True)
    with open(box.state(), "w", encoding="utf-8") as f:
        json.dump({"budget": [], "serverTime": str(floor)}, f)
    box.start()
    wait_connected(box)
    if year < 2026:  # by now it has learnt how late it is, and that certificate is over
        front.close()
        return
    # and the authorities' file may go now: a copy was kept
    wait_until(lambda: os.path.exists(box.state("ca.pem")) and os.path.exists(box.state("config.env")), "copies are kept")
    box.stop()
    os.unlink(cert)
    wait_until(lambda: "recovery" not in shown(box).get("roles", []), "the gateway has noticed")
    box.start()
    wait_connected(box)
    front.close()


def test_support_staff_get_in(gw, box, folder):
    """Through the gateway, to the real sshd with the shipped settings: by recovery, when the other ways fail or by order."""
    if sshd.missing():
        pytest.skip(sshd.missing())
    require_programs("secbox-fleet")
    device, heart, agent = Way(gw, box, "device"), Heart(box), FakeAgent(box, lambda message: {"ok": True})
    box.write_env("recovery.env", {**box.settings, "RECOVERY_RESTART_AFTER": 0})
    box.start_sshd(gw.request("GET", "/v1/support-ca").json["publicKey"])
    box.start()
    alice = Fleet(gw.url, gw.token, folder)
    wait_shown(box, state="healthy", open=False)
    p = alice.run("ssh", box.device, "--reason", "a look", "--way", "recovery", "--", "echo in", check=255)
    assert "it is closed while the box is well" in p.stderr
    # the cloud's own verdict: the device tunnel takes no stream, there is no mgmt-link, so recovery is told to open
    p = alice.run("ssh", box.device, "--reason", "a look", "--", "echo in", check=0)
    assert p.stdout == "in\n" and "recovery" in p.stderr
    assert gw.audit("bridge.opened")[0]["detail"]["way"] == "recovery"
    assert re.search(r"\[bridge\] lab is in by ssh", box.log())
    wait_shown(box, open=False)
    grant = alice.json("grants", "add", box.device, "--reason", "now", "--break-glass")["grant"]["id"]
    stays = alice.start("ssh", box.device, "--grant", grant, "--way", "recovery", "--", "echo in; exec cat",
                        stdin=subprocess.PIPE)
    assert stays.stdout.readline() == "in\n", stays.communicate()
    wait_shown(box, open=True, verdict="break-glass")
    # nothing is tried while somebody works on the box; who is in stays in
    heart.beats = False
    wait_shown(box, state="wedged")
    rounds = device.probes
    wait_until(lambda: device.probes >= rounds + 5, "some more rounds have passed", box.daemon.death)
    assert not agent.asked
    stays.stdin.close()
    assert stays.wait(60) == 0
    wait_until(lambda: ("container.restart", "secbox") in agent.asked, "then it is", box.daemon.death)
    for part in (agent, heart, device):
        part.close()


def test_a_sshd_that_does_not_answer_is_started_anew(box):
    listener = socket.create_server(("127.0.0.1", box.port))  # accepts, and never says anything
    box.start()
    wait_until(lambda: os.path.exists(box.path("run/tucomunidad/recovery/restart-sshd")), "a start is asked for",
               box.daemon.death)
    assert "recovery sshd: no answer" in wait_shown(box, state="starting")["reasons"]
    listener.close()


def test_name_servers_that_are_dead_keep_it_out_only_once(gw, box):
    """The first time it needs the name; then it knows the address."""
    env = gw.enroll(box.device)
    url = env["MGMT_GATEWAY_URL"].replace("127.0.0.1", "cloud.invalid")
    hosts = read_text("/etc/hosts")
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]
    named = box.path("hosts")
    with open(named, "w", encoding="utf-8") as f:
        f.write(hosts + "127.0.0.1 cloud.invalid\n")
    box.write_env("mgmt-agent.env", {**env, "MGMT_GATEWAY_URL": url})

    def start(hosts_file):
        script = f"mount --bind {hosts_file} /etc/hosts; exec \"$@\""
        box.stop()
        box.daemon = Daemon("recovery-agent", [*inside, script, "sh", program("recovery-agent"), "--root", box.root], box.log_path,
                            box.env)

    start(named)
    wait_connected(box)
    wait_until(lambda: os.path.exists(box.state()) and "127.0.0.1" in read_text(box.state()), "the address is kept")
    box.stop()
    wait_until(lambda: "recovery" not in shown(box).get("roles", []), "the gateway has noticed")
    start("/etc/hosts")  # which does not know the name, and nobody answers for it
    wait_connected(box)


def test_size_and_memory(box):
    stripped = box.path("recovery-agent")
    subprocess.run(["strip", "-o", stripped, program("recovery-agent")], check=True)
    needed = subprocess.run(["readelf", "-d", stripped], capture_output=True, text=True, check=True).stdout
    if "libasan" not in needed:
        assert os.path.getsize(stripped) <= 300_000  # a tenth of it judges what operators have signed
    for library in ("curl", "pq", "yaml", "archive"):
        assert f"lib{library}." not in needed
    box.start()
    wait_connected(box)
    status = read_text(f"/proc/{box.daemon.pid}/status")
    own = sum(int(re.search(rf"{name}:\s+(\d+)", status).group(1)) for name in ("RssAnon", "RssShmem"))
    print(f"recovery-agent, connected: {own} KiB of its own, {os.path.getsize(stripped)} bytes stripped")
    if "libasan" not in needed:
        assert own <= 3 * 1024
