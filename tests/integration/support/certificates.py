# SPDX-License-Identifier: Apache-2.0
"""Certificates made by the openssl command."""
import pathlib
import ssl
import subprocess

CONFIG = """
[ca]
default_ca = here
[here]
new_certs_dir = {home}
database = {home}/index
serial = {home}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Authority:
    """A CA of its own; `pem` is its certificate."""

    def __init__(self, home, name="Test CA"):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True)
        self.pem = self.home / "ca.pem"
        self.key = self.home / "ca.key"
        (self.home / "index").touch()
        (self.home / "serial").write_text("01\n")
        (self.home / "ca.cnf").write_text(CONFIG.format(home=self.home))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def issue(self, name, san="IP:127.0.0.1", dates=()):
        """(certificate file, key file); `dates` are openssl ca's -startdate and -enddate."""
        pem, key, request = (self.home / f"{name}.{end}" for end in ("pem", "key", "csr"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={san}", "-keyout", key, "-out", request)
        start, end = dates or ("20200101000000Z", "20490101000000Z")
        openssl("ca", "-batch", "-notext", "-config", self.home / "ca.cnf", "-keyfile", self.key, "-cert", self.pem,
                "-in", request, "-out", pem, "-startdate", start, "-enddate", end)
        return pem, key


def demanding(certificate, authority):
    """A server's context that wants a client certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(authority.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
