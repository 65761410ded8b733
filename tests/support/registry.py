"""A real registry (Debian's docker-registry) with TLS of an authority of its own, and images pushed to it."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from support.instance import wait_until

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "reader", "swordfish"
HASH = "$2b$05$abcdefghijklmnopqrstuupWDwJQeCHYIBQy8WvkVB6ImhZ476YYy"
CERTIFICATES = {"podman": pathlib.Path("/etc/containers/certs.d"), "docker": pathlib.Path("/etc/docker/certs.d")}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Gate:
    """Stands before the registry; after so many bytes of what it answers, the rest comes by drops until it is opened. (Podman says how far
    it is when something comes.)"""

    def __init__(self, target):
        self.target, self.left, self.open = target, None, threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close_after(self, size):
        self.left = size
        self.open.clear()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.carry, args=(here, there, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(there, here, True), daemon=True).start()

    def carry(self, source, sink, counted):
        try:
            while data := source.recv(16384):
                if counted and not self.open.is_set():
                    self.left -= len(data)
                    if self.left < 0:
                        self.open.wait(0.2)
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.open.set()
        self.listener.close()


class Registry:
    def __init__(self, authentication=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="oh-registry-"))
        self.port = free_port()
        self.authentication = authentication
        self.gate = Gate(self.port)
        self.name = f"127.0.0.1:{self.gate.port}"
        self.make_certificates()
        (self.folder / "users").write_text(f"{USER}:{HASH}\n")
        (self.folder / "config.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}", "tls": {"certificate": f"{self.folder}/tls.crt", "key": f"{self.folder}/tls.key"}},
            **({"auth": {"htpasswd": {"realm": "registry", "path": f"{self.folder}/users"}}} if authentication else {})}))

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def make_certificates(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
                     "-days", "2", "-subj", "/CN=a school's own", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=registry")
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self.openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
                     "-out", "tls.crt")

    def __enter__(self):
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([PROGRAM, "serve", self.folder / "config.yml"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_until(self.answers, 30, what="registry")
        self.trust()
        return self

    def __exit__(self, *exc):
        self.distrust()
        self.gate.close()
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def trust(self):
        """As an administrator does: the engines look there at each pull."""
        for folder in CERTIFICATES.values():
            (folder / self.name).mkdir(parents=True)
            shutil.copy(self.folder / "ca.crt", folder / self.name / "ca.crt")

    def distrust(self):
        for folder in CERTIFICATES.values():
            shutil.rmtree(folder / self.name, ignore_errors=True)

    # ---- pushing ------------------------------------------------------------------------------------------------

    def ask(self, method, target, body=None, kind="application/octet-stream"):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl.create_default_context(cafile=self.folder / "ca.crt"), timeout=30)
        try:
            headers = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
            connection.request(method, target, body, {**headers, **({"Content-Type": kind} if body is not None else {})})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.ask("GET", "/v2/")[0] == 200
        except ConnectionError:
            return False

    def blob(self, name, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        location = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"")[1]["Location"]
        target = "/" + location.split("/", 3)[3] if location.startswith("http") else location
        status, _, text = self.ask("PUT", f"{target}{'&' if '?' in target else '?'}digest={digest}", data)
        assert status == 201, text
        return {"size": len(data), "digest": digest}

    def push(self, name, layers, tag="latest"):
        """Layers are uncompressed tar archives. Returns the reference by which it is pulled."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/environment"], "User": "1000:1000"},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in layers]}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **self.blob(name, config)},
                    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", **self.blob(name, one)} for one in layers]}
        status, _, text = self.ask("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
        assert status == 201, text
        return f"{self.name}/{name}:{tag}"
