#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the test suites one after another and counts. The last line is always `N passed, N failed, N skipped`.

    tests/run.py all | SUITE… | --named NAME
"""
import concurrent.futures
import contextlib
import dataclasses
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests import named  # noqa: E402  pylint: disable=wrong-import-position
from tests.lab import box_image, compose_versions, isolate  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("BUILD", "build")
CORES = os.cpu_count() or 1
JOBS = str(CORES)
# Files of tests. They wait more than they compute, those of whole boxes less than the others.
AT_ONCE = {"tests/system": 2 * CORES + 1, "tests/integration": 3 * CORES + 1}
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
SANITIZED = (f"SAN={SANITIZERS}", "OPT=-O1 -g")  # compiled in 0.6 of the time of -O2
FUZZ_RUNS = os.environ.get("FUZZ_RUNS", "10000")
FUZZ_SECONDS = os.environ.get("FUZZ_SECONDS", "25")  # of the clock; beside tests those runs take twice as long as alone
STARVE_EVERY = 97  # of a fuzz target's allocations one fails in so many; `make check-faults` takes all
# Those that take minutes begin first, or two cores wait for the last of them at the end; of the others the size tells.
LONG = ("test_planted_faults", "test_whole_box", "test_recovery_units", "test_update_holds", "test_recovery", "test_matches",
        "test_podman_traps_secbox", "test_compose_cases", "test_revocations", "test_completion", "test_bench_format",
        "test_replicas")
# A hang must not hold CI for ever; no suite comes near it.
HANG_SECONDS = 25 * 60
# Hundreds of tests of timers and processes share two cores. One that fails beside the others and passes alone is told by its
# name and not counted as failed; more of them than this in one suite is a fault of the product or of the tests.
UNSTEADY_AT_MOST = 3
unsteady = []
NOTE = "note: "  # what tests/conftest.py puts in front of figures that tests have measured
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                 "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def clean_env(**more):
    """Without what an outer make says to its own children."""
    return {**{k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}, **more}


def make(*args):
    p = subprocess.run(["make", "-s", "-j", JOBS, *args], cwd=ROOT, env=clean_env(), check=False)
    return p.returncode == 0


def run_and_show(argv, env=None, quiet=False):
    """Exit code and output; the output is shown unless it is quiet and all went well."""
    with subprocess.Popen(argv, cwd=ROOT, env=clean_env(**(env or {})), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", start_new_session=True) as p:
        try:
            out, _ = p.communicate(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out = p.communicate()[0] + f"\nhung for {HANG_SECONDS} s\n"
        except BaseException:
            os.killpg(p.pid, signal.SIGKILL)
            raise
    if p.returncode or not quiet:
        sys.stdout.write(out)
    return p.returncode, out


def first_number(pattern, text):
    m = re.search(pattern, text)
    return int(m.group(1)) if m else 0


def lint(*arguments):
    code, out = run_and_show([sys.executable, "-B", "tests/lint/lint.py", *arguments])
    m = re.search(r"^lint: \d+ checks: (\d+) passed, (\d+) failed, (\d+) skipped$", out, re.M)
    if not m:
        return Count(failed=1)
    count = Count(*map(int, m.groups()))
    return count if count.failed or code == 0 else Count(failed=1)


def cmocka_count(code, out):
    """What one cmocka program says of itself; a program that ended early has one failure more."""
    groups = list(re.finditer(r"\[==========\] (?:[\w ./-]+: )?Running (\d+) test", out))
    count = Count(sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", out)),
                  sum(int(n) for n in re.findall(r"\[  FAILED  \] (?:[\w ./-]+: )?(\d+) test", out)),
                  sum(int(n) for n in re.findall(r"\[  SKIPPED \] (?:[\w ./-]+: )?(\d+) test", out)))
    ran = sum(int(m.group(1)) for m in groups)
    if (code and not count.failed) or ran == 0 or count.passed + count.failed + count.skipped < ran:
        count.failed += 1
    return count


def run_unit(build, env, source, tests=""):
    """One program of unit tests; of its tests those whose names hold `tests`."""
    name = os.path.basename(source)[:-2]
    chosen = {"TEST_FILTER": f"*{tests}*"} if tests else {}
    # of another processor: by what runs such programs here (installer/cross.sh)
    by = os.environ.get("UNIT_RUN", "").split()
    code, out = run_and_show([*by, os.path.join(ROOT, build, "tests", name)], {"CMOCKA_MESSAGE_OUTPUT": "stdout", **env, **chosen},
                             quiet=True)
    count = cmocka_count(code, out)
    if code == 0 and count.failed:
        sys.stdout.write(out)
    why = sorted(set(re.findall(r"(?m)^skipped: .*", out))) if count.skipped else []
    print("\n    ".join([f"  {name}: {count}", *why]), flush=True)
    return count


def sum_of(run_one, items, at_once):
    """What `run_one` counts for each of them."""
    total = Count()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for count in pool.map(run_one, items):
            total.add(count)
    return total


def unit_in(build, env, *make_args):
    if not make(f"BUILD={build}", *make_args, "unit-bins"):
        return Count(failed=1)
    # nearly all of the time is that of the few that wait for what must not happen
    return sum_of(lambda source: run_unit(build, env, source), sorted(glob.glob(os.path.join(ROOT, "tests/unit/test-*.c"))),
                  4 * CORES)


def unit():
    return unit_in(BUILD, {}, *os.environ.get("UNIT_MAKE", "").split())


def unit_asan():
    return unit_in(f"{BUILD}/asan", SANITIZER_ENV, *SANITIZED)


def compilers():
    """All of it built by each compiler, with its warnings and its hardening, and with the sanitizers."""
    count = Count()
    for what, compiler, arguments in (("gcc", "gcc", [f"BUILD={BUILD}"]), ("clang", "clang", [f"BUILD={BUILD}/clang"]),
                                      ("gcc, sanitizers", "gcc", [f"BUILD={BUILD}/asan", *SANITIZED])):
        if not shutil.which(compiler):
            print(f"  {compiler} is not installed: installer/deps.sh test")
            count.add(Count(skipped=1))
            continue
        built = make(f"CC={compiler}", *arguments, "all", "unit-bins")
        print(f"  {what}: {'passed' if built else 'failed'}")
        count.add(Count(passed=1) if built else Count(failed=1))
    return count


def tidy():
    if not shutil.which("clang-tidy"):
        print("  clang-tidy is not installed: installer/deps.sh test")
        return Count(skipped=1)
    return Count(passed=1) if make(f"BUILD={BUILD}", "tidy") else Count(failed=1)


def fuzz_corpus(source):
    """A target's name, and the folder of its inputs."""
    name = os.path.basename(source)[:-2]
    return name, os.path.join(ROOT, "tests/fuzz/corpus", name.removeprefix("fuzz-"))


