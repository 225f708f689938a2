"""An ACME client that is quick rather than careful, and the web servers that it proves names at."""

import base64
import hashlib
import http.client
import ipaddress
import json
import multiprocessing
import socket
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attack import AttackError

POLL_SECONDS = 0.01


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Key:
    """A P-256 key, as JWS and JWK want it."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
                    "y": b64(numbers.y.to_bytes(32, "big"))}
        self.thumbprint = b64(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest())

    def jws(self, header, payload):
        protected = b64(json.dumps({"alg": "ES256", **header}).encode())
        body = b64(payload)
        r, s = decode_dss_signature(self.private.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        return {"protected": protected, "payload": body, "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        if self.status not in statuses:
            raise AttackError(f"the server answered {self.status}: {self.body[:300]!r}")
        return self


class Client:
    """One account on one connection, of one thread. Names are IPv4 addresses."""

    def __init__(self, port):
        self._port, self.key, self.kid, self._nonce = port, Key(), None, None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30)
        self.urls = self._call("GET", self.url("/directory")).expect(200).json()
        self._call("HEAD", self.urls["newNonce"])

    def reconnect(self):
        """The server was started again."""
        self._connection.close()
        self._call("HEAD", self.urls["newNonce"])

    def url(self, path):
        return f"https://localhost:{self._port}{path}"

    def _call(self, method, url, body=None):
        headers = {"Content-Type": "application/jose+json"} if body else {}
        self._connection.request(method, url.removeprefix(self.url("")), body=body, headers=headers)
        answer = Answer(self._connection.getresponse())
        self._nonce = answer.headers.get("Replay-Nonce", self._nonce)
        return answer

    def post(self, url, payload=None, key=None):
        """`payload` None: POST-as-GET."""
        signer = key or self.key
        who = {"kid": self.kid} if self.kid and key is None else {"jwk": signer.jwk}
        octets = b"" if payload is None else json.dumps(payload).encode()
        return self._call("POST", url, json.dumps(signer.jws({**who, "nonce": self._nonce, "url": url}, octets)))

    def new_account(self):
        answer = self.post(self.urls["newAccount"], {"termsOfServiceAgreed": True}, key=self.key)
        if answer.status == 201:
            self.kid = answer.headers["Location"]
        return answer

    def new_order(self, addresses):
        return self.post(self.urls["newOrder"], {"identifiers": [{"type": "ip", "value": each} for each in addresses]})

    def challenge_of(self, authorization):
        challenges = self.post(authorization).expect(200).json()["challenges"]
        return next(each["url"] for each in challenges if each["type"] == "http-01")

    def prove(self, authorization, timeout=120):
        """Answers the http-01 challenge; returns how many seconds it took to be valid."""
        challenge = self.challenge_of(authorization)
        begin = time.monotonic()
        self.post(challenge, {}).expect(200)
        while (status := self.post(authorization).expect(200).json()["status"]) == "pending":
            if time.monotonic() - begin > timeout:
                raise AttackError(f"a validation took longer than {timeout} s")
            time.sleep(POLL_SECONDS)
        if status != "valid":
            raise AttackError(f"an honest authorization became {status}")
        return time.monotonic() - begin

    def obtain(self, address):
        """Returns the leaf in DER."""
        answer = self.new_order([address]).expect(201)
        order, where = answer.json(), answer.headers["Location"]
        self.prove(order["authorizations"][0])
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        ).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        csr = request.public_bytes(serialization.Encoding.DER)
        order = self.post(order["finalize"], {"csr": b64(csr)}).expect(200).json()
        while order["status"] == "processing":
            time.sleep(POLL_SECONDS)
            order = self.post(where).expect(200).json()
        chain = self.post(order["certificate"]).expect(200).body
        return x509.load_pem_x509_certificate(chain).public_bytes(serialization.Encoding.DER)

    def change_key(self):
        new = Key()
        inner = new.jws({"jwk": new.jwk, "url": self.urls["keyChange"]},
                        json.dumps({"account": self.kid, "oldKey": self.key.jwk}).encode())
        answer = self.post(self.urls["keyChange"], inner)
        if answer.status == 200:
            self.key = new
        return answer


class Targets:
    """`with Targets() as targets:` web servers on one port of every loopback address. That of 127.0.0.1 answers challenges
    of one account, answer_for(); all others take connections and never say anything."""

    HONEST = "127.0.0.1"

    def __init__(self):
        self._listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port = self._listener.getsockname()[1]
        self._thumbprint = multiprocessing.Array("c", 64)
        self._process = multiprocessing.Process(target=self._serve, daemon=True)

    def answer_for(self, thumbprint):
        """That of the account's key."""
        self._thumbprint.value = thumbprint.encode()

    def __enter__(self):
        self._process.start()
        self._listener.close()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()

    def _serve(self):
        silent = []
        while True:
            client, _ = self._listener.accept()
            if client.getsockname()[0] == self.HONEST:
                threading.Thread(target=self._answer, args=(client, self._thumbprint.value.decode()), daemon=True).start()
            else:
                silent.append(client)

    @staticmethod
    def _answer(client, thumbprint):
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = client.recv(4096)
                if not piece:
                    return
                request += piece
            token = request.split(b" ", 2)[1].rsplit(b"/", 1)[1].decode()
            body = f"{token}.{thumbprint}"
            client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def settings(targets):
    """What a server needs to prove loopback addresses, and to be asked rather than waited for."""
    return {"validators.http01.port": targets.port,
            "profiles.default.allowed_addresses": '["127.0.0.0/8"]',
            "profiles.default.reuse_authorizations": "false",
            "answer_wait.challenge": "0s"}
