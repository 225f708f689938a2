#!/usr/bin/python3
"""The DNS responder, asked over real sockets."""

import json
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSRecord

RESPONDER = Path(__file__).with_name("dns_responder.py")


class DnsResponderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as zone:
            json.dump([{"set": {"name": "file.test", "type": "A", "data": ["127.0.0.7"]}}], zone)
            zone.flush()
            cls.process = subprocess.Popen([str(RESPONDER), "--control", "--default-address", "127.0.0.9", "--zone",
                                            zone.name], stdout=subprocess.PIPE, text=True)
            cls.dns = cls.address("listening on ")
        cls.control_address = cls.address("control on ")

    @classmethod
    def address(cls, prefix):
        line = cls.process.stdout.readline().strip()
        host, port = line.removeprefix(prefix).rsplit(":", 1)
        return host, int(port)

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(timeout=10)
        cls.process.stdout.close()

    def tell(self, **command):
        with socket.create_connection(self.control_address, timeout=5) as control:
            control.sendall(json.dumps(command).encode() + b"\n")
            return control.makefile().readline().strip()

    def ask(self, name, kind, *, tcp=False):
        question = DNSRecord.question(name, kind)
        if tcp:
            octets = question.send(*self.dns, tcp=True, timeout=5)
        else:
            octets = question.send(*self.dns, timeout=5)
        return DNSRecord.parse(octets)

    def texts(self, reply):
        return sorted((QTYPE[r.rtype], str(r.rdata)) for r in reply.rr)

    def test_the_zone_file_is_served_from_the_start(self):
        self.assertEqual(self.texts(self.ask("file.test", "A")), [("A", "127.0.0.7")])

    def test_unknown_names_have_the_default_address(self):
        self.assertEqual(self.texts(self.ask("any.test", "A")), [("A", "127.0.0.9")])
        self.assertEqual(self.texts(self.ask("any.test", "AAAA")), [])

    def test_records_are_answered_over_udp_and_tcp(self):
        self.assertEqual(self.tell(set={"name": "txt.test", "type": "TXT", "data": ["one", "x" * 300]}), "ok")
        for tcp in (False, True):
            reply = self.ask("TXT.test", "TXT", tcp=tcp)
            self.assertEqual(sorted(b"".join(r.rdata.data) for r in reply.rr), [b"one", b"x" * 300])

    def test_records_are_added_and_removed_one_by_one(self):
        def texts():
            return sorted(b"".join(r.rdata.data) for r in self.ask("more.test", "TXT").rr)

        for text in ("one", "two", "y" * 300):
            self.assertEqual(self.tell(add={"name": "more.test", "type": "TXT", "data": [text]}), "ok")
        self.assertEqual(texts(), [b"one", b"two", b"y" * 300])
        self.assertEqual(self.tell(remove={"name": "More.test.", "type": "TXT", "data": ["y" * 300, "unknown"]}), "ok")
        self.assertEqual(texts(), [b"one", b"two"])
        self.tell(remove={"name": "more.test", "type": "TXT", "data": ["one", "two"]})
        self.assertEqual(texts(), [])

    def test_names_without_records_have_no_caa(self):
        reply = self.ask("nobody.test", "CAA")
        self.assertEqual((reply.header.rcode, reply.rr), (RCODE.NOERROR, []))

    def test_caa_and_cname_chains(self):
        self.tell(set={"name": "caa.test", "type": "CAA", "data": ['0 issue "ca.test"', '128 tbs "x"']})
        self.tell(set={"name": "alias.test", "type": "CNAME", "data": ["caa.test"]})
        kinds = [kind for kind, _ in self.texts(self.ask("alias.test", "CAA"))]
        self.assertEqual(kinds, ["CAA", "CAA", "CNAME"])

    def test_a_cname_loop_ends(self):
        self.tell(set={"name": "x.test", "type": "CNAME", "data": ["y.test"]})
        self.tell(set={"name": "y.test", "type": "CNAME", "data": ["x.test"]})
        self.assertGreater(len(self.ask("x.test", "TXT").rr), 1)

    def test_behaviours(self):
        self.tell(behave={"name": "fail.test", "rcode": "SERVFAIL"})
        self.assertEqual(self.ask("fail.test", "A").header.rcode, RCODE.SERVFAIL)
        self.tell(behave={"name": "cut.test", "truncate": True})
        self.assertEqual(self.ask("cut.test", "A").header.tc, 1)
        self.assertEqual(self.texts(self.ask("cut.test", "A", tcp=True)), [("A", "127.0.0.9")])
        self.tell(behave={"name": "slow.test", "delay": 0.3})
        started = time.monotonic()
        self.ask("slow.test", "A")
        self.assertGreaterEqual(time.monotonic() - started, 0.3)
        self.tell(clear="fail.test")
        self.assertEqual(self.ask("fail.test", "A").header.rcode, RCODE.NOERROR)

    def test_bad_commands_are_told(self):
        for command in ({"set": {"name": "a", "type": "A", "data": ["x"]}}, {"fly": 1},
                        {"behave": {"name": "a", "colour": 1}}):
            self.assertTrue(self.tell(**command).startswith("error: "), command)


if __name__ == "__main__":
    unittest.main()
