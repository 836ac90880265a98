# SPDX-License-Identifier: MIT
"""Who may include whom, and which files may see which library."""
import os
import re

from source import code, includes, matches, of_kind, text

# room → the rooms of lib that it may include, beside itself; a room may only name rooms above it in this table
LIB_ROOMS = {
    "base": (),
    "data": ("base",),
    "cli": ("base", "data"),
    "event": ("base",),
    "net": ("base", "data", "event"),
    "http": ("base", "data", "event", "net"),
    "websocket": ("base", "data", "event", "net", "http"),
    "mux": ("base", "data", "event", "websocket"),
    "tunnel": ("base", "data", "event", "net", "http", "websocket", "mux"),
    "registry": ("base", "data", "event", "http"),
    "postgres": ("base", "event"),
}


def _rooms(*names):
    return tuple(f"lib/{name}/" for name in names)


BASE, DATA = _rooms("base", "data")
LIBRARIES = {
    **{f"lib/{room}/": _rooms(room, *others) for room, others in LIB_ROOMS.items()},
    "env/": (BASE, DATA, "env/"),
    "compose/": (BASE, DATA, "env/", "compose/"),
}
POSTGRES = "lib/postgres/"
ALL_LIBRARIES = tuple(area for area in LIBRARIES if area != POSTGRES)
# the gateway's rooms, each of which may include those above it; the files beside them put all of it together
GATEWAY_ROOMS = ("store", "auth", "http", "sign-in", "install", "devices", "health", "communities", "webhooks", "deployments",
                 "rollouts", "sessions", "cameras")
# a program's folders → what it may include beside its own
PROGRAMS = {
    # agent and worker are one program in two executables: the worker may block, the agent may not
    "mgmt-agent/agent/": (*ALL_LIBRARIES, "mgmt-agent/health/", "mgmt-agent/state/"),
    "mgmt-agent/worker/": (*ALL_LIBRARIES, "mgmt-agent/health/", "mgmt-agent/state/", "mgmt-agent/host/"),
    "mgmt-agent/health/": (BASE, DATA),
    "mgmt-agent/host/": (BASE, DATA, "mgmt-agent/state/"),
    "mgmt-agent/state/": (BASE, DATA),
    "mgmt-agent/link/": ALL_LIBRARIES,
    "mgmt-agent/secboxctl/": (*ALL_LIBRARIES, "mgmt-agent/host/"),
    **{f"gateway/{room}/": (*ALL_LIBRARIES, POSTGRES, *(f"gateway/{above}/" for above in GATEWAY_ROOMS[:i]))
       for i, room in enumerate(GATEWAY_ROOMS)},
    "gateway/fleet/": ALL_LIBRARIES,
    "gateway/": (*ALL_LIBRARIES, POSTGRES),
    "secbox/pairing/": ALL_LIBRARIES,
    "secbox/": (*ALL_LIBRARIES, POSTGRES),
    "relay-client/": ALL_LIBRARIES,
    "recovery-agent/": _rooms("base", "data", "cli", "event", "net", "websocket", "mux", "tunnel"),
}
# header prefix → files that may include it (regular expressions)
THIRD_PARTY = {
    "cjson/": [r".*\.h", r"lib/data/.*"],
    "yaml.h": [r"lib/data/yaml.*\.c"],
    "openssl/": [r"lib/data/(digest|key|jwt|ssh-cert|x509)[\w-]*\.[ch]", r"lib/net/stream[\w-]*\.[ch]"],
    "curl/": [r"lib/http/client[\w-]*\.[ch]"],
    "qrencode.h": [r"lib/cli/qr-code\.c"],
    "archive": [r"lib/data/bundle[\w-]*\.c"],
    "libpq": [r"lib/postgres/[\w-]*\.[ch]"],
    "postgresql/": [r"lib/postgres/[\w-]*\.[ch]"],
    "systemd/sd-event.h": [r"lib/(event|net|http|websocket|mux|tunnel|registry|postgres)/.*", *(p + ".*" for p in PROGRAMS)],
    "systemd/sd-daemon.h": [r"lib/event/.*", r"lib/base/log\.c", *(p + ".*" for p in PROGRAMS)],
    "systemd/sd-journal.h": [r"lib/base/log\.c", *(p + ".*" for p in PROGRAMS)],
}
# where statements of SQL may stand
SQL_ROOMS = ("gateway/store/", "lib/postgres/", "secbox/replica/", "secbox/queue/")
SQL = r'"[^"]*\b(SELECT\b|INSERT INTO\b|UPDATE \w+|DELETE FROM\b)'
PURE = ("env/", "compose/")
# what a clock, a network or a loop would need; env_load() reads one file through lib/base/fileio.h
IMPURE_HEADERS = {"<time.h>", "<sys/time.h>", "<sys/socket.h>", "<netdb.h>", "<unistd.h>", "<sys/wait.h>", "<pthread.h>"}
CLOCKS = r"\b(realtime_usec|monotonic_usec|boottime_usec|clock_gettime|time|gettimeofday)\s*\("


