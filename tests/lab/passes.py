# SPDX-License-Identifier: MIT
"""Guests' passes as docs/wire-format.md has them, signed without any of our code; and a camera that looks at one."""
import base64
import json
import os
import subprocess
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

WIDTH, HEIGHT = 640, 480


def _encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value):
    return _encode(json.dumps(value, separators=(",", ":")).encode())


class PassKey:
    """The key pair of a community."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.jwk = {"kty": "EC", "crv": "P-256", **{n: _encode(getattr(numbers, n).to_bytes(32, "big")) for n in ("x", "y")}}

    def sign(self, community, guest, **changed):
        """The text of a pass and its id."""
        claims = {"v": 1, "aud": community, "sub": guest, "jti": _encode(os.urandom(12)), "nbf": 1600000000, "exp": 4000000000,
                  **changed}
        return self.sign_claims("pass+jwt", claims), claims["jti"]

    def sign_media(self, device, camera, start, end, **changed):
        """The text of a token for a recording."""
        now = int(time.time())
        claims = {"v": 1, "aud": device, "cam": camera, "sub": "ana", "jti": _encode(os.urandom(12)), "from": start, "until": end,
                  "nbf": now, "exp": now + 300, **changed}
        return self.sign_claims("media+jwt", claims)

    def sign_claims(self, kind, claims):
        text = _json({"typ": kind, "alg": "ES256"}) + "." + _json(claims)
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def draw_video(text, path):
    """One frame with a QR code, for Chromium's --use-file-for-fake-video-capture, which shows it again and again."""
    done = subprocess.run(["qrencode", "-l", "L", "-m", "4", "-t", "ASCII", text], capture_output=True, text=True, check=True)
    modules = [[line[i] == "#" for i in range(0, len(line), 2)] for line in done.stdout.splitlines()]
    scale = HEIGHT // len(modules)
    left, top = (WIDTH - scale * len(modules)) // 2, (HEIGHT - scale * len(modules)) // 2
    luma = bytearray(b"\xeb" * (WIDTH * HEIGHT))
    for y, row in enumerate(modules):
        line = b"".join((b"\x10" if dark else b"\xeb") * scale for dark in row)
        for i in range(scale):
            at = (top + y * scale + i) * WIDTH + left
            luma[at:at + len(line)] = line
    with open(path, "wb") as f:
        f.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420mpeg2\nFRAME\n".encode())
        f.write(bytes(luma) + b"\x80" * (WIDTH * HEIGHT // 2))
