# SPDX-License-Identifier: MIT
"""secbox-gateway's signer as the service manager starts it: its socket is descriptor 3, the authority's key is its standard input,
opened by us. And a gateway that is only a socket, to ask it what ours never would."""
import json
import os
import socket
import subprocess

from .util import Daemon, program, wait_until

KEY_NAME = "support-ca.pem"


class Signer:
    """For --signer PATH. The socket stays when the process is killed, as systemd's does."""

    def __init__(self, folder, state, env, path=None):
        self.path = path or os.path.join(folder, "signer.socket")
        self.folder, self.state, self.env = folder, state, env
        subprocess.run([program("secbox-gateway"), "signer", "prepare", "--state", state], env=env, check=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.path)
        self.socket.listen(16)
        self.daemon = None
        self.start()

    def start(self):
        # one shell alone has the number of the process that it becomes
        argv = ["bash", "-c", f'exec 3<&{self.socket.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" signer',
                program("secbox-gateway")]
        with open(os.path.join(self.state, KEY_NAME), "rb") as key:
            self.daemon = _Daemon("signer", argv, os.path.join(self.folder, "signer.log"), self.env, key, self.socket)

    def kill(self):
        self.daemon.kill()

    def stop(self):
        self.daemon.stop()
        self.socket.close()
        os.unlink(self.path)


class _Daemon(Daemon):
    """With one more descriptor."""

    def __init__(self, name, argv, log_path, env, stdin, more):  # pylint: disable=super-init-not-called
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(argv, env=env, stdin=stdin, stdout=log, stderr=log, start_new_session=True,
                                            pass_fds=[more.fileno()])


class Asker:
    """A gateway to a signer of its own: it says whatever a test wants."""

    def __init__(self, folder, key, database):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        self.socket.settimeout(180)
        with theirs:
            self.daemon = _Daemon("signer", ["bash", "-c", f'exec 3<&{theirs.fileno()}; exec "$0" --sign "$1"',
                                             program("secbox-gateway"), key], os.path.join(folder, "asker.log"),
                                  {"PATH": os.environ["PATH"], "SECBOX_GATEWAY_DATABASE": database}, subprocess.DEVNULL, theirs)
        self.public = self.receive()["publicKey"]
        self.asked = 0

    def receive(self):
        data = self.socket.recv(65536)
        return json.loads(data) if data else None

    def ask(self, **question):
        self.asked += 1
        self.socket.send(json.dumps({"id": str(self.asked), **question}).encode())
        answer = self.receive()
        assert answer["id"] == str(self.asked), answer
        return answer

    def close(self):
        self.socket.close()
        wait_until(self.daemon.death, "the signer ends with its gateway")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
