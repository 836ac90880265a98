# SPDX-License-Identifier: MIT
"""Debian's Glewlwyd, an OpenID provider, with a database of its own; and a person who signs in there, without the pages that a
browser would show her: what those send is sent here."""
import http.cookiejar
import json
import os
import shutil
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from .util import Daemon, free_port, port_answers, read_text, wait_until

SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
SETTINGS = "/usr/share/glewlwyd/templates/glewlwyd-debian.conf.properties"
CLIENT = "secbox"
PASSWORD = "geheim-123"
SCOPES = "openid email profile"


def available():
    return bool(shutil.which("glewlwyd")) and os.path.exists(SCHEMA) and os.path.exists(SETTINGS)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # pylint: disable=arguments-differ
        return None


class Visitor:
    """A browser's cookies."""

    def __init__(self, provider):
        self.provider = provider
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), _NoRedirect)

    def ask(self, method, url, body=None):
        """Status, body, where it leads."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), None
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(), e.headers.get("Location")

    def api(self, method, path, body=None):
        status, text, _ = self.ask(method, f"{self.provider.base}/api{path}", body)
        assert status == 200, (method, path, status, text)
        return json.loads(text) if text else None

    def log_in(self, user, password=PASSWORD):
        self.api("POST", "/auth/", {"username": user, "password": password})
        return self

    def agree(self, page):
        """What the pages do when somebody agrees that this client may know who she is: the address to which she is sent then."""
        self.api("PUT", f"/auth/grant/{CLIENT}", {"scope": SCOPES})
        status, text, location = self.ask("GET", f"{page}&g_continue")
        assert status == 302, (status, text)
        return location


class OpenIdProvider:
    def __init__(self, folder, redirect_port):
        self.folder, self.port = folder, free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.issuer = f"{self.base}/api/oidc"
        self.redirect = f"http://127.0.0.1:{redirect_port}/callback"
        os.makedirs(folder, exist_ok=True)
        with sqlite3.connect(os.path.join(folder, "db")) as db:
            db.executescript(read_text(SCHEMA))
        db.close()
        text = read_text(SETTINGS)
        for old, new in (("port=4593", f'port={self.port}\nbind_address="127.0.0.1"'), ("_G_EXTRNAL_URL_", self.base),
                         ('log_mode="file"', 'log_mode="console"'),
                         ('@include "/etc/glewlwyd/glewlwyd-db.conf"',
                          f'database = {{ type = "sqlite3"; path = "{folder}/db"; }};')):
            assert old in text, old
            text = text.replace(old, new, 1)
        with open(os.path.join(folder, "conf"), "w", encoding="utf-8") as f:
            f.write(text)
        self.daemon = None
        self.start()
        self._set_up()

    def start(self):
        self.daemon = Daemon("glewlwyd", ["glewlwyd", f"--config-file={self.folder}/conf"], os.path.join(self.folder, "log"),
                             dict(os.environ))
        wait_until(lambda: port_answers(self.port), "glewlwyd listens", self.daemon.death)

    def stop(self):
        self.daemon.stop()

    def _key(self):
        path = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "rsa", "-in", path, "-pubout"], check=True, capture_output=True, text=True).stdout
        return {"key": read_text(path), "cert": public, "jwt-type": "rsa", "jwt-key-size": "256"}

    def _set_up(self):
        self.admin = Visitor(self).log_in("admin", "password")
        users = self.admin.api("GET", "/mod/user/database")
        users["parameters"]["data-format"]["groups"] = {"multiple": True, "read": True, "write": True}
        self.admin.api("PUT", "/mod/user/database", users)
        self.admin.api("PUT", "/mod/user/database/reset", {})
        for scope in ("email", "profile"):
            self.admin.api("POST", "/scope", {"name": scope, "display_name": scope, "description": scope,
                                              "password_required": False, "scheme": {}})
        self.admin.api("POST", "/client/?source=database", {
            "client_id": CLIENT, "name": "SecBox", "confidential": False, "enabled": True, "redirect_uri": [self.redirect],
            "authorization_type": ["code"], "scope": ["openid"]})
        self.admin.api("POST", "/mod/plugin/", {"module": "oidc", "name": "oidc", "display_name": "OIDC", "parameters": {
            **self._key(), "iss": self.issuer, "access-token-duration": 3600, "refresh-token-duration": 1209600,
            "code-duration": 600, "refresh-token-rolling": False, "allow-non-oidc": True, "auth-type-code-enabled": True,
            "auth-type-token-enabled": False, "auth-type-id-token-enabled": True, "auth-type-password-enabled": False,
            "auth-type-client-enabled": False, "auth-type-refresh-enabled": True, "jwks-show": True, "pkce-allowed": True,
            "pkce-method-plain-allowed": False, "pkce-required": True, "email-claim": "mandatory", "name-claim": "no",
            "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": True}],
            "subject-type": "public", "scope": [], "additional-parameters": [], "restrict-scope-client-property": ""}})

    def new_key(self):
        """As when its keys are rotated."""
        plugin = self.admin.api("GET", "/mod/plugin/oidc")
        plugin["parameters"].update(self._key())
        self.admin.api("PUT", "/mod/plugin/oidc", plugin)
        self.admin.api("PUT", "/mod/plugin/oidc/reset", {})

    def add_user(self, name, email, *groups):
        self.admin.api("POST", "/user/?source=database", {
            "username": name, "name": name, "email": email, "password": PASSWORD, "groups": list(groups),
            "scope": [*SCOPES.split(), "g_profile"], "enabled": True})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
