#!/usr/bin/python3
"""What the clients call to have a challenge answered, each in its own way of asking; Lab.hook() writes the call.

hook.py DIALECT CHALLENGE HOME ARGUMENT...   HOME is the lab's folder: control (address of the DNS responder), tokens/, ualpn.sock
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def txt(home, verb, name, value):
    """Adds or removes the record that dns-01 of `name` asks for."""
    name = name.rstrip(".").removeprefix("*.")
    if not name.startswith("_acme-challenge."):
        name = f"_acme-challenge.{name}"
    host, port = (home / "control").read_text().rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as control:
        command = {verb: {"name": name, "type": "TXT", "data": [value]}}
        control.sendall(json.dumps(command).encode() + b"\n")
        answer = control.makefile().readline().strip()
    if answer != "ok":
        sys.exit(f"the DNS responder says: {answer}")


def certbot(_, home, verb):
    txt(home, verb, os.environ["CERTBOT_DOMAIN"], os.environ["CERTBOT_VALIDATION"])


def lego(_, home, verb, name, value):
    txt(home, {"present": "add", "cleanup": "remove"}[verb], name, value)


def uacme(wanted, home, method, kind, name, token, value):
    if kind != wanted:
        sys.exit(1)  # declined: uacme offers the next one
    begin = method == "begin"
    if kind == "dns-01":
        txt(home, "add" if begin else "remove", name, value)
    elif kind == "http-01":
        file = home / "tokens" / token
        if begin:
            file.write_text(value)
        else:
            file.unlink(missing_ok=True)
    else:
        line = f"auth {name} {value}\n" if begin else f"unauth {name}\n"
        done = subprocess.run(["ualpn", "-s", home / "ualpn.sock"], input=line, capture_output=True, text=True, timeout=20,
                              check=False)
        if not done.stdout.startswith("OK"):
            sys.exit(f"ualpn: {done.stdout}{done.stderr}")


def dehydrated(challenge, home, what, *more):
    verb = {"deploy_challenge": "add", "clean_challenge": "remove"}.get(what)
    if verb is not None and challenge == "dns-01":
        name, _, value = more
        txt(home, verb, name, value)


def mod_md(_, home, verb, name, *value):
    if verb == "setup":
        txt(home, "add", name, value[0])
    elif value:
        txt(home, "remove", name, value[0])


def main():
    dialect, challenge, home, *arguments = sys.argv[1:]
    known = {"certbot": certbot, "lego": lego, "uacme": uacme, "dehydrated": dehydrated, "mod_md": mod_md}
    known[dialect](challenge, Path(home), *arguments)


if __name__ == "__main__":
    main()
