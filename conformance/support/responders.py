"""The web server's part of http-01 and tls-alpn-01, for clients that leave it to somebody: both serve what lies in a folder."""

import http.server
import re
import ssl
import threading

CHALLENGE_PATH = "/.well-known/acme-challenge/"
TOKEN = re.compile(r"[A-Za-z0-9_-]+")
HOST = re.compile(r"[A-Za-z0-9._-]+")
HANDSHAKE_SECONDS = 10


class _Background:
    """A socketserver on a thread of its own until close()."""

    def __init__(self, server):
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def serve_tokens(folder, port):
    """Answers http-01 on 127.0.0.1:`port`: the file `folder`/TOKEN."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            token = self.path.removeprefix(CHALLENGE_PATH)
            found = None
            if self.path.startswith(CHALLENGE_PATH) and TOKEN.fullmatch(token) and (folder / token).is_file():
                found = (folder / token).read_bytes()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            pass

    return _Background(http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler))


def serve_alpn(folder, port):
    """Answers tls-alpn-01 on 127.0.0.1:`port`: for SNI NAME the certificate `folder`/NAME.crt.pem and its key NAME.key.pem."""

    def context_for(name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["acme-tls/1"])
        context.load_cert_chain(folder / f"{name}.crt.pem", folder / f"{name}.key.pem")
        return context

    def choose(connection, name, _):
        if name is None or not HOST.fullmatch(name) or not (folder / f"{name}.crt.pem").is_file():
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context_for(name)
        return None

    base = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    base.set_alpn_protocols(["acme-tls/1"])
    base.sni_callback = choose

    class Handler(http.server.socketserver.BaseRequestHandler):
        def handle(self):
            self.request.settimeout(HANDSHAKE_SECONDS)
            try:
                with base.wrap_socket(self.request, server_side=True) as connection:
                    connection.recv(1)  # the validator hangs up
            except OSError:
                pass  # whoever connects may do so badly

    class Server(http.server.socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    return _Background(Server(("127.0.0.1", port), Handler))
