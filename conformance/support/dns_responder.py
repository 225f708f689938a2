#!/usr/bin/python3
"""A DNS responder for tests: answers over UDP and TCP on loopback from records set at run time.

It prints "listening on ADDRESS:PORT" and, with --control, "control on ADDRESS:PORT", then serves until it is terminated.

Control is a line of JSON per connection line, answered by a line, "ok" or "error: …":
  {"set": {"name": "a.test", "type": "A", "data": ["127.0.0.2"], "ttl": 5}}
  {"set": {"name": "_acme-challenge.a.test", "type": "TXT", "data": ["one", "two"]}}   two records
  {"set": {"name": "a.test", "type": "CAA", "data": ["0 issue \\"ca.test\\""]}}
  {"add": {"name": "_acme-challenge.a.test", "type": "TXT", "data": ["three"]}}        one more beside them
  {"remove": {"name": "_acme-challenge.a.test", "type": "TXT", "data": ["one"]}}       that one only
  {"behave": {"name": "b.test", "rcode": "SERVFAIL"}}      NOERROR NXDOMAIN REFUSED SERVFAIL
  {"behave": {"name": "c.test", "delay": 2.5}}             seconds before each answer
  {"behave": {"name": "d.test", "truncate": true}}         TC over UDP, whole over TCP
  {"clear": "a.test"}  {"clear": null}                     one name, everything
--zone FILE starts with the commands in FILE: a JSON array of such objects.
"""

import argparse
import ipaddress
import json
import shlex
import signal
import socketserver
import sys
import threading

from dnslib import AAAA, CAA, CNAME, MX, NS, QTYPE, RCODE, RR, TXT, A, DNSHeader, DNSRecord

MAX_CHAIN = 16
TXT_STRING = 255  # octets of one character-string: longer texts are split


class Zone:
    """The records and behaviours by name. Safe to use from many threads."""

    def __init__(self, default_addresses):
        self._lock = threading.Lock()
        self._records = {}    # (name, type) -> [(ttl, data)]
        self._behaviours = {}  # name -> dict
        self._defaults = [ipaddress.ip_address(text) for text in default_addresses]

    def set(self, name, kind, data, ttl=5):
        parsed = [rdata(kind, text) for text in data]
        with self._lock:
            self._records[canonical(name), kind] = [(ttl, item) for item in parsed]

    def add(self, name, kind, data, ttl=5):
        parsed = [(ttl, rdata(kind, text)) for text in data]
        with self._lock:
            self._records.setdefault((canonical(name), kind), []).extend(parsed)

    def remove(self, name, kind, data):
        """Takes these records away; the last one takes its name along. Unknown ones are no error."""
        gone = [repr(rdata(kind, text)) for text in data]
        key = canonical(name), kind
        with self._lock:
            left = [record for record in self._records.pop(key, []) if repr(record[1]) not in gone]
            if left:
                self._records[key] = left

    def behave(self, name, behaviour):
        unknown = set(behaviour) - {"rcode", "delay", "truncate"}
        if unknown:
            raise ValueError(f"unknown behaviour {', '.join(sorted(unknown))}")
        if "rcode" in behaviour:
            getattr(RCODE, behaviour["rcode"])
        with self._lock:
            self._behaviours.setdefault(canonical(name), {}).update(behaviour)

    def clear(self, name):
        with self._lock:
            if name is None:
                self._records.clear()
                self._behaviours.clear()
                return
            key = canonical(name)
            self._behaviours.pop(key, None)
            for record in [record for record in self._records if record[0] == key]:
                del self._records[record]

    def behaviour(self, name):
        with self._lock:
            return dict(self._behaviours.get(name, {}))

    def lookup(self, name, kind):
        """The answer section for a question: [(owner, type, ttl, data)], CNAMEs followed; None when the name is not known."""
        answer, owner = [], name
        with self._lock:
            for _ in range(MAX_CHAIN):
                found = self._records.get((owner, kind))
                if found is not None:
                    return answer + [(owner, kind, ttl, data) for ttl, data in found]
                alias = self._records.get((owner, "CNAME"))
                if alias is None:
                    break
                ttl, target = alias[0]
                answer.append((owner, "CNAME", ttl, target))
                owner = canonical(str(target.label))
            if self._defaults:
                version = {"A": 4, "AAAA": 6}.get(kind)
                return answer + [(owner, kind, 5, rdata(kind, str(address))) for address in self._defaults
                                 if address.version == version]
            known = any(record_name == owner for record_name, _ in self._records)
            return answer if known or answer else None


