# SPDX-License-Identifier: MIT
"""Every command in the README and the docs names a target, program, verb, option and file that exist."""
import functools
import glob
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests import run
from tests.conftest import require_programs
from tests.integration.test_man_pages import help_of, names_in_help
from tests.lab.util import ROOT, make_words

DOCUMENTS = ["README.md", *sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "docs/*.md")))]
PROGRAMS = ["mgmt-agent", "mgmt-link", "mgmt-worker", "recovery-agent", "secbox", "secboxctl", "secbox-fleet", "secbox-gateway"]
DEVICE = "caseta5"


class Unknown(Exception):
    """The command names something that does not exist."""


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blocks(path):
    """[(line number of the first command, [command, …])] of the ```sh blocks."""
    found = []
    text = text_of(path)
    for m in re.finditer(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        commands = [c for c in m.group(1).replace("\\\n", " ").splitlines() if shlex.split(c, comments=True)]
        found.append((text[:m.start()].count("\n") + 2, commands))
    return found


def commands():
    return [(f"{path}:{line}", c) for path in DOCUMENTS for line, block in blocks(path) for c in block]


def need(fact, sentence):
    if not fact:
        raise Unknown(sentence)


def need_paths(args):
    """What begins like a folder of the tree is there."""
    folders = {name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and not name.startswith("build")}
    for arg in args:
        if arg.split("/", 1)[0] in folders:
            need(os.path.exists(os.path.join(ROOT, arg)), f"there is no {arg}")


@functools.cache
def why_not_made(*targets):
    """What make says against them, or None; several pages name the same ones."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(make_words("-n", *targets), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return None if p.returncode == 0 else p.stderr


def check_make(args):
    for name in [a.split("=", 1)[0] for a in args if "=" in a]:
        text = "".join(map(text_of, ["Makefile", "installer/install.mk", "tests/demo.mk", "tests/tests.mk"]))
        need(re.search(rf"\$\({name}\)|^{name}\b|,{name}\)", text, re.M), f"make knows no {name}")
    targets = [a for a in args if "=" not in a]
    why = why_not_made(*targets)
    need(why is None, f"make {' '.join(targets)}: {why}")


def check_program(name, args):
    require_programs(name)
    verbs, options = names_in_help(help_of(name)) if "Verbs:" in help_of(name) else (set(), set())
    args = args[:args.index("--")] if "--" in args else args  # what stands behind it is another program's
    for option in [a for a in args if a.startswith("--")]:
        need(option[2:].split("=", 1)[0] in options, f"{name} has no {option}")
    words = " ".join(a for a in args if not a.startswith("--"))
    need(not words or any(f"{words} ".startswith(f"{verb} ") for verb in verbs), f"{name} has no verb {words}")


def check_python(args):
    if args[:2] == ["-m", "tests.lab.isolate"]:
        check_words(args[2:])
    elif args[:2] == ["-m", "pytest"]:
        p = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", *args[2:]],
                           cwd=ROOT, capture_output=True, text=True, check=False)
        need(p.returncode == 0, p.stdout[-500:])
    else:
        need(args and os.path.exists(os.path.join(ROOT, args[0])), f"there is no {args[:1]}")


def check_deps(args):
    groups = re.findall(r"^    (\w+)\) packages=", text_of("installer/deps.sh"), re.M)
    need(groups and set(args) <= set(groups), f"deps.sh knows {groups}, not all of {args}")


def check_systemctl(args):
    need(args and args[0] in ("daemon-reload", "enable", "disable", "reload", "reload-or-restart", "restart",
                              "stop"),
         f"systemctl {args}")
    names = [a for a in args[1:] if not a.startswith("--")]
    for unit in [a if a.endswith(".socket") else f"{a.removesuffix('.service')}.service" for a in names]:
        need(unit in ("ssh.service", "nginx.service", "haproxy.service", "caddy.service") or
             os.path.exists(os.path.join(ROOT, "installer/units", unit)), f"there is no unit {unit}")


def check_demo(args):
    verbs = re.findall(r"^    demo\.py (\w+)", text_of("tests/demo/demo.py"), re.M)
    need(args and args[0] in verbs, f"demo.py knows {verbs}, not {args}")
    if args[0] == "shell" and args[1:]:
        check_words(args[1:])


def check_run(args):
    need(set(args) <= {"all", *run.SUITES}, f"tests/run.py knows {list(run.SUITES)}, not all of {args}")


def check_installer(args):
    """`curl … | sh -s -- OPTIONS`, `sh secbox OPTIONS`: of the script that the gateway serves."""
    usage = text_of("installer/get-secbox/1-options.sh").partition("END\n")[0]
    need("secbox" in args or any(arg.endswith("/install/secbox") for arg in args), f"what does {args} run?")
    for option in [arg for arg in args[args.index("--") + 1 if "--" in args else 0:] if arg.startswith("--")]:
        need(f"  {option} " in usage or f" {option} " in usage, f"the installer has no {option}")


def check_apt(args):
    ours = re.findall(r"^Package: (\S+)", text_of("installer/debian/control"), re.M)
    for package in [arg for arg in args if arg.startswith("secbox")]:
        need(package in ours, f"there is no package {package}")


CHECKS = {"make": check_make, "/usr/bin/python3": check_python, "installer/deps.sh": check_deps, "systemctl": check_systemctl,
          "tests/demo/demo.py": check_demo, "tests/run.py": check_run,
          "curl": check_installer, "sh": check_installer, "less": check_installer, "apt-get": check_apt,
          "journalctl": lambda args: check_systemctl(["restart", *args[args.index("-u") + 1:][:1]]),
          **dict.fromkeys(["git", "cd", "cp", "mkdir", "install", "useradd", "editor", "sudoedit", "systemd-sysusers",
                           "systemd-tmpfiles", "createuser", "createdb", "dropuser", "dropdb", "pg_dump", "pg_restore",
                           "userdel", "groupdel", "umount", "tar", "chown", "rm", "podman", "scp", "loginctl", "echo", "tee"],
                          need_paths)}


def check_words(words):
    """Raises Unknown unless everything that the command names is there."""
    known_variables = text_of("tests/run.py") + text_of("tests/lab/util.py") + text_of("tests/unit/test-env.c")
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name = words[0].split("=", 1)[0]
        need(f'"{name}"' in known_variables, f"nothing reads {name}")
        words = words[1:]
    if words[0] == "sudo":
        words = words[3:] if words[1] in ("-u", "-iu") else words[1:]
    name, args = words[0], words[1:]
    built = re.fullmatch(r"build/(?:(bin)|tests|fuzz/bin)/([\w-]+)", name)
    if built and not built.group(1):
        folder = "unit" if built.group(2).startswith("test-") else "fuzz"
        need(os.path.exists(os.path.join(ROOT, "tests", folder, built.group(2) + ".c")), f"there is no {name}")
        need_paths(args)
    elif (built.group(2) if built else name) in PROGRAMS:
        check_program(built.group(2) if built else name, args)
    else:
        need(name in CHECKS, f"{name} is not known here")
        CHECKS[name](args)


@pytest.mark.parametrize("where, command", commands())
def test_command_names_what_exists(where, command):
    try:
        check_words(shlex.split(command, comments=True))
    except Unknown as e:
        pytest.fail(f"{where}: {command}: {e}", pytrace=False)


@pytest.mark.parametrize("command", [
    "make nonsense", "make demo NONSENSE=1", "NONSENSE=1 make", "nonsense", "sudo nonsense", "installer/deps.sh nonsense",
    "secboxctl nonsense", "secboxctl env nonsense", "secbox-fleet push box file --nonsense", "sudo secboxctl devices list",
    "sudo systemctl enable --now nonsense", "journalctl -u nonsense", "build/tests/test-nonsense", "build/fuzz/bin/fuzz-nonsense",
    "install -m 600 env/examples/nonsense.env /etc", "/usr/bin/python3 -m pytest tests/system/nonsense.py",
    "/usr/bin/python3 -m tests.lab.isolate /usr/bin/python3 -m pytest tests/system -k unheard_of", "tests/run.py nonsense",
    "curl -fsSL https://cloud.example/install/secbox | sh -s -- --nonsense", "sh secbox --nonsense", "curl https://nonsense",
    "sudo apt-get install secbox-nonsense",
    "/usr/bin/python3 tests/nonsense.py", "tests/demo/demo.py nonsense", "tests/demo/demo.py shell nonsense",
])
def test_what_does_not_exist_is_found(command):
    with pytest.raises(Unknown):
        check_words(shlex.split(command))


def test_there_are_commands():
    assert {path for path in DOCUMENTS if blocks(path)} >= {"README.md", "docs/hacking.md"}


def test_the_tour_names_every_folder_and_no_other():
    named = re.findall(r"^\| `([\w./-]+)/` \|", text_of("README.md"), re.M)
    out = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                         check=False).stdout
    if not out:
        pytest.skip("this tree is not a git repository")
    folders = {os.path.dirname(path) for path in out.splitlines()}
    for name in named:
        assert os.path.isdir(os.path.join(ROOT, name)), f"there is no {name}"
    for folder in folders - {""}:
        assert any(f"{folder}/".startswith(f"{name}/") for name in named), f"the README does not say what {folder} is"


def test_install_puts_everything_where_the_units_look_for_it(folder):
    require_programs(*PROGRAMS)
    p = subprocess.run(make_words(f"DESTDIR={folder}", "install"), cwd=ROOT, capture_output=True,
                       text=True, check=False, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    assert p.returncode == 0, p.stderr
    units = glob.glob(os.path.join(folder, "usr/lib/systemd/system/*.service"))
    assert units
    for unit in units:
        with open(unit, encoding="utf-8") as f:
            wanted = re.findall(r"^Exec\w+=(\S+)", f.read(), re.M)
        for path in wanted:  # ours, or Debian's; a release's are the package's before the first one
            path = path.replace("/opt/tucomunidad/current/", "/usr/")
            assert os.access(folder + path, os.X_OK) or os.access(path, os.X_OK), f"{unit}: {path}"
    for name in ("secboxctl", "secbox-fleet"):
        assert os.access(os.path.join(folder, "usr/bin", name), os.X_OK)
