"""The servers that bench/run.py measures: each set up in a folder of its own, started, and stopped by its process."""
import dataclasses
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BENCH_BUILD", ROOT / "build/bench"))
PEERS = ROOT / "build/peers"
START_SECONDS = 30


def free_port():
    """A port nobody has now, for both TCP and UDP."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("bench: no free port on loopback")


def answers(url):
    """Whether a directory is there."""
    host, _, path = url.removeprefix("https://").partition("/")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection(host, timeout=2, context=context)
        connection.request("GET", "/" + path, headers={"User-Agent": "gatehouse-bench"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


@dataclasses.dataclass
class Server:
    """One server at work. `notes` says under which conditions."""
    name: str
    directory: str
    process: subprocess.Popen
    log: pathlib.Path
    dns_port: int
    http_port: int
    root: pathlib.Path  # what a client trusts to reach it
    first_answer_ms: float

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def launch(name, folder, command, directory, dns_port, http_port, root, environment=None):
    """Starts `command` and waits for its directory."""
    log = folder / "server.log"
    with open(log, "ab") as out:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env={**os.environ, **(environment or {})})
    while not answers(directory):
        if process.poll() is not None or time.monotonic() - began > START_SECONDS:
            process.kill()
            raise SystemExit(f"bench: {name} does not start:\n" + log.read_text(errors="replace")[-2000:])
        time.sleep(0.002)
    took = (time.monotonic() - began) * 1000
    return Server(name, directory, process, log, dns_port, http_port, root, took)


class Gatehouse:
    """Its own CA (P-256 issuer), SQLite beside it."""
    name = "Gatehouse"

    def __init__(self, folder, more_settings=None):
        self.folder = folder
        self.port, self.public_port, self.operations_port = free_port(), free_port(), free_port()
        self.dns_port, self.http_port = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        binary = BUILD / "gatehouse"
        self.home = folder / "gatehouse"
        if not self.home.exists():
            subprocess.run([binary, "init", "--directory", self.home, "--base-url", "https://localhost:24443", "--public-url",
                            "http://localhost:24080", "--name", "Bench"], check=True, stdout=subprocess.DEVNULL)
        settings = {
            "base_url": f"https://localhost:{self.port}",
            "listeners.acme": [{"address": "127.0.0.1", "port": self.port}],
            "listeners.public": [{"address": "127.0.0.1", "port": self.public_port}],
            "listeners.operations": [{"address": "127.0.0.1", "port": self.operations_port}],
            "resolver.servers": [f"127.0.0.1:{self.dns_port}"],
            "validators.http01.port": self.http_port,
            "profiles.default.allowed_addresses": ["127.0.0.1/32"],
            # All clients are one address.
            "limits.new_accounts_per_hour": 1_000_000,
            **(more_settings or {}),
        }
        self.command = [str(binary), "serve", "--config", str(self.home / "gatehouse.json")]
        for key, value in settings.items():
            self.command += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        self.database = self.home / "gatehouse.db"

    def start(self):
        return launch(self.name, self.folder, self.command, f"https://localhost:{self.port}/directory", self.dns_port,
                      self.http_port, self.home / "ca/root.pem")


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pebble:
    """In memory, P-256 issuer; no sleeps, no refused nonces, no reused authorizations."""
    name = "Pebble"

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.dns_port, self.http_port = free_port(), free_port()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
                "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30", cwd=folder)
        config = {"pebble": {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{free_port()}",
                             "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": self.http_port,
                             "tlsPort": free_port(), "ocspResponderURL": "", "externalAccountBindingRequired": False,
                             "keyAlgorithm": "ecdsa", "retryAfter": {"authz": 1, "order": 1},
                             "profiles": {"default": {"description": "bench", "validityPeriod": 7776000}}}}
        (folder / "pebble.json").write_text(json.dumps(config))

    def start(self):
        return launch(self.name, self.folder,
                      [str(PEERS / "pebble"), "-config", "pebble.json", "-dnsserver", f"127.0.0.1:{self.dns_port}"],
                      f"https://localhost:{self.port}/dir", self.dns_port, self.http_port, self.folder / "cert.pem",
                      {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"})


class StepCa:
    """Badger on disk, P-256 issuer."""
    name = "step-ca"

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.dns_port, self.http_port = free_port(), free_port()
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Bench Root", "-days", "30",
                cwd=folder)
        openssl("req", *curve, "-keyout", "issuer.key", "-out", "issuer.csr", "-subj", "/CN=Bench Issuer", cwd=folder)
        (folder / "issuer.ext").write_text(
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
        openssl("x509", "-req", "-in", "issuer.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out",
                "issuer.pem", "-days", "30", "-extfile", "issuer.ext", cwd=folder)
        config = {"root": "root.pem", "crt": "issuer.pem", "key": "issuer.key", "address": f"127.0.0.1:{self.port}",
                  "dnsNames": ["localhost"], "db": {"type": "badgerv2", "dataSource": "db"},
                  "logger": {"format": "json"},
                  "authority": {"provisioners": [{"type": "ACME", "name": "acme"}]}}
        (folder / "ca.json").write_text(json.dumps(config))

    def start(self):
        return launch(self.name, self.folder,
                      [str(PEERS / "step-ca"), "ca.json", "--resolver", f"127.0.0.1:{self.dns_port}", "--acme-http-port",
                       str(self.http_port), "--insecure"],
                      f"https://localhost:{self.port}/acme/acme/directory", self.dns_port, self.http_port, self.folder / "root.pem",
                      {"STEPPATH": str(self.folder)})


PEER_SOURCES = {"pebble": "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1",
                "step-ca": "github.com/smallstep/certificates/cmd/step-ca@v0.30.2"}


def build_peers():
    """Builds what is not there, with Go 1.24 or newer."""
    missing = [name for name in PEER_SOURCES if not (PEERS / name).exists()]
    if not missing:
        return
    try:
        version = subprocess.run(["go", "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        version = "none"
    numbers = version.removeprefix("go").split(".")
    if version == "none" or [int(each) for each in numbers[:2]] < [1, 24]:
        raise SystemExit(f"bench: Pebble and step-ca need Go 1.24 or newer to be built, and this is {version}: "
                         "put a newer one first in PATH")
    PEERS.mkdir(parents=True, exist_ok=True)
    for name in missing:
        print(f"building {name} from the Go module proxy, with {version} …", flush=True)
        subprocess.run(["go", "install", PEER_SOURCES[name]], check=True, env={**os.environ, "GOBIN": str(PEERS)})
