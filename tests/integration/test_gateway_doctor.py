# SPDX-License-Identifier: MIT
"""secbox-gateway doctor, on a gateway with a PostgreSQL of its own that does TLS itself: each fault of the table is planted, and
what is printed is typed. A stand-in of systemctl notes what it is told, and this test does it."""
# pylint: disable=redefined-outer-name
import datetime
import json
import os
import pwd
import re
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("cryptography")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402

from tests.conftest import require_programs  # noqa: E402
from tests.lab import faults  # noqa: E402
from tests.lab.authority import DAY, Authority, _name  # noqa: E402
from tests.lab.postgres import Postgres, available  # noqa: E402
from tests.lab.signer import Signer  # noqa: E402
from tests.lab.util import Daemon, LabError, free_port, port_answers, program, read_text, wait_until  # noqa: E402

SYSTEMCTL = "#!/bin/sh\necho \"$*\" >>\"$(dirname \"$0\")/systemctl.log\"\n"
LISTEN = "#!/bin/sh\nexec {python} -m http.server --bind 127.0.0.1 {port} >/dev/null 2>&1 &\n"
STRANGER = """
import http.server, sys
open("/proc/self/comm", "w").write("secbox-gateway")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""
PASSWORD = "given"
# of the machine on which the tests run
NOT_OURS = {"time-sync"}
# a root who may not read what is not his, like the gateway's user
POWERLESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def intermediate_of(root, folder):
    """An authority below another one."""
    it = Authority(folder, "lab intermediate")
    now = datetime.datetime.utcnow()
    it.certificate = (
        x509.CertificateBuilder().subject_name(_name("lab intermediate")).issuer_name(root.certificate.subject)
        .public_key(it.key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now - 2 * DAY)
        .not_valid_after(now + 30 * DAY).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root.key, hashes.SHA256()))
    return it


class Machine:
    """What stands in /etc on a gateway's machine stands in our folder."""

    def __init__(self, folder):
        self.folder = folder
        self.etc = os.path.join(folder, "secbox-gateway")
        self.bin = os.path.join(folder, "bin")
        self.env_file = os.path.join(folder, "secbox-gateway.env")
        self.cert, self.key = os.path.join(self.etc, "cloud.crt"), os.path.join(self.etc, "cloud.key")
        self.port = free_port()
        self.daemon = self.signer = None
        self.postgres = Postgres()
        self.postgres.start()
        for path in (self.etc, self.bin, os.path.join(folder, "state")):
            os.makedirs(path, mode=0o700)
        os.symlink(self.postgres.dir, "/run/postgresql")
        self.env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": folder, "LANG": "C.UTF-8", "PGHOST": self.postgres.dir}
        self.write(os.path.join(self.bin, "systemctl"), SYSTEMCTL, 0o755)
        self.write(os.path.join(self.bin, "listen"), LISTEN.format(python=sys.executable, port=self.port), 0o755)
        self.make_certificates()
        self.make_database()
        self.reset()

    @staticmethod
    def write(path, text, mode):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def make_certificates(self):
        root = Authority(os.path.join(self.folder, "root"))
        below = intermediate_of(root, os.path.join(self.folder, "below"))
        self.intermediate = below.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.issued = {name: [read_text(path) for path in below.issue(name, **how)] for name, how in {
            "cloud": {"hosts": ["127.0.0.1"]}, "expired": {"hosts": ["127.0.0.1"], "expired": True},
            "early": {"hosts": ["127.0.0.1"], "days": 400}, "other": {"hosts": ["cloud.example"]}}.items()}

    def make_database(self):
        for name in ("gate", "locked"):
            self.postgres.sql(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'unknown'")
        self.postgres.sql("CREATE DATABASE secbox OWNER gate")
        self.postgres.sql("ALTER DEFAULT PRIVILEGES FOR ROLE gate GRANT ALL ON TABLES TO PUBLIC", "secbox")
        hba = os.path.join(self.postgres.data, "pg_hba.conf")
        text = read_text(hba)
        with open(hba, "w", encoding="utf-8") as f:
            f.write(f"local all locked scram-sha-256\n{text}")
        self.postgres.sql("SELECT pg_reload_conf()")

    def reset(self):
        """Everything as it was, and the gateway runs."""
        os.chown(self.etc, 0, 0)
        os.chmod(self.etc, 0o700)
        cert, key = self.issued["cloud"]
        self.write(self.cert, cert + self.intermediate, 0o644)
        self.write(os.path.join(self.etc, "intermediate.crt"), self.intermediate, 0o644)
        for name in ("expired", "early", "other"):
            self.write(os.path.join(self.folder, f"{name}.crt"), self.issued[name][0] + self.intermediate, 0o644)
            self.write(os.path.join(self.folder, f"{name}.key"), self.issued[name][1], 0o600)
        shutil.copy(self.write_key(key), self.key)
        os.chown(self.key, 0, 0)
        os.chmod(self.key, 0o600)
        options = (f"--issuer https://127.0.0.1:{self.port} --listen 127.0.0.1:{self.port} --cert {self.cert} --key {self.key} "
                   f"--state {self.folder}/state --signer {self.folder}/signer.socket")
        self.set_options(options)
        self.options = options.split()
        self.start_signer()
        self.start()

    def set_options(self, options):
        self.write(self.env_file, f"{faults.OPTIONS}='{options}'\n{faults.USUAL_DATABASE}\n", 0o640)

    def write_key(self, key):
        path = os.path.join(self.folder, "cloud.key")
        self.write(path, key, 0o600)
        return path

    def here(self, text):
        """The page's paths as they are here."""
        return (text.replace(faults.GATEWAY_ENV, self.env_file).replace("/etc/secbox-gateway", self.etc)
                .replace("expired.crt", f"{self.folder}/expired.crt").replace("early.crt", f"{self.folder}/early.crt")
                .replace("other.crt", f"{self.folder}/other.crt").replace("other.key", f"{self.folder}/other.key"))

    def start(self):
        if self.daemon:
            return
        env = {**self.env, "PGUSER": "gate", "SECBOX_GATEWAY_DATABASE": "host=/run/postgresql dbname=secbox"}
        self.daemon = Daemon("secbox-gateway", [program("secbox-gateway"), "serve", *self.options],
                             os.path.join(self.folder, "gateway.log"), env)
        wait_until(lambda: port_answers(self.port), "the gateway listens", self.daemon.death)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def start_signer(self):
        if not self.signer:
            self.signer = Signer(self.folder, os.path.join(self.folder, "state"),
                                 {**self.env, "PGUSER": "gate", "SECBOX_GATEWAY_DATABASE": "host=/run/postgresql dbname=secbox"})

    def stop_signer(self):
        if self.signer:
            self.signer.stop()
            self.signer = None

    def type_it(self, command):
        """In root's shell; what systemctl was told is done afterwards."""
        log = os.path.join(self.bin, "systemctl.log")
        p = subprocess.run(["sh", "-euc", command], env=self.env, input=f"{PASSWORD}\n" * 2, capture_output=True, text=True,
                           check=False, cwd=self.folder, start_new_session=True)
        assert p.returncode == 0, p
        told = read_text(log).splitlines() if os.path.exists(log) else []
        if told:
            os.unlink(log)
        for verb, unit in (line.split() for line in told):
            if unit == "postgresql":
                self.postgres.pause()
                if verb == "restart":
                    self.postgres.resume()
            elif unit == "secbox-gateway-signer.socket":
                self.stop_signer()
                if verb == "restart":
                    self.start_signer()
            elif verb in ("stop", "restart"):
                self.stop()
            if unit == "secbox-gateway" and verb in ("start", "restart"):
                self.start()

    def doctor(self, as_user=False):
        argv = [*(POWERLESS if as_user else []), program("secbox-gateway"), "doctor", "--env-file", self.env_file, "--json"]
        p = subprocess.run(argv, env={**self.env, "PGUSER": "gate"}, capture_output=True, text=True, check=False)
        checks = {c["id"]: c for c in json.loads(p.stdout)["checks"]}
        bad = {name for name, c in checks.items() if c["result"] != "pass"}
        assert (p.returncode == 0) == (not bad) and PASSWORD not in p.stdout, p
        return checks

    def findings(self):
        return {name: c for name, c in self.doctor().items() if c["result"] != "pass" and name not in NOT_OURS}

    def close(self):
        self.stop()
        self.stop_signer()
        self.postgres.stop()
        os.unlink("/run/postgresql")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    require_programs("secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    if os.geteuid() != 0 or os.listdir("/run/user") or os.path.exists("/run/postgresql"):
        pytest.skip("it needs a /run of its own: see tests/lab/isolate.py")
    it = Machine(str(tmp_path_factory.mktemp("machine")))
    yield it
    it.close()


@pytest.fixture
def machine(shared):
    shared.reset()
    return shared


def is_about_rights(fault):
    return fault.plant.startswith("chown ")


def find(machine, fault):
    """Plants it, and asks."""
    machine.type_it(machine.here(fault.plant))

    def found():
        check = machine.doctor(is_about_rights(fault))[fault.check]
        return check if check["result"] == "fail" and faults.holds(machine.here(fault.says), check["detail"]) else None
    finding = wait_until(found, f"the doctor finds that {fault.broken}")
    assert ("since" in finding) == fault.since, finding
    return finding


def well(machine):
    try:
        wait_until(lambda: not machine.findings(), "the gateway is well")
    except LabError as e:
        pytest.fail(f"{e}: {machine.findings()}")


def test_a_gateway_that_is_well(machine):
    well(machine)
    p = subprocess.run([program("secbox-gateway"), "doctor", "--env-file", machine.env_file], env={**machine.env, "PGUSER": "gate"},
                       capture_output=True, text=True, check=False)
    assert "CHECK " in p.stdout and " passed, " in p.stdout, p


@pytest.mark.parametrize("fault", faults.GATEWAY, ids=lambda f: f.name)
def test_the_doctor_names_it_and_mends_it(machine, fault):
    finding = find(machine, fault)
    assert faults.matches(machine.here(fault.remedy), finding.get("remedy", "")), finding
    assert finding["advice"].startswith(f"Run `{finding['remedy']}`.") and finding["remedyFor"] == "gateway", finding
    if fault.name == "port-taken" and " && kill " not in finding["remedy"]:
        pytest.skip("it names the unit in which this test runs")
    machine.type_it(finding["remedy"])
    if fault.name == "env-missing":  # its options are gone for good
        assert machine.doctor()["env-file"]["result"] == "pass"
        return
    assert not is_about_rights(fault) or machine.doctor(True)[fault.check]["result"] == "pass"
    well(machine)


@pytest.mark.parametrize("fault", faults.GATEWAY_NAMED, ids=lambda f: f.name)
def test_the_doctor_names_it_and_says_what_to_do(machine, fault):
    small = os.path.join(machine.postgres.dir, "small")
    if fault.name == "database-full":
        os.makedirs(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "none", small], check=True)
        shutil.chown(small, "postgres", "postgres")
        machine.postgres.sql(f"CREATE TABLESPACE small LOCATION '{small}'")
    try:
        finding = find(machine, fault)
        assert finding["advice"] and "remedy" not in finding, finding
    finally:
        machine.postgres.sql("DELETE FROM schema_version WHERE version = 9999", "secbox")
        machine.postgres.sql("ALTER ROLE gate RESET ALL")
        if os.path.ismount(small):
            machine.postgres.sql("DROP TABLESPACE small")
            subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.parametrize("word, says", [(PASSWORD, f"{faults.OPTIONS} has a word that is no option"),
                                        (f"--pass={PASSWORD}", "--pass is no option of serve")])
def test_a_word_that_may_be_a_password_is_not_shown(machine, word, says):
    machine.set_options(f"{' '.join(machine.options)} {word}")
    finding = machine.doctor()["options"]
    assert finding["result"] == "fail" and finding["detail"].startswith(says), finding


def test_each_option_of_serve_is_known(machine):
    told = subprocess.run([program("secbox-gateway"), "serve", "--help"], capture_output=True, text=True, check=True).stdout
    given = {word for word in machine.options if word.startswith("--")}
    others = [f"{name}=x" if value else name for name, value in re.findall(r"^  (--[\w-]+)( [A-Z]\S*)?", told, re.M)
              if name not in given | {"--help", "--version", "--database"}]
    assert "--oidc-issuer=x" in others and "--two-person" in others
    machine.set_options(" ".join([*machine.options, *others]))
    assert machine.doctor()["options"]["result"] == "pass"


def test_quotes_are_read_as_systemd_does(machine):
    folder = os.path.join(machine.folder, "with blanks")
    shutil.copytree(machine.etc, folder)
    cert, key = os.path.join(folder, "cloud.crt"), os.path.join(folder, "cloud.key")
    try:
        machine.set_options(f'--issuer https://127.0.0.1:{machine.port} --listen=127.0.0.1:{machine.port} '
                            f'--cert "{cert}" "--key={key}" --two-person')
        well(machine)
        os.chmod(key, 0o644)
        finding = machine.doctor()["key"]
        assert finding["result"] == "fail" and key in finding["detail"] and "remedy" not in finding, finding
    finally:
        shutil.rmtree(folder)


def test_a_file_whose_name_is_a_command_is_in_none(machine):
    found = os.path.join(machine.etc, "a;evil.crt")
    os.rename(os.path.join(machine.etc, "intermediate.crt"), found)
    try:
        machine.write(machine.cert, machine.issued["cloud"][0], 0o644)
        finding = machine.doctor()["chain"]
        assert finding["result"] == "fail" and f"{machine.cert} lacks the certificate of" in finding["detail"], finding
        assert "remedy" not in finding and "evil" not in finding["advice"], finding
    finally:
        os.unlink(found)


def test_rights_to_what_others_use_are_not_changed(machine):
    elsewhere = os.path.join(machine.folder, "other.key")
    link = os.path.join(machine.etc, "link.key")
    os.chown(elsewhere, pwd.getpwnam("nobody").pw_uid, -1)
    os.symlink(elsewhere, link)
    options = " ".join(machine.options)
    try:
        for key in (elsewhere, link):
            machine.set_options(options.replace(machine.key, key))
            finding = machine.doctor(as_user=True)["key"]
            assert finding["result"] == "fail" and f"may not read {key}" in finding["detail"], finding
            assert "remedy" not in finding, finding
            assert finding["advice"].startswith("Copy certificate and key to /etc/secbox-gateway"), finding
    finally:
        os.unlink(link)
        os.chown(elsewhere, 0, -1)


def test_our_name_alone_makes_no_process_ours(machine):
    machine.stop()
    with subprocess.Popen([sys.executable, "-c", STRANGER, str(machine.port)], user="nobody", cwd="/") as stranger:
        try:
            wait_until(lambda: port_answers(machine.port), "the stranger listens")
            finding = machine.doctor()["serving"]
            assert finding["result"] == "fail" and f"is taken by process {stranger.pid} (" in finding["detail"], finding
        finally:
            stranger.kill()