def _area(path, areas):
    return next((a for a in areas if path.startswith(a)), None)


def layers():
    for path in of_kind(".c", ".h", below=[*LIBRARIES, *PROGRAMS]):
        area = _area(path, LIBRARIES) or _area(path, PROGRAMS)
        allowed = LIBRARIES.get(area) or (*PROGRAMS[area], area)
        for line, name in includes(path):
            target = name[1:-1]
            if name.startswith('"') and not target.startswith(allowed):
                yield f"{path}:{line}: {area} does not include {target}"
            if name.startswith('"') and area == "gateway/" and target.startswith("gateway/fleet/"):
                yield f"{path}:{line}: a program does not include another"


def _graph():
    """folder → the folders that its files include, with one place each."""
    graph = {}
    for path in of_kind(".c", ".h", below=[*LIBRARIES, *PROGRAMS]):
        here = os.path.dirname(path)
        for line, name in includes(path):
            there = os.path.dirname(name[1:-1])
            if name.startswith('"') and there != here:
                graph.setdefault(here, {}).setdefault(there, f"{path}:{line}")
    return graph


def _reachable(graph, start):
    found, todo = set(), [start]
    while todo:
        for there in graph.get(todo.pop(), ()):
            if there not in found:
                found.add(there)
                todo.append(there)
    return found


def no_circles_between_folders():
    graph = _graph()
    reachable = {folder: _reachable(graph, folder) for folder in graph}
    for here, targets in sorted(graph.items()):
        for there, place in sorted(targets.items()):
            if here in reachable.get(there, ()):
                yield f"{place}: {here} includes {there}, from which a way of includes leads back to {here}"


def _module(path):
    """A file and its header are one; so is what only its own files see of it."""
    return re.sub(r"-impl$", "", os.path.splitext(path)[0])


def no_circles_between_the_gateways_files():
    graph = {}
    for path in of_kind(".c", ".h", below=["gateway/"]):
        for line, name in includes(path):
            there = _module(name[1:-1])
            if name.startswith('"gateway/') and there != _module(path):
                graph.setdefault(_module(path), {}).setdefault(there, f"{path}:{line}")
    for here, targets in sorted(graph.items()):
        for there, place in sorted(targets.items()):
            if here in _reachable(graph, there):
                yield f"{place}: {here} includes {there}, from which a way of includes leads back to {here}"


def headers_from_the_root():
    for path in of_kind(".c", ".h"):
        for line, name in includes(path):
            if name.startswith('"') and ("/" not in name or ".." in name):
                yield f"{path}:{line}: {name}: headers are included by their path from the root"


def third_party_headers():
    for path in of_kind(".c", ".h"):
        if path.startswith("tests/"):
            continue
        for line, name in includes(path):
            for prefix, families in THIRD_PARTY.items():
                if name.startswith("<" + prefix) and not any(re.fullmatch(f, path) for f in families):
                    yield f"{path}:{line}: {name} is another family's (tests/lint/check_layers.py)"


def sql_only_in_the_store():
    for path in of_kind(".c", ".h", below=[*LIBRARIES, *PROGRAMS]):
        if not path.startswith(SQL_ROOMS):
            for line, m in matches(SQL, text(path)):
                yield f"{path}:{line}: SQL ({m.group(1)}) outside of {', '.join(SQL_ROOMS)}"


def purity():
    for path in of_kind(".c", ".h", below=PURE):
        for line, name in includes(path):
            if name in IMPURE_HEADERS:
                yield f"{path}:{line}: {name} in a part that is text in, result out"
        for line, m in matches(CLOCKS, code(path)):
            yield f"{path}:{line}: {m.group(1)}() in a part that has no clock: take it as a parameter"


def _declared(path):
    """Functions that a header declares."""
    content = re.sub(r"^\s*#.*?(?<!\\)$", "", code(path), flags=re.M | re.S)
    content = re.sub(r"\{[^{}]*\}", "{}", re.sub(r"\{[^{}]*\}", "{}", content))
    declaration = r"^(?!typedef|static|extern|DEFINE_)[A-Za-z_][\w \t*]*?[ *]([a-z_]\w*)\((?!\*)[^;{]*;"
    for m in re.finditer(declaration, content, re.M):
        yield m.group(1)


def public_functions_are_used():
    words = {path: set(re.findall(r"\w+", code(path))) for path in of_kind(".c", ".h")}
    for path in of_kind(".h", below=LIBRARIES):
        stem = os.path.splitext(path)[0]
        users = [w for p, w in words.items() if os.path.splitext(p)[0] != stem]
        for name in _declared(path):
            if not any(name in w or name + "p" in w for w in users):
                yield f"{path}: {name}() is used by no one, not even a test"


CHECKS = [layers, no_circles_between_folders, no_circles_between_the_gateways_files, headers_from_the_root,
          third_party_headers, sql_only_in_the_store, purity, public_functions_are_used]
