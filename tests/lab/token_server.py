# SPDX-License-Identifier: MIT
"""The token server that docker-registry's `auth: token` sends its clients to: docker's token authentication, and no more."""
import base64
import http.server
import json
import os
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import load_pem_x509_certificate

from .http_server import HttpServer, Served

ISSUER = "lab-issuer"
SERVICE = "lab-registry"


def _b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer(Served):
    def __init__(self, authority, users=None, tls=True, anonymous=True):
        """users: {name: password}; anonymous: whether pulling needs none of them."""
        self.users = users or {}
        self.anonymous = anonymous
        self.requests = []  # (method, path, Authorization or None)
        certificate, key = authority.issue("token-signer")
        self.root_bundle = authority.file
        with open(key, "rb") as f:
            self.key = serialization.load_pem_private_key(f.read(), None)
        with open(certificate, "rb") as f:
            self.certificate = load_pem_x509_certificate(f.read())
        self.server = HttpServer(self._handler(), authority.server_context("token-server") if tls else None)
        self.realm = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}/token"

    def registry_auth(self):
        return {"token": {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": self.root_bundle}}

    def token(self, scopes):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "ES256",
                "x5c": [base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()]}
        claims = {"iss": ISSUER, "sub": "", "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now,
                  "jti": os.urandom(8).hex(), "access": access}
        text = f"{_b64url(json.dumps(head).encode())}.{_b64url(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _allows(self, authorization, form):
        if form.get("grant_type") == ["refresh_token"]:
            return form.get("refresh_token", [""])[0] in self.users.values()
        if authorization is None:
            return self.anonymous
        name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return self.users.get(name) == password

    def _handler(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, form):
                outer.requests.append((self.command, self.path, self.headers["Authorization"]))
                allowed = outer._allows(self.headers["Authorization"], form)
                body = json.dumps({"token": outer.token(form.get("scope", []))} if allowed else
                                  {"details": "incorrect username or password"}).encode()
                self.send_response(200 if allowed else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query))

            def do_POST(self):
                self.answer(urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        return Handler