def run_starved(build, source, every):
    """One target over its corpus, with one allocation of a run failing: the first, the one `every` later, and so on."""
    name, corpus = fuzz_corpus(source)
    code, out = run_and_show([os.path.join(ROOT, build, "bin", name), "-runs=0", "-timeout=60",
                              f"-artifact_prefix={os.path.join(ROOT, build)}/{name}-", corpus],
                             {**SANITIZER_ENV, "SECBOX_STARVE": str(every)}, quiet=True)
    injected = re.search(r"(?m)^([0-9]+) injected", out)
    wrong = 1 if code or not injected else 0  # one that does not say so was not starved
    print(f"  faults: memory, {name}: {injected.group(1) if injected else 0} injected, {wrong} wrong", flush=True)
    return Count(failed=wrong, passed=1 - wrong)


def run_fuzz(build, source):
    name, corpus = fuzz_corpus(source)
    with tempfile.TemporaryDirectory(prefix="secbox-fuzz-") as found:
        code, _ = run_and_show([os.path.join(ROOT, build, "bin", name), f"-runs={FUZZ_RUNS}",
                                f"-max_total_time={FUZZ_SECONDS}", "-timeout=60", "-rss_limit_mb=1024",
                                f"-artifact_prefix={os.path.join(ROOT, build)}/{name}-", found, corpus],
                               SANITIZER_ENV, quiet=True)
    print(f"  {name}: {'failed' if code else 'passed'}", flush=True)
    count = Count(failed=1) if code else Count(passed=1)
    count.add(run_starved(build, source, STARVE_EVERY))
    return count


