# SPDX-License-Identifier: MIT
"""What a push costs, beside podman-compose on the same project, images and store; and what the agent costs while idle."""
import os

from tests.bench import memory
from tests.bench.stack import SETTLE_SECONDS, SecBoxStack, Peer, RestPeer, compose, services
from tests.lab import isolate
from tests.lab.podman_lab import PodmanLab

SIZES = [1, 4, 12]
CHANGED = "s07"


def same_again(suite, lab, folder, n):
    """The snapshot that runs already, once more."""
    text = compose(services(n))
    counts = {"ours": [], "peer": []}
    with SecBoxStack(lab, os.path.join(folder, f"same-{n}")) as ours:
        peer = Peer(lab, folder)
        ours.push(text)
        peer.up(text)

        def ours_again(_):
            milliseconds, started = ours.push_unchanged(text)
            counts["ours"].append(started)
            return milliseconds

        def peer_again(_):
            milliseconds = peer.up(text) * 1000
            counts["peer"].append(peer.started)
            return milliseconds

        suite.pairs(f"the same snapshot again, services: {n}", "ms", f"{peer.name} up -d", ours_again, peer_again)
        if isolate.is_isolated():  # elsewhere the number would be the whole machine's
            suite.row(f"processes started by it, services: {n}", "processes", f"{peer.name} up -d", **counts)
    lab.remove_all()


def one_changed(suite, lab, folder, n):
    """One service gets another environment; then the whole project by podman-compose's only way to apply a change."""
    names = services(n)
    with SecBoxStack(lab, os.path.join(folder, "changed")) as ours:
        peer = Peer(lab, folder)
        ours.push(compose(names))
        peer.up(compose(names))

        def ours_changes(run):
            return ours.push_changed(compose(names, run + 1, CHANGED), CHANGED)

        def peer_changes(run):
            return peer.replace(compose([CHANGED], run + 1, CHANGED), CHANGED, run + 1)

        suite.pairs(f"one changed service of {n}", "s", "podman stop + rm, podman-compose up -d of it alone", ours_changes,
                    peer_changes)
        alone = suite.rows[-1]

        def peer_changes_all(run):
            seconds = peer.up(compose(names, run + 100, CHANGED), "--force-recreate")
            peer.check(CHANGED, run + 100)
            return seconds

        suite.row(f"one changed service of {n}", "s", f"podman-compose up -d --force-recreate of all {n}", alone.ours,
                  [peer_changes_all(run) for run in range(suite.runs)])
    lab.remove_all()


def first_apply(suite, lab, folder, n):
    """Nothing runs yet: all services are made. Each run of ours is a new box; ours with podman-compose stands beside it."""
    text = compose(services(n))
    peer = Peer(lab, folder)
    rest = RestPeer(lab, os.path.join(folder, "rest"))

    def ours_by(engine):
        def first(run):
            with SecBoxStack(lab, os.path.join(folder, f"first-{engine}-{run}"), engine) as ours:
                seconds, _ = ours.push(text)
                ours.clear()
            return seconds
        return first

    def rest_first(_):
        seconds = rest.up(services(n))
        rest.clear()
        return seconds

    def peer_first(_):
        seconds = peer.up(text)
        peer.clear()
        return seconds

    suite.pairs(f"first apply of {n} services", "s", rest.name, ours_by(None), rest_first)
    rest.close()
    suite.pairs(f"first apply of {n} services, all by podman-compose", "s", f"{peer.name} up -d", ours_by("podman-compose"),
                peer_first)
    lab.remove_all()


def run(suite, folder, quick=False):
    with PodmanLab() as lab:
        lab.image("localhost/server:1", "server", "1")
        suite.note(f"podman {lab.version}; ours: from the snapshot on mgmt-agent's socket, as mgmt-link sends it, to "
                   "compose.result")
        suite.note(f"ours includes the proof that everything runs and stays up for {SETTLE_SECONDS} s from its start (--settle "
                   f"{SETTLE_SECONDS}); podman-compose proves nothing")
        suite.note("processes are counted by the numbers that the kernel gives out in the bench's own PID namespace, where "
                   "nothing else is at work: new threads count too")
        for n in SIZES[:1] if quick else SIZES:
            same_again(suite, lab, folder, n)
        if quick:
            return
        one_changed(suite, lab, folder, SIZES[-1])
        first_apply(suite, lab, folder, SIZES[-1])
        memory.run(suite, lab, folder)
