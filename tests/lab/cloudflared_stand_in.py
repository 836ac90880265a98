# SPDX-License-Identifier: MIT
"""A stand-in for the program cloudflared, written from its documentation; none of Cloudflare is behind it.

It imitates: the command line `tunnel [options] run` with the token in the file that TUNNEL_TOKEN_FILE names (Base64 of a JSON
object with a, t and s; exit 255 for anything else), the metrics address with /ready (200, or 503 without connections), /config and
/healthcheck, lines of log on standard error, SIGTERM with a grace period, exit 0 after it. It leads nobody anywhere.
It does what the file `behaviour` in its folder says, as soon as it says so:
  ready, unready, hang (the process lives and answers nothing), exit N, busy (visitors who do not end: it drains for its grace)

python3 cloudflared_stand_in.py FOLDER tunnel …; each start leaves a file start-N in the folder: arguments, environment, token."""
import base64
import http.server
import json
import os
import signal
import sys
import threading
import time

HOST = "caseta-5.media.example"


def behaviour(folder):
    with open(os.path.join(folder, "behaviour"), encoding="utf-8") as f:
        return f.read().strip()


def option(arguments, name):
    return arguments[arguments.index(name) + 1]


def say(text):
    print(f"2026-01-02T03:04:05Z {text}", file=sys.stderr, flush=True)


def read_token():
    with open(os.environ["TUNNEL_TOKEN_FILE"], encoding="utf-8") as f:
        return f.read().strip()


def remember(folder, arguments, token):
    n = 1 + sum(name.startswith("start-") for name in os.listdir(folder))
    path = os.path.join(folder, f"start-{n}")
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump({"arguments": arguments, "environment": dict(os.environ), "token": token, "pid": os.getpid()}, f)
    os.rename(path + ".new", os.path.join(folder, f"start-{n}"))


class Metrics(http.server.BaseHTTPRequestHandler):
    folder = None

    def do_GET(self):  # pylint: disable=invalid-name
        does = behaviour(self.folder)
        if does == "hang":
            threading.Event().wait()
        if self.path == "/ready":
            status = 503 if does == "unready" else 200
            self.answer(status, {"status": status, "readyConnections": 0 if status == 503 else 4, "connectorId": "x"})
        elif self.path == "/config":
            self.answer(200, {"version": 1, "config": {"ingress": [{"hostname": HOST, "service": "https://secbox:8444"},
                                                                   {"service": "http_status:404"}]}})
        elif self.path == "/healthcheck":
            self.answer(200, "OK")
        else:
            self.answer(404, "")

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def main(folder, *arguments):
    if arguments[0] != "tunnel" or arguments[-1] != "run":
        say("ERR this stand-in only knows: tunnel [options] run")
        sys.exit(1)
    token = read_token()
    remember(folder, arguments, token)
    try:
        known = json.loads(base64.b64decode(token, validate=True))
        if behaviour(folder) == "exit 255" or not all(known.get(key) for key in "ats"):
            raise ValueError
    except ValueError:
        say(f"ERR Provided Tunnel token is not valid: {token}")
        sys.exit(255)
    host, port = option(arguments, "--metrics").rsplit(":", 1)
    Metrics.folder = folder
    server = http.server.ThreadingHTTPServer((host, int(port)), Metrics)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    say(f"INF Starting tunnel, token {token}")
    while not end.is_set():
        does = behaviour(folder)
        if does.startswith("exit "):
            sys.exit(int(does.split()[1]))
        end.wait(0.05)
    say("INF Initiating graceful shutdown due to signal terminated ...")
    if behaviour(folder) == "busy":
        time.sleep(int(option(arguments, "--grace-period").rstrip("s")))
    if behaviour(folder) == "hang":
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
