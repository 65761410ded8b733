"""A web server with TLS of an authority of its own: files, and git repositories by git's own http-backend."""
import http.server
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading

BACKEND = subprocess.run(["git", "--exec-path"], capture_output=True, text=True).stdout.strip() + "/git-http-backend"


def git(folder, *args):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
                   "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    return subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, text=True, env=environment).stdout.strip()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *args):
        pass

    def do_GET(self):
        site = self.server.site
        path, _, query = self.path.partition("?")
        site.asked.append(self.path)
        if path.startswith("/git/"):
            return self.backend(path, query)
        if path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[path])
            return self.end_headers()
        file = site.folder / "files" / path.lstrip("/")
        if not file.is_file():
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        data = file.read_bytes()
        self.wfile.write(data if site.cut is None else data[:site.cut])

    do_POST = do_GET

    def backend(self, path, query):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.site.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                       "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                       "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                       "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol") or "", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                       "GIT_CONFIG_VALUE_0": "*", "REMOTE_ADDR": "127.0.0.1"}
        out = subprocess.run([BACKEND], input=body, capture_output=True, env=environment).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name not in ("Status", "Content-Length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)


class Site:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="oh-site-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.folder / "files").mkdir()
        (self.folder / "git").mkdir()
        self.asked, self.redirects, self.cut = [], {}, None
        self.make_certificate()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.site = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "site.crt", self.folder / "site.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.base = f"https://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make_certificate(self):
        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
                "-subj", "/CN=a school", "-addext", "basicConstraints=critical,CA:TRUE")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "site.key", "-out", "site.csr", "-subj", "/CN=localhost")
        (self.folder / "ext").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "site.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "site.crt", "-days", "2", "-extfile", "ext")
        (self.folder / "ca.crt").chmod(0o644)

    @property
    def authority(self):
        return str(self.folder / "ca.crt")

    def repository(self, name):
        """A working copy; `push` shows it to others."""
        work = self.folder / f"work-{name}"
        work.mkdir()
        git(work, "init", "-q", "-b", "main")
        git(self.folder, "init", "-q", "--bare", "-b", "main", f"git/{name}.git")
        git(work, "remote", "add", "origin", self.folder / f"git/{name}.git")
        return work

    def push(self, work, message="x"):
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", message)
        git(work, "push", "-q", "origin", "HEAD")
        return git(work, "rev-parse", "HEAD")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        subprocess.run(["rm", "-rf", self.folder], check=True)