def fuzz_with(run, sources):
    if not shutil.which("clang"):
        print("  clang is not installed: installer/deps.sh test")
        return Count(skipped=1)
    build = f"{BUILD}/fuzz"
    if not make(f"BUILD={build}", "CC=clang", "WARN=-Wall -Wextra -Werror", "HARDEN=",
                f"SAN=-fsanitize=fuzzer-no-link {SANITIZERS.removeprefix(' ')}", "fuzz-bins"):
        return Count(failed=1)
    return sum_of(lambda source: run(build, source),
                  sources or sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/fuzz-*.c"))), CORES)


def fuzz(sources=None):
    """Each target over its corpus, over some thousand mutations of it, and over the corpus with allocations that fail."""
    return fuzz_with(run_fuzz, sources)


def starved():
    """Each target over its corpus with each allocation failing in turn, or each FAULT_EVERY-th."""
    return fuzz_with(lambda build, source: run_starved(build, source, os.environ.get("FAULT_EVERY", "1")), None)


def failed_cases(report):
    return [case.get("name") for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None]


def count_report(report, code):
    """What a report of pytest says; it counts, not pytest's words."""
    total = Count()
    if not os.path.exists(report):
        print(f"  pytest ended with {code} and without a report")
        return Count(failed=1)
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        n = {k: int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped")}
        bad = n["failures"] + n["errors"]
        total.add(Count(max(n["tests"] - bad - n["skipped"], 0), bad, n["skipped"]))
    if code and not total.failed:
        total.failed += 1
    return total


class TestFile:
    """One file of tests in namespaces of its own. Its output is shown when it has ended, as one piece."""

    def __init__(self, path, reports, env, tests="", cases=()):
        self.path = path
        self.failed = []
        self.report = os.path.join(reports, os.path.basename(path)[:-3] + ".xml")
        self.begin = time.monotonic()
        self.output = tempfile.TemporaryFile("w+", errors="replace")
        argv = [sys.executable, "-B", "-m", "tests.lab.isolate", sys.executable, "-B", "-m", "pytest", "-q", "-ra", "--tb=short",
                "-p", "no:cacheprovider", f"--junitxml={self.report}", *(["-k", tests] if tests else []),
                *([f"{path}::{case}" for case in cases] or [path])]
        self.process = subprocess.Popen(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, preexec_fn=isolate.die_with_parent)

    def has_ended(self):
        if time.monotonic() - self.begin > HANG_SECONDS:
            print(f"  {self.path} hung for {HANG_SECONDS} s")
            self.stop()
        return self.process.poll() is not None

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def count(self):
        count = count_report(self.report, self.process.returncode)
        if count.failed and os.path.exists(self.report):
            self.failed = failed_cases(self.report)
        self.output.seek(0)
        text = self.output.read()
        if count.failed or count.skipped:
            sys.stdout.write(text)
        else:
            sys.stdout.writelines(f"  {line}\n" for line in text.splitlines() if line.startswith(NOTE))
        self.output.close()
        print(f"  {os.path.relpath(self.path, ROOT)}: {count} in {time.monotonic() - self.begin:.0f} s", flush=True)
        return count


def pytest_in(folder, build=BUILD, chosen=None, env=None):
    """Each file of tests in a pytest and, where possible, namespaces of its own, several at a time: they mostly wait."""
    reports = os.path.join(ROOT, build, f"reports-{os.path.basename(folder)}")
    shutil.rmtree(reports, ignore_errors=True)
    os.makedirs(reports)
    env = clean_env(BUILD=build, SECBOX_BIN=os.path.join(ROOT, build, "bin"), **(env or {}))
    # without root, or inside of other namespaces, all of them share one network
    at_once = AT_ONCE[folder] if os.geteuid() == 0 and not isolate.is_isolated() else 1
    tests = chosen or dict.fromkeys(glob.glob(os.path.join(ROOT, folder, "test_*.py")), "")
    waiting = sorted(tests, key=lambda path: (os.path.basename(path)[:-3] in LONG, os.path.getsize(path)))
    running, again, total = [], [], Count()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                path = waiting.pop()
                running.append(TestFile(path, reports, env, tests[path]))
            time.sleep(0.2)
            for test in [t for t in running if t.has_ended()]:
                running.remove(test)
                total.add(test.count())
                if test.failed:
                    again.append(test)
        total.add(again_alone(again, total, running, reports, env))
    finally:
        for test in running:
            test.stop()
    return total


def again_alone(tests, total, running, reports, env):
    """Runs the few tests that failed once more, nothing beside them: what their counts change."""
    change = Count()
    if not tests or sum(len(test.failed) for test in tests) > UNSTEADY_AT_MOST or \
       sum(len(test.failed) for test in tests) != total.failed:
        return change
    for first in tests:
        print(f"  once more, alone: {' '.join(first.failed)}", flush=True)
        second = TestFile(first.path, reports, env, cases=first.failed)
        running.append(second)
        while not second.has_ended():
            time.sleep(0.2)
        running.remove(second)
        count = second.count()
        if count.passed == len(first.failed) and not count.failed + count.skipped:
            unsteady.extend(f"{os.path.relpath(first.path, ROOT)}::{case}" for case in first.failed)
            change.add(Count(passed=count.passed, failed=-count.passed))
    return change


def sanitizer_reports(folder):
    """One failure for each program that the sanitizers had something to say of. A look for leaks that SIGKILL has cut off says
    nothing of leaks."""
    count = Count()
    for path in sorted(glob.glob(os.path.join(folder, "report.*"))):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if re.fullmatch(r"(==[\w.-]+==\d+==Unable to get registers from thread \d+\.\n)+", text):
            continue
        print(f"  {os.path.basename(path)}:\n{text[:8000]}")
        count.failed += 1
    return count


PEERS = ("ws-echo-server", "ws-client", "render-tool", "mux-peer", "many-boxes", "strangers", "way", "pace")


def sanitized(folder):
    """A folder of tests once more, run against programs with sanitizers in them."""
    build = f"{BUILD}/asan"
    logs = os.path.join(ROOT, build, "logs")
    for path in (logs, os.path.join(ROOT, build, "bin")):  # linked anew: programs may be there that know no folder
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(logs)
    os.chmod(logs, 0o1777)  # for those that drop their privileges
    peers = [f"{build}/tests/{name}" for name in PEERS]
    for path in peers:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(ROOT, path))
    flags = [*SANITIZED, f"SAN_LOGS={logs}"]
    if not make(f"BUILD={build}", *flags, "all", *peers):
        return Count(failed=1)
    # tests that call make themselves must not have everything compiled anew beside the others
    count = pytest_in(folder, build, env={"SECBOX_MAKE_WORDS": shlex.join(flags)})
    count.add(sanitizer_reports(logs))
    return count


def fetch_compose_versions():
    for version in compose_versions.SUITES:  # while there is a network
        why = compose_versions.fetch(version)
        if why:
            print(f"  podman-compose {version}: {why}")


def integration_asan():
    prepare_pytest("tests/integration")
    return sanitized("tests/integration")


def integration():
    prepare_pytest("tests/integration")
    return pytest_in("tests/integration")


def system():
    prepare_pytest("tests/system")
    return pytest_in("tests/system")


def prepare_pytest(folder):
    """What the tests of a folder need that the machine may not have yet; while there is a network."""
    fetch_compose_versions()
    for kind in box_image.USUAL if folder == "tests/system" else ():
        why = box_image.prepare(kind)
        if why:
            print(f"  no whole machine ({kind}): {why}")


def named_tests(name):
    """The tests of any suite whose names hold `name`, as the programs are installed, without sanitizers."""
    count = Count()
    if named.lint(name):
        count.add(lint("--named", name))
    units = named.unit(name)
    if units and not make(f"BUILD={BUILD}", *(f"{BUILD}/tests/{os.path.basename(path)[:-2]}" for path in units)):
        return Count(failed=1)
    for path, tests in units.items():
        count.add(run_unit(BUILD, {}, path, tests))
    sources = named.fuzz(name)
    if sources:
        count.add(fuzz(sources))
    for folder in ("tests/integration", "tests/system"):
        chosen = named.pytest_files(folder, name)
        if chosen and not make(f"BUILD={BUILD}", "all", *(f"{BUILD}/tests/{peer}" for peer in PEERS)):
            return Count(failed=1)
        if chosen:
            prepare_pytest(folder)
            count.add(pytest_in(folder, chosen=chosen))
    return count


SUITES = {"lint": lint, "unit": unit, "compilers": compilers, "tidy": tidy, "fuzz": fuzz, "system": system,
          "unit-asan": unit_asan, "integration": integration, "integration-asan": integration_asan,
          "starved": starved}
# `all` has their tests already: the integration tests run against sanitized programs, the system tests against those that
# are installed. Both once more would double the longest part of it.
ON_REQUEST = {"integration", "starved"}
# They only compute, and tests mostly wait: they begin with the system tests, and go on beside what follows. Only the first of
# them is waited for before: what it builds, those with sanitizers run.
BESIDE = ("compilers", "tidy", "fuzz")
AFTER_COMPILERS = ("unit-asan", "integration-asan")


def take_what_is_left():
    """Of the processor: the nice value of the process, and of its session where the kernel groups by sessions."""
    isolate.die_with_parent()
    os.setsid()
    os.nice(19)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as f:
        f.write("19")


class Beside:
    """Suites that run in a process of their own, beside another. Their output is shown when they have ended, as one piece."""

    def __init__(self, names):
        self.names = names
        self.output = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen([sys.executable, "-B", os.path.join(ROOT, "tests/run.py"), *names], cwd=ROOT,
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
                                        preexec_fn=take_what_is_left)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()

    def _so_far(self):
        """What they have said; without moving the place in the file, which is theirs, too."""
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0)

    def wait_for(self, name):
        """Until this one, which is not the last, has ended."""
        next_one = f"== {self.names[self.names.index(name) + 1]}\n".encode()
        while self.process.poll() is None and next_one not in self._so_far():
            time.sleep(0.5)

    def rows(self):
        """Waits for them."""
        code = self.process.wait()
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        rows, said = rows_of(text, self.names)
        print(said)
        if code and not any(count.failed for _, count, _ in rows):
            rows[-1][1].failed += 1
        return rows


