"""How long real clients take for one certificate: wall-clock seconds of a whole client run, from its start to its end.

Each client has an account before it is measured, and asks for a new name each time by http-01."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import servers

DNS = servers.ROOT / "conformance/support/dns_responder.py"
SECONDS = 120


def lego(home, server, name):
    return (["lego", "--server", server.directory, "--email", "ops@bench.test", "--accept-tos", "--path", home, "--domains", name,
             "--http", "--http.port", f"127.0.0.1:{server.http_port}", "run"], {"LEGO_CA_CERTIFICATES": server.root})


def certbot(home, server, name):
    return (["certbot", "certonly", "--non-interactive", "--server", server.directory, "--agree-tos", "--email",
             "ops@bench.test", "--no-eff-email", "--standalone", "--http-01-address", "127.0.0.1", "--http-01-port",
             str(server.http_port), "--config-dir", home / "config", "--work-dir", home / "work", "--logs-dir", home / "logs",
             "-d", name], {"REQUESTS_CA_BUNDLE": server.root})


def acme_sh(home, server, name):
    """ACME_SH names the script, which no registry has; it wants socat."""
    return ([os.environ["ACME_SH"], "--issue", "--server", server.directory, "--home", home, "--standalone", "--httpport",
             str(server.http_port), "--ca-bundle", server.root, "--keylength", "ec-256", "-d", name], {})


def clients():
    """The clients that are there: name -> what makes the command and its environment."""
    found = {name: make for name, make in (("lego", lego), ("certbot", certbot)) if shutil.which(name)}
    if os.environ.get("ACME_SH"):
        found["acme.sh"] = acme_sh
    return found


def seconds_of(make, home, server, name):
    command, more = make(home, server, name)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "run.log"
    with open(log, "wb") as out:
        began = time.monotonic()
        run = subprocess.run([str(word) for word in command], stdout=out, stderr=out, timeout=SECONDS,
                             env={**os.environ, "HOME": str(home), **{key: str(value) for key, value in more.items()}})
        took = time.monotonic() - began
    if run.returncode != 0:
        raise SystemExit(f"bench: {command[0]} got no certificate from {server.name}:\n" + log.read_text(errors="replace")[-2000:])
    return took


def measure(folder: pathlib.Path, options):
    """One server after the other, each client in turn; prints the median of each."""
    servers.build_peers()
    kinds = [servers.Gatehouse, servers.Pebble, servers.StepCa]
    taken = {}
    for kind in kinds:
        server = kind(folder / kind.name).start()
        responder = subprocess.Popen(["/usr/bin/python3", str(DNS), "--port", str(server.dns_port), "--default-address",
                                      "127.0.0.1"], stdout=subprocess.PIPE, text=True)
        try:
            responder.stdout.readline()  # it listens
            for client, make in clients().items():
                home = folder / f"{kind.name}-{client}"
                seconds_of(make, home, server, f"warm-up.{client.replace('.', '-')}.bench.test")
                for number in range(options.rounds):
                    took = seconds_of(make, home, server, f"n{number}.{client.replace('.', '-')}.bench.test")
                    taken.setdefault((client, kind.name), []).append(took)
        finally:
            responder.terminate()
            responder.wait()
            server.stop()
    print(f"Seconds for one certificate, whole run of the client, median of {options.rounds}:")
    print("| Client | " + " | ".join(kind.name for kind in kinds) + " |\n|---|" + "---|" * len(kinds))
    for client in clients():
        print(f"| {client} | " + " | ".join(f"{statistics.median(taken[client, kind.name]):.2f}" for kind in kinds) + " |", flush=True)
    return 0
