#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shows SecBox's main job on this machine: a private cloud, one box, and pushes to it.

    demo.py run              the demo; removes everything behind itself
    demo.py keep             the same, but leaves it running
    demo.py shell [COMMAND]  a shell, or one command, inside a demo that was left running
    demo.py stop             ends a demo that was left running
"""
import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.demo import story  # noqa: E402  pylint: disable=wrong-import-position
from tests.demo.show import DemoError, heading  # noqa: E402  pylint: disable=wrong-import-position
from tests.lab import isolate  # noqa: E402  pylint: disable=wrong-import-position

KEPT = "\0kept"      # the line by which the demo tells its starter that it is done and stays
STATE = "demo.json"  # in the run folder of a demo that stays
PLACE = "/mnt"       # in the demo's own mount namespace only: short paths to read
PATIENCE_SECONDS = 120


def fail(sentence):
    print(f"\ndemo: {sentence}", file=sys.stderr, flush=True)
    return 1


def become_root():
    """mgmt-agent is a root program, and only root can make the namespaces."""
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise DemoError("run this as root: the demo makes namespaces of its own, and there is no sudo here")
    print("demo: needs root for namespaces of its own; asking sudo", flush=True)
    kept = [f"{k}={os.environ[k]}" for k in ("SECBOX_BIN", "TERM") if k in os.environ]
    os.execvp("sudo", ["sudo", "env", *kept, sys.executable, "-B", os.path.abspath(__file__), *sys.argv[1:]])


def end_on_signals():
    """The first signal ends the demo in an orderly way; further ones cannot disturb the cleaning."""
    def on_signal(number, _):
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        print("\ndemo: stopped; removing what it made", file=sys.stderr, flush=True)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)


def inside_argv(keep):
    return [sys.executable, "-B", os.path.abspath(__file__), "--inside", "keep" if keep else "run"]


def isolated(keep):
    """Runs the story in namespaces of its own; nothing of it outlives this call."""
    end_on_signals()
    env = dict(os.environ, SECBOX_DEMO_OWNER=str(os.getpid()), LANG="C.UTF-8", PYTHONIOENCODING="utf-8")
    return isolate.run(inside_argv(keep), env=env, own_session=True)


def inside(keep):
    """In the namespaces. Signals are the starter's business: when it ends, all of this does."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = tempfile.mkdtemp(prefix="secbox-demo-")
    os.chmod(folder, 0o755)
    subprocess.run(["mount", "--bind", folder, PLACE], check=True)
    demo = story.Story(PLACE)
    begin = time.monotonic()
    try:
        demo.tell()
        heading(f"Done in {time.monotonic() - begin:.0f} s: every line marked [ok] was checked")
        if keep:
            stay(demo)
        return 0
    except BrokenPipeError:
        return 1
    except Exception as e:  # pylint: disable=broad-except
        return fail(story.sentence_of(e))
    finally:
        with contextlib.suppress(Exception):
            demo.close()
        subprocess.run(["umount", "-l", PLACE], check=False)
        isolate.remove_folder(folder)


def stay(demo):
    demo.write_shell()
    with open(os.path.join(tempfile.gettempdir(), STATE), "w", encoding="utf-8") as f:
        json.dump({"owner": int(os.environ["SECBOX_DEMO_OWNER"])}, f)
    demo.how_to_use()
    print(KEPT, flush=True)
    signal.pause()


def keep_running():
    """Starts the demo in a session of its own, shows what it prints, and leaves it when it has told its story."""
    if running():
        return fail("one is running already: make demo-shell enters it, make demo-stop ends it")
    argv = [sys.executable, "-B", os.path.abspath(__file__), "--own"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", start_new_session=True) as process:
        end_on_signals()
        try:
            for line in process.stdout:
                if line.rstrip("\n") == KEPT:
                    os._exit(0)
                print(line, end="", flush=True)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return process.returncode


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def owner_of(folder):
    """The process that holds a kept demo, or None when it is gone."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open(os.path.join(folder, STATE), encoding="utf-8") as f:
            owner = json.load(f)["owner"]
        with open(f"/proc/{owner}/cmdline", "rb") as f:
            if b"tests/demo/demo.py\0--own" in f.read():
                return owner
    return None


def running():
    """(folder, owner) of the demo that was left running, or None."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), isolate.PREFIX + "*")):
        owner = owner_of(folder)
        if owner:
            return folder, owner
    return None


def shell(command):
    found = running()
    if not found:
        return fail("none is running: make demo KEEP=1 starts one")
    unshare = children(found[1])[0]
    first = children(unshare)[0]  # process 1 of the demo
    enter = ["nsenter", "--target", str(first), "--mount", "--net", "--pid"]
    text = subprocess.run([*enter, "cat", f"{PLACE}/env.json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    env = {**json.loads(text), "TERM": os.environ.get("TERM", "dumb"), "PS1": "demo$ "}
    where = ["sh", "-c", f'cd {PLACE} && exec "$@"', "sh"]
    os.execvpe(enter[0], [*enter, *where, *(command or ["bash", "--norc", "-i"])], env)


def stop():
    found = running()
    if not found:
        print("demo: none is running")
        return 0
    os.kill(found[1], signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while os.path.exists(found[0]) or os.path.exists(f"/proc/{found[1]}"):
        if time.monotonic() > deadline:
            return fail(f"process {found[1]} does not end; see {found[0]}")
        time.sleep(0.1)
    print("demo: ended, and everything of it is removed")
    return 0


def main():
    verb, *rest = sys.argv[1:] or ["run"]
    if verb == "--inside":
        return inside(rest == ["keep"])
    verbs = {"run": lambda: isolated(False), "--own": lambda: isolated(True), "keep": keep_running, "stop": stop,
             "shell": lambda: shell(rest)}
    if verb not in verbs or (rest and verb != "shell"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        become_root()
        return verbs[verb]()
    except (DemoError, OSError, subprocess.CalledProcessError) as e:
        return fail(story.sentence_of(e))


if __name__ == "__main__":
    sys.exit(main())