def canonical(name):
    return name.rstrip(".").lower()


def rdata(kind, text):
    """One record's data from its text."""
    if kind == "TXT":
        octets = text.encode()
        return TXT([octets[i:i + TXT_STRING] for i in range(0, len(octets), TXT_STRING)] or [b""])
    if kind == "CAA":
        flags, tag, value = shlex.split(text)
        return CAA(int(flags), tag, value)
    makers = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "NS": NS, "MX": MX}
    if kind not in makers:
        raise ValueError(f"unknown record type {kind}")
    if kind in ("A", "AAAA"):
        ipaddress.ip_address(text)
    return makers[kind](text)


def answer(zone, octets, *, udp):
    """The octets to send for the query in `octets`; None for what is no query. Blocks for a name's delay."""
    try:
        query = DNSRecord.parse(octets)
        name, kind = canonical(str(query.q.qname)), QTYPE[query.q.qtype]
    except Exception:  # whatever dnslib throws at hostile octets
        return None
    behaviour = zone.behaviour(name)
    if behaviour.get("delay"):
        threading.Event().wait(behaviour["delay"])
    header = DNSHeader(id=query.header.id, qr=1, aa=1, rd=query.header.rd, ra=1)
    reply = DNSRecord(header, q=query.q)
    if "rcode" in behaviour and behaviour["rcode"] != "NOERROR":
        reply.header.rcode = getattr(RCODE, behaviour["rcode"])
        return reply.pack()
    if udp and behaviour.get("truncate"):
        reply.header.tc = 1
        return reply.pack()
    found = zone.lookup(name, kind)
    if found is None:
        reply.header.rcode = RCODE.NXDOMAIN
        return reply.pack()
    for owner, record_kind, ttl, data in found:
        reply.add_answer(RR(owner, getattr(QTYPE, record_kind), rdata=data, ttl=ttl))
    packed = reply.pack()
    if udp and len(packed) > 1232:
        return reply.truncate().pack()
    return packed


def obey(zone, command):
    """Does what one control command says; ValueError or KeyError for what is none."""
    (verb, what), = command.items()
    if verb == "set":
        zone.set(what["name"], what["type"], what["data"], what.get("ttl", 5))
    elif verb == "add":
        zone.add(what["name"], what["type"], what["data"], what.get("ttl", 5))
    elif verb == "remove":
        zone.remove(what["name"], what["type"], what["data"])
    elif verb == "behave":
        zone.behave(what["name"], {key: value for key, value in what.items() if key != "name"})
    elif verb == "clear":
        zone.clear(what)
    else:
        raise ValueError(f"unknown command {verb}")


class UdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        octets, sock = self.request
        reply = answer(self.server.zone, octets, udp=True)
        if reply is not None:
            sock.sendto(reply, self.client_address)


class TcpHandler(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            octets = self.rfile.read(int.from_bytes(head, "big"))
            reply = answer(self.server.zone, octets, udp=False)
            if reply is None:
                return
            self.wfile.write(len(reply).to_bytes(2, "big") + reply)


class ControlHandler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            try:
                obey(self.server.zone, json.loads(line))
                self.wfile.write(b"ok\n")
            except Exception as error:  # told to who asked
                self.wfile.write(f"error: {error}\n".encode())


class Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def bind_both(address, port):
    """A UDP and a TCP server on one port; with port 0 tries until one is free for both."""
    for _ in range(50):
        tcp = Tcp((address, port), TcpHandler)
        try:
            return Udp((address, tcp.server_address[1]), UdpHandler), tcp
        except OSError:
            tcp.server_close()
            if port != 0:
                raise
    raise OSError("no port is free for both UDP and TCP")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--control", action="store_true", help="take commands on a port of its own")
    parser.add_argument("--default-address", action="append", default=[],
                        help="every name that has no records is at this address; may be repeated")
    parser.add_argument("--zone", metavar="FILE", type=argparse.FileType(), help="commands to start with, as JSON")
    arguments = parser.parse_args()
    zone = Zone(arguments.default_address)
    for command in json.load(arguments.zone) if arguments.zone else []:
        obey(zone, command)
    servers = list(bind_both(arguments.address, arguments.port))
    print(f"listening on {arguments.address}:{servers[0].server_address[1]}", flush=True)
    if arguments.control:
        control = Tcp((arguments.address, 0), ControlHandler)
        servers.append(control)
        print(f"control on {arguments.address}:{control.server_address[1]}", flush=True)
    for server in servers:
        server.zone = zone
        threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
