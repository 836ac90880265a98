# SPDX-License-Identifier: MIT
"""Imitates the gateway's HTTP interface for operators as docs/wire-format.md describes it: bearer token, devices, a push with
`wait=0`, the long poll of a deployment's events, history, plan, status and audit, and its errors. Boxes are not
imitated: how a push goes on is a script that a test writes. It can drop connections as a gateway does that restarts.
The real gateway is for the system tests."""
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "sbo_operator-token.0123456789"


class FakeGateway:
    def __init__(self):
        self.requests = []   # (method, path, query, body)
        self.devices = {}
        self.offline = False
        self.drop = 0        # so many polls get no answer
        self.fail_polls = [] # statuses that the next polls answer with
        self.polls = []      # each poll takes one: (events, result, deployment's state); the last one is repeated
        self.deployments = []
        self.audit = []
        self.plan = {"changes": 0, "steps": []}
        self.plan_error = None
        self.status = {}
        self.statuses = {}   # of single boxes; None: it is away
        self.doctor = (200, {"report": {"checks": []}, "exitCode": 0, "clockAheadSeconds": 0})
        self.raw = None      # answers everything with this text
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def bodies(self, method, path):
        return [body for m, p, _, body in self.requests if (m, p) == (method, path)]

    def _handler(gateway):  # pylint: disable=no-self-argument
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def _handle(self, method):
                url = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                path = unquote(url.path)
                gateway.requests.append((method, path, query, body))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    answer = error(401, "auth.bad-token", "this token is not known")
                else:
                    answer = gateway.answer(method, path, query, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, document = answer
                text = (document if isinstance(document, str) else json.dumps(document)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self._handle("GET")

            def do_POST(self):
                self._handle("POST")

            def do_PATCH(self):
                self._handle("PATCH")

            def do_DELETE(self):
                self._handle("DELETE")

        return Handler

    def answer(self, method, path, query, body):
        if self.raw is not None:
            return 200, self.raw
        for verb, pattern, function in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return function(self, *match.groups(), query=query, body=body)
        return error(404, "http.not-found", f"there is no {method} {path}")

    def _devices(self, **_):
        return 200, {"devices": list(self.devices.values())}

    def _add(self, body, **_):
        if body["id"] in self.devices:
            return error(409, "device.exists", f"device {body['id']} is there already")
        self.devices[body["id"]] = {"id": body["id"], "labels": body["labels"], "createdAt": "2026-01-02T03:04:05.000Z",
                                    "connected": False}
        return 201, {"device": self.devices[body["id"]], "bootstrap": "boot-strap.token",
                     "bootstrapExpiresAt": "2026-01-03T03:04:05.000Z"}

    def _device(self, name, **_):
        if name not in self.devices:
            return error(404, "device.not-found", f"there is no device \"{name}\" here")
        return 200, {"device": self.devices[name]}

    def _change(self, name, change, **_):
        found = self._device(name)
        if found[0] == 200:
            self.devices[name]["blocked"] = change == "block"
        return found

    def _bootstrap(self, name, **_):
        status, document = self._device(name)
        return (status, document) if status != 200 else (201, {**document, "bootstrap": "new-strap.token",
                                                               "bootstrapExpiresAt": "2026-01-03T03:04:05.000Z"})

    def _relabel(self, name, body, **_):
        found = self._device(name)
        if found[0] == 200:
            labels = {**self.devices[name]["labels"], **body["labels"]}
            self.devices[name]["labels"] = {k: v for k, v in labels.items() if v is not None}
        return found

    def _remove(self, name, **_):
        found = self._device(name)
        return (200, {"removed": self.devices.pop(name)["id"]}) if found[0] == 200 else found

    def _push(self, _name, query, **_):
        if self.offline:
            return error(503, "device.offline", "the box is not connected")
        assert query.get("wait") == "0"
        return 202, {"deployment": {"id": "d-7", "version": "7"}}

    def _poll(self, _name, version, **_):
        if self.drop > 0:
            self.drop -= 1
            return None
        if self.fail_polls:
            return error(self.fail_polls.pop(0), "gateway.starting", "not yet")
        events, result, state = self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]
        return 200, {"deployment": {"id": "d-7", "version": version, "state": state}, "events": events, "result": result}

    def _history(self, _name, query, **_):
        return 200, {"deployments": self.deployments[:int(query["limit"])]}

    def _plan(self, _name, **_):
        return self.plan_error or (200, {"plan": self.plan})

    def _status(self, name, **_):
        status = None if self.offline else self.statuses.get(name, self.status)
        return error(503, "device.offline", "the box is not connected") if status is None else (200, {"status": status})

    def _doctor(self, _name, **_):
        return self.doctor

    def _audit(self, query, **_):
        return 200, {"entries": self.audit[:int(query["limit"])]}


def error(status, identifier, message, **more):
    return status, {"error": {"id": identifier, "message": message, **more}}


# pylint: disable=protected-access
ROUTES = [
    ("GET", r"/v1/devices", FakeGateway._devices),
    ("POST", r"/v1/devices", FakeGateway._add),
    ("GET", r"/v1/devices/([^/]+)", FakeGateway._device),
    ("PATCH", r"/v1/devices/([^/]+)", FakeGateway._relabel),
    ("DELETE", r"/v1/devices/([^/]+)", FakeGateway._remove),
    ("POST", r"/v1/devices/([^/]+)/bootstrap", FakeGateway._bootstrap),
    ("POST", r"/v1/devices/([^/]+)/(block|unblock)", FakeGateway._change),
    ("POST", r"/v1/devices/([^/]+)/compose-snapshot", FakeGateway._push),
    ("POST", r"/v1/devices/([^/]+)/rollback", FakeGateway._push),
    ("POST", r"/v1/devices/([^/]+)/agent-update", FakeGateway._push),
    ("GET", r"/v1/devices/([^/]+)/deployments/(\d+)", FakeGateway._poll),
    ("GET", r"/v1/devices/([^/]+)/deployments", FakeGateway._history),
    ("POST", r"/v1/devices/([^/]+)/plan", FakeGateway._plan),
    ("GET", r"/v1/devices/([^/]+)/status", FakeGateway._status),
    ("POST", r"/v1/devices/([^/]+)/doctor", FakeGateway._doctor),
    ("GET", r"/v1/audit", FakeGateway._audit),
]
