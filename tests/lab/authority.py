# SPDX-License-Identifier: MIT
"""A private certificate authority, and certificates by it for servers of the lab."""
import contextlib
import datetime
import ipaddress
import os
import shutil
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SYSTEM = "/etc/ssl/certs"
DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@contextlib.contextmanager
def trusted_by_the_system(folder, cert):
    """The certificate is one of the system's authorities, in our own mount namespace only."""
    copy = os.path.join(folder, "authorities")
    subprocess.run(["cp", "-a", SYSTEM, copy], check=True)
    name = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", cert], check=True, capture_output=True, text=True).stdout
    shutil.copy(cert, os.path.join(copy, f"{name.strip()}.0"))
    with open(cert, "rb") as f, open(os.path.join(copy, "ca-certificates.crt"), "ab") as out:
        shutil.copyfileobj(f, out)
    subprocess.run(["mount", "--bind", copy, SYSTEM], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", SYSTEM], check=True)


class Authority:
    """Signed by itself, or by the one above it."""

    def __init__(self, folder, name="lab authority", above=None):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        self.certificate = (
            x509.CertificateBuilder().subject_name(_name(name))
            .issuer_name(above.certificate.subject if above else _name(name)).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - 2 * DAY).not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(above.key if above else self.key, hashes.SHA256()))
        self.file = self._write("ca.crt", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def issue(self, name="server", hosts=("localhost", "127.0.0.1"), expired=False, days=10):
        """Certificate and key files of a server. It ends in so many days, and is good for eleven."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.datetime.utcnow() + (-DAY if expired else days * DAY)
        names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]
        certificate = (
            x509.CertificateBuilder().subject_name(_name(hosts[0])).issuer_name(self.certificate.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(until - 11 * DAY)
            .not_valid_after(until).add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256()))
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return (self._write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
                self._write(f"{name}.key", secret))

    def request(self, *hosts):
        """The file of a request for these names, by a key that is thrown away."""
        names = x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts])
        request = (x509.CertificateSigningRequestBuilder().subject_name(_name(hosts[0])).add_extension(names, critical=False)
                   .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))
        return self._write("request.pem", request.public_bytes(serialization.Encoding.PEM))

    def sign(self, request, until=10 * DAY):
        """The certificate, in PEM, that this request in PEM asks for; it ends in that time."""
        asked = x509.load_pem_x509_csr(request.encode())
        assert asked.is_signature_valid
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        until = datetime.datetime.utcnow() + until
        certificate = (
            x509.CertificateBuilder().subject_name(asked.subject).issuer_name(self.certificate.subject)
            .public_key(asked.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(until - 20 * DAY).not_valid_after(until).add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256()))
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server_context(self, name="server", **how):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **how))
        return context
