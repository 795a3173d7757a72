"""A port that answers as a Kafka broker does until a client has logged in over TLS; then it hangs up."""

import queue
import socket
import ssl
import struct
import subprocess
import threading

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
UNSUPPORTED_VERSION = 35


def certificate(folder, name="cert"):
    """A certificate that signs itself for 127.0.0.1, and its key: two files of a folder."""
    pair = folder / f"{name}.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(pair[1]), "-out", str(pair[0])]
    subprocess.run(command, check=True, capture_output=True)
    return pair


class LoginPort:
    """`heard` gets (mechanism, what the client says of itself) of every login, or why there was none."""

    def __init__(self, cert, key):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listens.getsockname()[1]}"
        self.heard = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listens.close()

    def _accept(self):
        while True:
            try:
                plain, _ = self._listens.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(plain,), daemon=True).start()

    def _meet(self, plain):
        plain.settimeout(20)
        try:
            with self._context.wrap_socket(plain, server_side=True) as client:
                self.heard.put(_login(client))
        except ssl.SSLError as error:
            self.heard.put(error.reason)
        except (OSError, EOFError):
            pass  # a client that ended meanwhile


def _login(client):
    mechanism = ""
    while True:
        key, version, number, said = _request(client)
        if key == API_VERSIONS and version > 0:
            _answer(client, number, struct.pack(">hi", UNSUPPORTED_VERSION, 0))
        elif key == API_VERSIONS:
            known = [(API_VERSIONS, 0, 0), (SASL_HANDSHAKE, 0, 1), (SASL_AUTHENTICATE, 0, 0)]
            _answer(
                client, number, struct.pack(">hi", 0, len(known)) + b"".join(struct.pack(">hhh", *k) for k in known)
            )
        elif key == SASL_HANDSHAKE:
            mechanism = said[2:].decode()
            _answer(client, number, struct.pack(">hih", 0, 1, len(said) - 2) + said[2:])
        else:
            assert key == SASL_AUTHENTICATE, key
            return mechanism, said[4:]


def _request(client):
    """Which request it is, its version and number, and what it says."""
    body = _exactly(client, struct.unpack(">i", _exactly(client, 4))[0])
    key, version, number, name = struct.unpack(">hhih", body[:10])
    return key, version, number, body[10 + max(0, name) :]


def _answer(client, number, body):
    client.sendall(struct.pack(">ii", len(body) + 4, number) + body)


def _exactly(client, count):
    found = b""
    while len(found) < count:
        more = client.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found
