#!/usr/bin/python3
"""The rest of what the labs stand on: ports, the answering of challenges, the hooks in their dialects."""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from dnslib import DNSRecord

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from conformance.support.ports import PortBlock  # noqa: E402
from conformance.support.responders import serve_alpn, serve_tokens  # noqa: E402


class Support(unittest.TestCase):
    def setUp(self):
        self.ports = PortBlock()
        self.addCleanup(self.ports.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)


class PortsTest(Support):
    def test_blocks_side_by_side_share_no_port(self):
        with_another = PortBlock()
        self.addCleanup(with_another.close)
        mine, others = ({block.take() for _ in range(10)} for block in (self.ports, with_another))
        self.assertEqual((len(mine), len(others), mine & others), (10, 10, set()))

    def test_a_port_in_use_is_passed_over(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.ports._next))
            self.assertNotEqual(self.ports.take(), taken.getsockname()[1])


class RespondersTest(Support):
    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, b""

    def test_tokens_are_served_and_nothing_else(self):
        tokens, port = self.home / "tokens", self.ports.take()
        tokens.mkdir()
        (tokens / "abc_-9").write_text("abc_-9.print")
        (self.home / "secret").write_text("secret")
        self.addCleanup(serve_tokens(tokens, port).close)
        known = "/.well-known/acme-challenge/"
        self.assertEqual(self.get(port, known + "abc_-9"), (200, b"abc_-9.print"))
        for path in (known + "unknown", known + "../secret", known, "/abc_-9", "/"):
            self.assertEqual(self.get(port, path), (404, b""), path)

    def test_the_certificate_of_the_asked_name_is_served_under_acme_tls(self):
        port = self.ports.take()
        for name in ("a.test", "b.test"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                            f"/CN={name}", "-keyout", self.home / f"{name}.key.pem", "-out", self.home / f"{name}.crt.pem"],
                           check=True, capture_output=True)
        self.addCleanup(serve_alpn(self.home, port).close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        for name in ("a.test", "b.test"):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, \
                    context.wrap_socket(plain, server_hostname=name) as connection:
                expected = ssl.PEM_cert_to_DER_cert((self.home / f"{name}.crt.pem").read_text())
                self.assertEqual(connection.getpeercert(binary_form=True), expected)
                self.assertEqual(connection.selected_alpn_protocol(), "acme-tls/1")
        for name in ("c.test", "a.tes"):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, self.assertRaises(ssl.SSLError):
                context.wrap_socket(plain, server_hostname=name)


class HookTest(Support):
    def setUp(self):
        super().setUp()
        responder = subprocess.Popen([str(HERE / "dns_responder.py"), "--control"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(responder.stdout.close)
        self.addCleanup(responder.wait)
        self.addCleanup(responder.terminate)
        host, port = responder.stdout.readline().strip().removeprefix("listening on ").rsplit(":", 1)
        self.dns = host, int(port)
        (self.home / "control").write_text(responder.stdout.readline().strip().removeprefix("control on "))
        (self.home / "tokens").mkdir()

    def hook(self, *words, challenge="dns-01", **environment):
        return subprocess.run([str(HERE / "hook.py"), words[0], challenge, str(self.home), *words[1:]], capture_output=True,
                              text=True, env={**os.environ, **environment}, check=False).returncode

    def records(self, name):
        reply = DNSRecord.parse(DNSRecord.question(name, "TXT").send(*self.dns, timeout=5))
        return [b"".join(record.rdata.data).decode() for record in reply.rr]

    def test_every_dialect_adds_its_record_and_takes_it_away(self):
        certbot = {"CERTBOT_DOMAIN": "a.test", "CERTBOT_VALIDATION": "proof"}
        rows = {
            "certbot": (["add"], ["remove"], certbot),
            "lego": (["present", "_acme-challenge.a.test.", "proof"], ["cleanup", "_acme-challenge.a.test.", "proof"], {}),
            "uacme": (["begin", "dns-01", "a.test", "t", "proof"], ["done", "dns-01", "a.test", "t", "proof"], {}),
            "dehydrated": (["deploy_challenge", "a.test", "t", "proof"], ["clean_challenge", "a.test", "t", "proof"], {}),
            "mod_md": (["setup", "a.test", "proof"], ["teardown", "a.test", "proof"], {}),
        }
        for dialect, (begin, end, environment) in rows.items():
            with self.subTest(dialect):
                self.assertEqual(self.hook(dialect, *begin, **environment), 0)
                self.assertEqual(self.records("_acme-challenge.a.test"), ["proof"])
                self.assertEqual(self.hook(dialect, *end, **environment), 0)
                self.assertEqual(self.records("_acme-challenge.a.test"), [])

    def test_uacme_is_told_no_about_a_challenge_that_the_flow_is_not_about(self):
        self.assertEqual(self.hook("uacme", "begin", "http-01", "a.test", "token", "proof"), 1)
        self.assertEqual(self.hook("uacme", "begin", "http-01", "a.test", "token", "proof", challenge="http-01"), 0)
        self.assertEqual((self.home / "tokens" / "token").read_text(), "proof")

    def test_a_responder_that_is_gone_is_an_error(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            (self.home / "control").write_text(f"127.0.0.1:{closed.getsockname()[1]}")
            self.assertNotEqual(self.hook("mod_md", "setup", "a.test", "proof"), 0)


if __name__ == "__main__":
    unittest.main()
