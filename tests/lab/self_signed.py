# SPDX-License-Identifier: MIT
"""A certificate that is its own authority."""
import os
import subprocess


def make_certificate(folder, *addresses):
    """A server's certificate and its key: for 127.0.0.1 and further addresses."""
    names = ",".join(f"IP:{address}" for address in ("127.0.0.1", *addresses))
    cert, key = (os.path.join(folder, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", cert, "-days", "2", "-subj", "/CN=cloud", "-addext", f"subjectAltName={names}"],
                   check=True, capture_output=True)
    return cert, key