def rows_of(text, names):
    """What the last lines of a run say of each of the suites, and the rest of its text."""
    said, _, summary = text.rpartition("\n\n")
    rows = []
    for name in names:
        m = re.search(rf"^{re.escape(name)} +(\d+) passed, (\d+) failed, (\d+) skipped in (\d+) s$", summary, re.M)
        rows.append((name, Count(*map(int, m.groups()[:3])), int(m[4])) if m else (name, Count(failed=1), 0))
    return rows, said


def suites_of(arguments):
    """Name → function, by the arguments."""
    if len(arguments) == 2 and arguments[0] == "--named":
        return {f"*{arguments[1]}*": lambda: named_tests(arguments[1])}
    names = [n for n in SUITES if n not in ON_REQUEST] if arguments in ([], ["all"]) else arguments
    unknown = [n for n in names if n not in SUITES]
    if unknown:
        raise LookupError(f"unknown suite {unknown[0]}; known: {' '.join(SUITES)}")
    return {name: SUITES[name] for name in names}


def run_suite(name, suite):
    print(f"== {name}", flush=True)
    begin = time.monotonic()
    try:
        count = suite()
    except OSError as e:
        print(f"  {e}")
        count = Count(failed=1)
    if count.passed + count.failed == 0 and not count.skipped:
        print(f"  {name} ran nothing")
        count.failed += 1
    return name, count, time.monotonic() - begin


def run_suites(suites):
    """A row each: name, count, seconds."""
    beside, rows = None, []
    together = BESIDE if "system" in suites and suites.keys() >= set(BESIDE) else ()
    try:
        for name, suite in suites.items():
            if name in together:
                continue
            if name == "system" and together:
                beside = Beside(together)
            if beside and name in AFTER_COMPILERS:
                beside.wait_for("compilers")
            rows.append(run_suite(name, suite))
        if beside:
            rows += beside.rows()
    finally:
        if beside:
            beside.stop()
    return rows


def main():
    try:
        suites = suites_of(sys.argv[1:])
    except LookupError as e:
        print(e.args[0], file=sys.stderr)
        return 2
    os.chdir(ROOT)
    total = Count()
    rows = run_suites(suites)
    print()
    for name, count, seconds in rows:
        print(f"{name:12} {count} in {seconds:.0f} s")
        total.add(count)
    for name in unsteady:
        print(f"unsteady: {name} failed beside other tests and passed alone; find out why")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # a shell's background jobs ignore it, and so would all programs under test
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
