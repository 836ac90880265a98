# SPDX-License-Identifier: MIT
"""The installer's script under each shell: what it refuses and why, and that it changes nothing before or by half.

It runs where the whole file system can only be read, but for a folder of the test's.
"""
# pylint: disable=redefined-outer-name
import contextlib
import fcntl
import http.server
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import types

import pytest

from tests.lab import isolate
from tests.lab.authority import Authority
from tests.lab.installer import script
from tests.lab.util import ROOT, free_port, read_text

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nlab\n-----END PGP PUBLIC KEY BLOCK-----"
SHELLS = ["dash", "bash", "busybox sh"]
SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\n"
LONG_AGO = "Sun, 01 Jan 2012 00:00:00 GMT"
# {where: text} is mounted there for one run; words are run before it, in the same namespace
READ_ONLY = """
mount --make-rprivate /
for point in $(awk '$5 == "/" || $5 ~ "^/(etc|var|home|usr|root|boot|opt)(/|$)" { print $5 }' /proc/self/mountinfo); do
    mount -o remount,bind,ro "$point"
done
mount -t tmpfs none /tmp
"""
DF = "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted'\necho 'lab 9999999 1 {} 1% /'\n"


class Cloud(http.server.BaseHTTPRequestHandler):
    """Answers as the path's first part says, in place of the cloud's address."""
    protocol_version = "HTTP/1.0"

    def do_GET(self):  # pylint: disable=invalid-name
        way, rest = self.path[1:].split("/", 1)
        good = rest == "install/apt/dists/stable/InRelease"
        status, body, headers = {
            "good": (200 if good else 404, SIGNED, {}),
            "portal": (200, "<html>Welcome to Hotel WiFi</html>", {}),
            "redirect": (302, "", {"Location": "http://login.hotel.example/"}),
            "login": (511, "", {}),
            "nothing": (404, "{}", {}),
            "who": (407, "", {}),
            "tired": (503, "", {}),
            "late": (200, SIGNED, {"Date": LONG_AGO}),
        }[way]
        self.send_response_only(status)
        for name, value in {"Date": self.date_time_string(), "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_HEAD(self):  # pylint: disable=invalid-name
        self.do_GET()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


@contextlib.contextmanager
def serving(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def lab():
    if os.geteuid() != 0 or not isolate.is_isolated():
        pytest.skip("runs in namespaces only: python3 -m tests.lab.isolate …")
    folder = tempfile.mkdtemp(prefix="secbox-installer-")
    os.chmod(folder, 0o755)
    os.makedirs("/run/systemd/system", exist_ok=True)  # this namespace's own
    os.makedirs("/run/lock", exist_ok=True)
    authority = Authority(os.path.join(folder, "authority"), "Some Proxy")
    with serving() as plain, serving(authority.server_context()) as tls:
        yield types.SimpleNamespace(folder=folder, cloud=f"{plain}/good", plain=plain, tls=tls,
                                    path=put(folder, "secbox", script(KEY)))
    shutil.rmtree(folder, ignore_errors=True)


def put(folder, name, text, mode=0o755):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def run(lab, shell, *args, cloud=None, stand_in=None, mounts=None, prefix="", env=None, piped=False, cwd=None):
    """The installer, --dry-run unless the arguments say otherwise. Stand-ins come first in PATH."""
    bin_folder = tempfile.mkdtemp(dir=lab.folder)
    os.chmod(bin_folder, 0o755)
    for name, text in {"df": DF.format(9 << 20), **(stand_in or {})}.items():
        put(bin_folder, name, text)
    before = READ_ONLY
    for i, (where, text) in enumerate((mounts or {}).items()):
        if text is None:
            before += f"mount -t tmpfs none {where}\n"
        elif os.path.exists(where):
            before += f"mount --bind {shlex.quote(put(bin_folder, f'.{i}', text, 0o644))} {where}\n"
        else:
            before += f"cp {shlex.quote(put(bin_folder, f'.{i}', text, 0o644))} {where}\n"
    argv = [*shell.split(), *(["-s", "--"] if piped else [lab.path]), *(args or ("--dry-run",)), "--cloud", cloud or lab.cloud]
    stdin = read_text(lab.path) if piped else ""
    p = subprocess.run(["unshare", "-m", "sh", "-euc", f'{before}\nexec {prefix} "$@"', "run", *argv],
                       env={"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": "/nonexistent", **(env or {})}, input=stdin,
                       capture_output=True, text=True, check=False, start_new_session=True, cwd=cwd)
    return p


def check(p, code, sentence):
    assert p.returncode == code, p
    assert re.search(sentence, p.stdout + p.stderr), p
    if code:
        assert "Go on" not in p.stdout and "What is done" not in p.stdout, p


def test_shellcheck(lab):
    assert subprocess.run(["shellcheck", "-s", "sh", lab.path], check=False).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_all_is_well(lab, shell):
    p = run(lab, shell)
    check(p, 0, "What is done")
    assert " NO " not in p.stdout and p.stderr == "" and "--dry-run" in p.stdout, p
    for path in re.findall(r"(/(?:etc|var)/[\w./-]+)", p.stdout):
        if not os.path.exists(path):
            assert path in read_text(f"{ROOT}/docs/install.md"), f"docs/install.md does not tell of {path}"


SYSTEM = "ID={}\nVERSION_ID=\"{}\"\nPRETTY_NAME=\"{} {}\"\n"
ARCHITECTURE = "#!/bin/sh\ncase \"$*\" in *Architecture*) echo {} ;; *) exit 1 ;; esac\n"
CASES = {
    "ubuntu": (11, "this is ubuntu 24.04", {"mounts": {"/etc/os-release": SYSTEM.format("ubuntu", "24.04", "ubuntu", "24.04")}}),
    "debian 11": (11, "Debian 12 and 13", {"mounts": {"/etc/os-release": SYSTEM.format("debian", 11, "Debian", 11)}}),
    "no system": (11, "Debian 12 and 13", {"mounts": {"/etc/os-release": ""}}),
    "no systemd": (11, "systemd does not run", {"mounts": {"/run/systemd": None}}),
    "processor": (12, "architecture is riscv64", {"stand_in": {"dpkg-query": ARCHITECTURE.format("riscv64")}}),
    "memory": (13, "has 488", {"mounts": {"/proc/meminfo": "MemTotal:         500000 kB\n"}}),
    "disk": (14, "2048 MiB have to be free where /usr is, and there are 97", {"stand_in": {"df": DF.format(100000)}}),
    "clock": (15, "clock .* away from the cloud's", {"way": "late"}),
    "dns": (16, "cannot be resolved", {"cloud": "https://nothing.invalid"}),
    "portal": (18, "captive portal", {"way": "portal"}),
    "redirect": (18, "leads to http://login.hotel.example/, as a captive portal", {"way": "redirect"}),
    "login": (18, "captive portal", {"way": "login"}),
    "no packages": (17, "--install-dir", {"way": "nothing"}),
    "proxy's password": (17, "proxy wants to know", {"way": "who"}),
    "tired": (17, "HTTP status 503", {"way": "tired"}),
    "interception": (18, "certificate .* \\(issuer: .*Some Proxy\\): an intercepting proxy", {"tls": "good"}),
    "interception by the clock": (15, "clock", {"tls": "late"}),
    "firewall": (17, "within 30 seconds", {"stand_in": {"curl": "#!/bin/sh\nexit 28\n"}}),
    "proxy's name": (17, "proxy's name", {"env": {"http_proxy": "http://proxy.invalid:1"}}),
    "proxy in capitals": (17, "proxy's name", {"env": {"HTTP_PROXY": "http://proxy.invalid:1"}}),
    "proxy": (17, "proxy's name", {"tls": "good", "env": {"HTTPS_PROXY": "http://proxy.invalid:1"}}),
}


def arguments(lab, how):
    how = dict(how)
    if "way" in how:
        how["cloud"] = f"{lab.plain}/{how.pop('way')}"
    if "tls" in how:
        how["cloud"] = f"{lab.tls}/{how.pop('tls')}"
    return how


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("case", CASES)
def test_what_stands_in_the_way(lab, case, shell):
    code, sentence, how = CASES[case]
    p = run(lab, shell, **arguments(lab, how))
    check(p, code, sentence)
    assert p.stdout.count(" NO ") == 1 and "nothing was changed" in p.stderr, p


@pytest.mark.parametrize("shell", SHELLS)
def test_all_of_it_is_told(lab, shell):
    p = run(lab, shell, stand_in={"df": DF.format(1)}, mounts={"/proc/meminfo": "MemTotal: 1 kB\n"}, cloud=f"{lab.plain}/portal")
    check(p, 13, "memory")
    assert p.stdout.count(" NO ") == 3, p


@pytest.mark.parametrize("shell", SHELLS)
def test_nobody_answers(lab, shell):
    check(run(lab, shell, cloud=f"http://127.0.0.1:{free_port()}"), 17, "cannot be reached: .*connect")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("port", [8080, 8443])
def test_ports(lab, port, shell):
    with contextlib.closing(socket.socket()) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", port))
        s.listen()
        check(run(lab, shell), 19, f"port {port} is taken by .*, process {os.getpid()}|port {port} is taken by another program")
        installed = "#!/bin/sh\ncase $* in *Architecture*) echo amd64 ;; *) echo installed ;; esac\n"
        for stand_in in ({"dpkg-query": installed}, {"mgmt-agent": "#!/bin/sh\n"}):
            assert " NO " not in run(lab, shell, stand_in=stand_in).stdout, "then it may be secbox itself"
        of_before = f"{lab.folder}/mgmt-agent.env"
        text = read_text(lab.path).replace("/etc/tucomunidad/mgmt-agent.env", of_before)
        here = types.SimpleNamespace(folder=lab.folder, cloud=lab.cloud, path=put(lab.folder, "here", text))
        put(lab.folder, "mgmt-agent.env", "A=1\n")
        assert " NO " not in run(here, shell).stdout, "a box from before there were packages"
        os.unlink(of_before)


@pytest.mark.parametrize("shell", SHELLS)
def test_an_older_install_is_told(lab, shell):
    cron = "@reboot tc /home/tc/start-relay.sh\n# @reboot tc podman\n@daily root podman image prune\n"
    mounts = {"/etc/passwd": read_text("/etc/passwd") + "tcops:x:2000:2000::/home/tcops:/bin/bash\n",
              "/etc/tucomunidad": None, "/etc/tucomunidad/relay.env": "A=1\n", "/etc/cron.d": None, "/etc/cron.d/tc": cron}
    if not os.path.isdir("/etc/tucomunidad"):
        mounts = {"/etc/passwd": mounts["/etc/passwd"], "/etc/cron.d": None, "/etc/cron.d/tc": cron}
    p = run(lab, shell, mounts=mounts)
    check(p, 0, "user tcops is there already: its podman is used")
    notes = [line for line in p.stdout.splitlines() if "way in" in line]
    assert len(notes) == 1 and "start-relay.sh" in notes[0], p
    assert "tcops whose podman" in p.stdout and "tc, new" not in p.stdout, p
    assert "/etc/tucomunidad" not in mounts or "relay.env is there already" in p.stdout, p


@pytest.mark.parametrize("shell", SHELLS)
def test_a_package_manager_at_work_is_named(lab, shell):
    lock = put(lab.folder, "lock-frontend", "")
    with open(lock, "r+", encoding="ascii") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        p = run(lab, shell, prefix=f"sh -c 'mount --bind {lock} /var/lib/dpkg/lock-frontend && exec \"$@\"' sh")
    check(p, 0, f"in use \\(.*, process {os.getpid()}\\); the installer will wait")


@pytest.mark.parametrize("shell", SHELLS)
def test_root_is_needed_only_to_change_something(lab, shell):
    as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    check(run(lab, shell, prefix=as_nobody), 0, "What is done")
    p = run(lab, shell, "--unattended", prefix=as_nobody, stand_in={"sudo": "#!/bin/sh\necho \"sudo: $*\"\n"})
    assert p.returncode == 0 and f"sudo: -n --preserve-env=https_proxy,http_proxy,no_proxy sh {lab.path} --unattended" in p.stdout
    assert "Checks" not in p.stdout and "What is done" not in p.stdout, "root is told once"


@pytest.mark.parametrize("shell", SHELLS)
def test_its_own_folder_goes_when_sudo_has_ended(lab, shell):
    made = os.path.join(tempfile.mkdtemp(dir=lab.folder), "made")
    mktemp = f"#!/bin/sh\nmkdir -m 755 {made} && echo {made}\n"
    os.chmod(os.path.dirname(made), 0o777)
    p = run(lab, shell, "--unattended", prefix="setpriv --reuid=65534 --regid=65534 --clear-groups",
            stand_in={"sudo": f"#!/bin/sh\necho \"there: $(ls -d {made})\"\nexit 7\n", "mktemp": mktemp})
    assert p.returncode == 7 and f"there: {made}" in p.stdout and not os.path.exists(made), p


@pytest.mark.parametrize("shell", SHELLS)
def test_from_a_pipe_no_file_of_the_folder_becomes_root(lab, shell):
    folder = tempfile.mkdtemp(dir=lab.folder)
    os.chmod(folder, 0o755)
    for name in ("sh", "dash", "bash", "busybox"):
        put(folder, name, "echo planted # secbox-installer\n")
    fetched = "#!/bin/sh\ncase $* in */install/secbox) echo fetched ;; *) exec /usr/bin/curl \"$@\" ;; esac\n"
    p = run(lab, shell, "--unattended", prefix="setpriv --reuid=65534 --regid=65534 --clear-groups", piped=True, cwd=folder,
            stand_in={"sudo": "#!/bin/sh\necho \"sudo: $*\"\n", "curl": fetched})
    assert p.returncode == 0 and "fetched" in p.stdout, p
    assert re.search(r"sudo: .* sh /tmp/tmp\.\w+/secbox --unattended", p.stdout), p


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_terminal_it_does_not_go_on_by_itself(lab, shell):
    p = run(lab, shell, "--channel", "stable")
    assert p.returncode == 2 and "--unattended asks nothing" in p.stderr and "What is done" in p.stdout, p


def run_part(lab, shell, calls, made, stand_in, passwd=""):
    """Runs functions of the installer on a state folder of the test's. What it then says was made, and the commands they called."""
    state = tempfile.mkdtemp(dir=lab.folder)
    put(state, "made", made)
    told = put(state, "told", "")
    setting = f"STATE={state} MADE={state}/made STORAGE={told} ENV_FILE=/nonexistent NEW_USER=lab-box\nexec 3>&1 4>&2\nset -eu\n"
    path = put(state, "part", read_text(lab.path).rsplit("{ main ", 1)[0] + setting + calls)
    part = types.SimpleNamespace(folder=lab.folder, cloud=lab.cloud, path=path)
    tell = "#!/bin/sh\necho \"${0##*/} $*\" >>" + told + "\n"
    p = run(part, shell, mounts={"/etc/passwd": read_text("/etc/passwd") + passwd},
            stand_in={name: tell + text for name, text in stand_in.items()})
    return p, read_text(f"{state}/made"), read_text(told)


USER_TOOLS = {"useradd": "exit 9\n", "usermod": "", "userdel": "", "groupdel": "", "loginctl": "", "systemctl": "", "pkill": "",
              "pgrep": "exit 1\n"}
SOMEBODY = "lab-box:x:2001:2001:{}:/nonexistent:/bin/sh\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_user_of_somebody_else_is_never_ours(lab, shell):
    calls = "podman_user() { ! id $NEW_USER >/dev/null 2>&1 || echo $NEW_USER; }\nprepare_podman\n"
    p, made, told = run_part(lab, shell, calls, "", USER_TOOLS)
    assert p.returncode != 0 and "useradd" in told and made == "", (p, made, told)
    p, made, told = run_part(lab, shell, calls.replace("prepare", "NEW_USER=tty\nprepare"), "", USER_TOOLS)
    assert p.returncode != 0 and "group tty is there" in p.stdout and (made, told) == ("", ""), (p, made, told)
    p, made, told = run_part(lab, shell, calls, "user lab-box\n", USER_TOOLS, SOMEBODY.format(""))
    assert p.returncode == 0 and "user lab-box" not in made, (p, made, told)
    assert not re.search("useradd|userdel|groupdel", told), told
    assert "systemctl start dbus.socket\nloginctl enable-linger lab-box\n" in told, "where nobody had a D-Bus before, too"


@pytest.mark.parametrize("shell", SHELLS)
def test_only_a_user_of_the_installer_is_removed(lab, shell):
    for comment, removed in (("SecBox containers", True), ("", False)):
        p, made, told = run_part(lab, shell, "remove_user\n", "user lab-box\n", USER_TOOLS, SOMEBODY.format(comment))
        assert p.returncode == 0 and made == "", (p, made, told)
        assert ("userdel --remove lab-box" in told) == removed == ("stays" not in p.stdout), (p, told)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_process_that_does_not_end_is_named(lab, shell):
    """Functions in place of programs, which busybox would not look for."""
    calls = "sleep() { :; }\npgrep() { echo 42 stuck; }\nremove_user\n"
    p, made, told = run_part(lab, shell, calls, "user lab-box\n", USER_TOOLS, SOMEBODY.format("SecBox containers"))
    assert p.returncode == 1 and "processes of user lab-box do not end, so it cannot be removed: 42 stuck" in p.stderr, p
    assert made == "user lab-box\n" and "userdel" not in told, "a later run goes on there"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_token_that_comes_by_a_pipe_is_read_once(lab, shell):
    calls = ("mkfifo $STATE/pipe\nprintf sbe_many >$STATE/pipe &\nCLOUD=https://cloud.example device='' claim='' dry=''\n"
             "token=$STATE/pipe\nread_token\nwait\nsecboxctl() { cat; }\nlast_screen\n")
    p = run_part(lab, shell, calls, "", {})[0]
    assert p.returncode == 0 and '"boot":"sbe_many"' in p.stdout, p


@pytest.mark.parametrize("shell", SHELLS)
def test_whose_containers_stay_is_told_before_they_lose_their_podman(lab, shell):
    calls = "podman_user() {{ echo {}; }}\npurge={} bundle=''\nsay_what_goes\n"
    ours = run_part(lab, shell, calls.format("lab-box", 1), "user lab-box\n", {}, SOMEBODY.format("SecBox containers"))[0]
    assert ours.returncode == 0 and "ALL CONTAINERS go" in ours.stdout and " stay" not in ours.stdout, ours
    for user, made, podman in (("lab-box", "", "sudo -iu lab-box podman"), ("lab-box", "user lab-box\n", "sudo -iu lab-box podman"),
                               ("root", "", "podman"), ("", "", "podman")):
        p = run_part(lab, shell, calls.format(user, 1), made, {}, SOMEBODY.format(""))[0]
        assert p.returncode == 0 and f"images of user {user or 'root'} stay" in p.stdout and "ALL CONTAINERS" not in p.stdout, p
        assert f"    {podman} rm --all --force --volumes; {podman} volume rm" in p.stdout, p
        p = run_part(lab, shell, calls.format(user, ""), made, {}, SOMEBODY.format(""))[0]
        assert p.returncode == 0 and f"but for containers of user {user or 'root'}." in p.stdout and "ALL" not in p.stdout, p


@pytest.mark.parametrize("shell", SHELLS)
def test_a_podman_user_that_is_not_there_is_not_taken_for_root(lab, shell):
    calls = ("ENV_FILE=$STATE/env\necho 'PODMAN_USER=lab-ghost' >$ENV_FILE\npurge={} bundle=''\npodman_user\nsay_what_goes\n")
    for made, somebody in (("", ""), ("user lab-box\n", SOMEBODY.format("SecBox containers"))):
        p = run_part(lab, shell, calls.format(1), made, {}, somebody)[0]
        assert p.returncode == 0 and "names lab-ghost, and there is no such user" in p.stdout, p
        assert "of user root" not in p.stdout and "ALL CONTAINERS" not in p.stdout and "podman rm" not in p.stdout, p
        p = run_part(lab, shell, calls.format("''"), made, {}, somebody)[0]
        assert p.returncode == 0 and "but for containers of users that the installer has not made." in p.stdout, p
    there = calls.replace("lab-ghost", "lab-box")
    p = run_part(lab, shell, there.format(1), "", {}, SOMEBODY.format(""))[0]
    assert p.returncode == 0 and "images of user lab-box stay" in p.stdout and "sudo -iu lab-box podman rm" in p.stdout, p


USAGE = [
    (["--frob"], "--frob is not known"), (["--purge"], "--uninstall"),
    (["--channel", "../x"], "--channel"), (["--channel"], "needs a value"), (["--lock-wait", "soon"], "seconds"),
    (["--bootstrap", "/dev/null"], "--device"), (["--device", "a"], "--bootstrap"),
    (["--device", "a b", "--bootstrap", "-"], "letters"),
    (["--claim", "-", "--bootstrap", "-", "--device", "a"], "not both"),
]


@pytest.mark.parametrize("shell", SHELLS)
def test_without_containers(lab, shell):
    p = run(lab, shell, "--dry-run", "--host-mode")
    check(p, 0, "without containers")
    assert "packages   secbox secbox-agent secbox-recovery" in p.stdout and "podman" not in p.stdout.partition("What is done")[2], p
    box = "#!/bin/sh\ncase \"$*\" in *Architecture*) echo amd64 ;; *secbox-agent) echo installed ;; *) exit 1 ;; esac\n"
    p = run(lab, shell, "--dry-run", "--host-mode", stand_in={"dpkg-query": box})
    assert p.returncode == 2 and "whose services are containers" in p.stderr, p


@pytest.mark.parametrize("shell", SHELLS)
def test_usage(lab, shell):
    for args, sentence in USAGE:
        p = run(lab, shell, "--dry-run", *args)
        assert p.returncode == 2 and sentence in p.stderr and "Checks" not in p.stdout, p
    for args in (["--claim", "-"], ["--bootstrap", "-", "--device", "a"]):
        p = run(lab, shell, "--dry-run", *args, piped=True)
        assert p.returncode == 2 and "standard input is this script" in p.stderr and "Checks" not in p.stdout, p
        check(run(lab, shell, "--dry-run", *args), 0, "What is done")
    many, one = put(lab.folder, "many", "sbe_token\n"), put(lab.folder, "one", "sbb_token\n")
    check(run(lab, shell, "--dry-run", "--bootstrap", many), 0, "What is done")
    assert run(lab, shell, "--dry-run", "--bootstrap", one).returncode == 2
    for args, code in ((["--claim", "/nonexistent"], 26), (["--offline", "/nonexistent"], 25)):
        check(run(lab, shell, "--dry-run", *args), code, "/nonexistent: cannot be read")
    for url in ("cloud.example", "https://a'b", "https://a b", "https://$(id)"):
        p = run(lab, shell, cloud=url)
        assert p.returncode == 2 and "--cloud" in p.stderr, p
    p = run(lab, shell, "--help")
    assert p.returncode == 0 and set(re.findall(r"--[a-z-]+", p.stdout)) >= {"--dry-run", "--offline", "--uninstall", "--claim"}


def test_a_copy_without_a_key_installs_nothing(lab):
    bare = types.SimpleNamespace(folder=lab.folder, cloud=lab.cloud, path=put(lab.folder, "bare", script("@KEY@")))
    p = run(bare, "dash")
    assert p.returncode == 2 and "no key" in p.stderr, p


@pytest.mark.parametrize("shell", SHELLS)
def test_bundles(lab, shell):
    for name, text in (("junk", "junk"), ("empty", "")):
        check(run(lab, shell, "--dry-run", "--offline", put(lab.folder, name, text)), 25, "is no bundle")
    for inside in ("apt", "repo/apt"):
        tree = tempfile.mkdtemp(dir=lab.folder)
        put(tree, f"{inside}/dists/stable/InRelease", SIGNED)
        path = os.path.join(lab.folder, "bundle.tar")
        subprocess.run(["tar", "-C", tree, "-cf", path, inside.split("/", maxsplit=1)[0]], check=True)
        check(run(lab, shell, "--dry-run", "--offline", path, cloud="https://nothing.invalid"), 0, "bundle: ")
        check(run(lab, shell, "--dry-run", "--channel", "edge", "--offline", path), 25, "channel edge")


def make_half(lab):
    """A bundle whose second half is missing, and the whole one."""
    tree = tempfile.mkdtemp(dir=lab.folder)
    put(tree, "apt/dists/stable/InRelease", SIGNED)
    put(tree, "apt/pool/package.deb", "package" * 10000)
    whole, half = os.path.join(lab.folder, "whole.tar"), os.path.join(lab.folder, "half.tar")
    subprocess.run(["tar", "-C", tree, "--sort=name", "-cf", whole, "apt"], check=True)
    with open(whole, "rb") as f, open(half, "wb") as to:
        to.write(f.read(os.path.getsize(whole) // 2))
    return half, whole


@pytest.mark.parametrize("shell", SHELLS)
def test_half_a_bundle(lab, shell):
    half, whole = make_half(lab)
    p = run(lab, shell, "--dry-run", "--offline", whole)
    check(p, 0, "bundle: ")
    assert "unattended-upgrades" not in p.stdout, "it would come from a network"
    check(run(lab, shell, "--dry-run", "--offline", half), 25, "is no bundle .*: it is damaged")
    for bundle, channel, sentence in ((half, "stable", "half.tar cannot be unpacked: it is damaged, or the disk is full"),
                                      (whole, "edge", "whole.tar has no packages of channel edge")):
        p = run_part(lab, shell, f"bundle={bundle} channel={channel}\nunpack_bundle\n", "", {})[0]
        assert p.returncode == 25 and sentence in p.stderr, p


@pytest.mark.parametrize("shell", SHELLS)
def test_a_bundle_has_debians_packages_for_one_kind_of_machine(lab, shell):
    calls = ("mkdir -p $STATE/repo\necho '12 amd64' >$STATE/repo/debian\ndpkg() {{ echo {1}; }}\nos_word() {{ echo {0}; }}\n"
             "bundle={2}\ncomponents\n")
    for release, processor, bundle, expected in (("12", "amd64", "/b.tar", "main debian"), ("13", "amd64", "/b.tar", "main"),
                                                 ("12", "arm64", "/b.tar", "main"), ("12", "amd64", "''", "main")):
        p = run_part(lab, shell, calls.format(release, processor, bundle), "", {})[0]
        assert (p.returncode, p.stdout) == (0, expected + "\n"), p


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_in_the_bundle_is_taken_from_nowhere_else(lab, shell):
    """apt may know the same packages, or newer ones, of a mirror."""
    for components, alone in (("main debian", True), ("main", False)):
        calls = (f"bundle=/b.tar lock_wait=1 SOURCE=$STATE/source LOG=$STATE/log\nwait_for_dpkg() {{ :; }}\n"
                 f"components() {{ echo {components}; }}\nfetch_packages\ninstall_packages\n")
        p, _, told = run_part(lab, shell, calls, "", {"apt-get": ""})
        asked = [line for line in told.splitlines() if line.startswith("apt-get ") and " install " in line]
        assert p.returncode == 0 and len(asked) == 3, (p, told)
        for line in asked:
            assert ("Dir::Etc::sourceparts=- " in line and "/source " in line) == alone, line


@pytest.mark.parametrize("shell", SHELLS)
def test_a_bundle_asks_no_network_for_security_updates(lab, shell):
    """apt-cache knows the package, as where somebody has once run apt-get update."""
    told = {}
    for bundle in ("", "/bundle.tar"):
        calls = f"UPGRADES=$STATE/upgrades bundle={bundle}\nis_installed() {{ return 1; }}\nwanted_packages\nupgrade_by_itself\n"
        p = run_part(lab, shell, calls, "", {"apt-cache": ""})[0]
        assert p.returncode == 0, p
        told[bundle] = p.stdout.splitlines()
    assert told[""][:2] == ["secbox-agent secbox-recovery", "unattended-upgrades"] and "no source here" in told[""][2]
    assert told["/bundle.tar"][0] == "secbox-agent secbox-recovery" and len(told["/bundle.tar"]) == 2
    assert "install that package when there is a network" in told["/bundle.tar"][1]


@pytest.mark.parametrize("shell", SHELLS)
def test_half_a_download_does_nothing(lab, shell):
    """Piped into a shell that finds only commands that tell of themselves; the whole script is the proof that they do."""
    text = read_text(lab.path)
    told = os.path.join(lab.folder, "told")
    stand_in = tempfile.mkdtemp(dir=lab.folder)
    for name in ("mktemp", "id", "date", "mkdir", "rm", "apt-get", "dpkg", "dpkg-query", "curl", "sed", "cat", "awk", "tr", "grep"):
        put(stand_in, name, f"#!/bin/sh\necho {name} >>{told}\n")
    args = f"--unattended --cloud http://127.0.0.1:{free_port()}"
    binary = f"{shutil.which(shell.split()[0])} {' '.join(shell.split()[1:])}"
    argv = ["unshare", "-m", "sh", "-euc", f'{READ_ONLY}\nwhile read -r size; do\n'
            f'    head -c "$size" {lab.path} | (PATH={stand_in}; exec {binary} -s -- {args}) || true\n'
            f'    [ ! -e {told} ] || {{ echo "at $size"; exit 1; }}\ndone']
    sizes = [*range(0, len(text.encode()), 500), *range(len(text.encode()) - 30, len(text.encode()) - 1)]
    p = subprocess.run(argv, input="".join(f"{n}\n" for n in sizes), capture_output=True, text=True, check=False)
    assert p.returncode == 0 and p.stdout == "" and not os.path.exists(told), p
    argv[-1] = f"{READ_ONLY}\nPATH={stand_in}; exec {binary} {lab.path} {args}"
    subprocess.run(argv, capture_output=True, check=False)
    assert os.path.exists(told), "the whole of it does something"
    os.unlink(told)
