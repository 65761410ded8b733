"""An upload as its sender sees it: tus' PATCH through our gateway against nginx writing the same body to a file, both over TLS, to the same
disk. What we acknowledge is on that disk; nginx leaves that to the system."""
import pathlib
import statistics
import subprocess
import tempfile

from support.instance import GROUP
from world import Nginx, Server, one_free_port

BYTES = 512 << 20


def reference(pki, port):
    return f"""
        server {{
            listen 127.0.0.1:{port} ssl;
            ssl_certificate {pki}/server.crt; ssl_certificate_key {pki}/server.key;
            client_max_body_size 0;
            location / {{ root @HOME@/body; dav_methods PUT; }}
        }}"""


def send(url, file, *more):
    out = subprocess.run(["curl", "-sS", "-k", "--fail", "-T", file, "-H", "Expect:", *more, "-o", "/dev/null", "-w", "%{time_total}", url],
                         capture_output=True, text=True, check=True)
    return BYTES / float(out.stdout) / 1e6


def create(server, name, bearer):
    """One byte more than comes: it is not unpacked while somebody measures."""
    url = f"https://127.0.0.1:{server.api_port}{GROUP}/datasets/{name}/upload"
    head = subprocess.run(["curl", "-sS", "-k", "-X", "POST", "-D", "-", "-H", bearer, "-H", "Tus-Resumable: 1.0.0",
                           "-H", f"Upload-Length: {BYTES + 1}", url], capture_output=True, text=True, check=True).stdout
    where = next(line.split(": ", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("location:"))
    return f"https://127.0.0.1:{server.api_port}{where}"


def ours(server, file, bearer):
    url = create(server, "bench", bearer)
    rate = send(url, file, "-X", "PATCH", "-H", bearer, "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Offset: 0", "-H", "Content-Type: application/offset+octet-stream")
    subprocess.run(["curl", "-sS", "-k", "--fail", "-X", "DELETE", "-H", bearer, "-H", "Tus-Resumable: 1.0.0", url], check=True, capture_output=True)
    return rate


def theirs(nginx, port, file):
    rate = send(f"https://127.0.0.1:{port}/file", file)
    (nginx.home / "body/file").unlink(missing_ok=True)
    return rate


def figures(report, o):
    with Server() as server, tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="oh-bench-") as file:
        file.truncate(BYTES)
        server.start(gateway=True)
        bearer, port = f"Authorization: Bearer {server.admin_token()}", one_free_port()
        pki = pathlib.Path(server.data) / "pki"
        with Nginx(reference(pki, port)) as nginx:
            a, b = [], []
            for _ in range(o.rounds):
                a.append(ours(server, file.name, bearer))
                b.append(theirs(nginx, port, file.name))
        ratio = statistics.median(x / y for x, y in zip(a, b))
        report.compare(f"{BYTES >> 20} MiB, MB/s as sent", {"ours": statistics.median(a), "reference": statistics.median(b), "ratio": ratio}, unit=" MB/s", at_least=0.8)
