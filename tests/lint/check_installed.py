# SPDX-License-Identifier: MIT
"""What gets installed: units, scripts, hardened programs."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

from source import ROOT, of_kind, text

# exposure by systemd-analyze security, 0 is best; what each may have at most
EXPOSURE_MAX = {"mgmt-link.service": 1.1, "secbox-pairing.service": 1.2, "secbox-gateway.service": 1.1, "mgmt-agent.service": 6.0,
                "secbox-gateway-signer.service": 1.1, "recovery-agent.service": 1.1,
                # root's own shell, and what does one thing for root
                "secbox-recovery-sshd.service": 9.6, "recovery-reboot.service": 2.5, "recovery-sshd-restart.service": 2.5,
                # dpkg, which changes the system
                "recovery-agent-keep.service": 9.6, "recovery-agent-back.service": 9.6, "recovery-package-boot.service": 9.6,
                "mgmt-package-boot.service": 9.6,
                # what it starts again are containers, which would inherit all of it
                "mgmt-change-guard.service": 9.6,
                "secbox.service": 1.2, "relay-client.service": 1.2, "secbox-prepare.service": 2.5, "secbox-release.service": 2.5,
                "secbox-principals.service": 2.5, "secbox-paths.service": 2.5}
# these bind the agent's control group, in which there may be containers that an earlier version started
GROUP_WIDE = ["MemoryMax", "MemoryHigh", "TasksMax", "CPUQuota", "IPAddressDeny", "DevicePolicy", "DeviceAllow", "PrivateDevices",
              "ProtectClock"]


def _units():
    return of_kind(".service", below=["installer/units/"])


def _analyze(*args):
    if not shutil.which("systemd-analyze"):
        raise LookupError("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *args], cwd=ROOT, capture_output=True, text=True, check=False)


def units_verify():
    """With the programs in place, systemd has nothing to say about the units."""
    with tempfile.TemporaryDirectory() as folder:
        for unit in [*_units(), *of_kind(".socket", below=["installer/units/"])]:
            content = re.sub(r"(?m)^(Exec\w+=)\S+", rf"\1{shutil.which('true')}", text(unit))
            path = os.path.join(folder, os.path.basename(unit))
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        for unit in _units():
            p = _analyze("verify", "--man=no", os.path.join(folder, os.path.basename(unit)))
            for line in (p.stdout + p.stderr).splitlines():
                if os.path.basename(unit) in line:
                    yield f"{unit}: {line.replace(folder + '/', '')}"


def units_are_tight():
    for unit in _units():
        most = EXPOSURE_MAX.get(os.path.basename(unit))
        if most is None:
            yield f"{unit}: give it a limit in tests/lint/check_installed.py"
            continue
        p = _analyze("security", "--offline=true", "--no-pager", os.path.join(ROOT, unit))
        m = re.search(r"exposure level for \S+: ([0-9.]+)", p.stdout)
        if not m:
            yield f"{unit}: systemd-analyze security: {p.stderr.strip()}"
        elif float(m.group(1)) > most:
            yield f"{unit}: exposure {m.group(1)}, at most {most}"


def agent_leaks_nothing_into_containers():
    for unit in _units():
        if os.path.basename(unit) != "mgmt-agent.service":
            continue
        if not re.search(r"(?m)^KillMode=process$", text(unit)):
            yield f"{unit}: without KillMode=process a restart of the agent ends containers"
        for directive in GROUP_WIDE:
            if re.search(rf"(?m)^{directive}=(?!infinity$)", text(unit)):
                yield f"{unit}: {directive}= would bind containers that an earlier version started there"


def agent_can_ask_for_the_clock():
    """Whether an order has expired is judged by the box's own clock where the kernel says that it is kept right. @system-service
    does not hold that question, and a refusal of it looks like a clock that nothing keeps."""
    for unit in _units():
        if os.path.basename(unit) == "mgmt-agent.service" and not \
                re.search(r"(?m)^SystemCallFilter=adjtimex clock_adjtime$", text(unit)):
            yield f"{unit}: SystemCallFilter= must let it call adjtimex(2)"


def scripts_parse():
    for path in of_kind(".sh"):
        p = subprocess.run(["sh", "-n", path], cwd=ROOT, capture_output=True, text=True, check=False)
        if p.returncode:
            yield p.stderr.strip()
        if not os.access(os.path.join(ROOT, path), os.X_OK):
            yield f"{path}: is not executable"


def scripts_make_nothing_that_others_can_read():
    """A mode that is narrowed after a file was made came too late for a secret: make it root's alone, then open it."""
    for path in of_kind(".sh", below=["installer/recovery/"]):
        if re.search(r'(?<![0-9&])> ?"', text(path)) and not re.search(r"(?m)^umask 077$", text(path)):
            yield f"{path}: say umask 077, and chmod afterwards what others may read"
    for path in of_kind(".sh", below=["installer/"]):
        for m in re.finditer(r"\bchmod (?:-\w+ )*(?:0?[4-7]00|(?:go|g|o|a)-\w+|go=)(?= )", text(path)):
            before = re.findall(r"\bumask (\d+)", text(path)[:m.start()])
            if "077" not in before:
                line = text(path).count("\n", 0, m.start()) + 1
                yield f"{path}:{line}: {m.group(0)} comes after the file: umask 077 before it"


def programs_are_hardened():
    """PIE, full RELRO, no executable stack, stack protector: of what is built."""
    programs = glob.glob(os.path.join(ROOT, "build", "bin", "*"))
    if not programs or not shutil.which("readelf"):
        raise LookupError("nothing is built, or readelf is not installed")
    for path in programs:
        out = subprocess.run(["readelf", "-hldW", "--dyn-syms", path], capture_output=True, text=True, check=False).stdout
        for what, pattern in (("PIE", r"Type:\s+DYN"), ("RELRO", r"GNU_RELRO"), ("BIND_NOW", r"BIND_NOW|FLAGS_1.*NOW"),
                              ("a stack that is not executable", r"GNU_STACK.*RW "),
                              ("the stack protector", r"__stack_chk_fail")):
            if not re.search(pattern, out):
                yield f"build/bin/{os.path.basename(path)}: has no {what}"


CHECKS = [units_verify, units_are_tight, agent_leaks_nothing_into_containers, agent_can_ask_for_the_clock, scripts_parse,
          scripts_make_nothing_that_others_can_read, programs_are_hardened]
