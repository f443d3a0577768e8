"""The web server: the addresses that it listens on, and limits on requests before they reach the application."""

from ipaddress import ip_address
from typing import Any

import waitress
from flask import Flask
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, TransferEncodingNotImplemented
from waitress.receiver import FixedStreamReceiver
from waitress.server import TcpWSGIServer
from werkzeug.datastructures import Headers
from werkzeug.sansio.request import Request

from cbir.files.errors import InputError
from cbir.web import guard

# The most bytes of a request; the server closes the connection of a larger one. The limit is above that of an image, so
# that the application can refuse a slightly larger image with an explanation.
_LARGEST_REQUEST = 40_000_000


class Server:
    """A server that listens for requests to the application.

    Attributes:
        address: the address to open in a browser on this machine, including the key.
        public: whether other machines can reach it.
    """

    def __init__(self, app: Flask, host: str, port: int) -> None:
        """Start to listen.

        Args:
            app: the application, protected by `guard.protect`.
            host: the address or name to listen on; ``0.0.0.0``, ``::`` and ``*`` mean all addresses of the machine.
            port: from 1 to 65535, or 0 for any free one.

        Raises:
            InputError: when the server cannot listen on that address.
        """
        sockets: dict[int, Any] = {}
        try:
            # Checked here, because the system takes a larger number modulo 65536.
            if not 0 <= port <= 65535:
                raise ValueError("there is no such port")
            self._server = waitress.create_server(
                app, sockets, host=host, port=port, threads=8, max_request_body_size=_LARGEST_REQUEST, ident=None
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"The search page cannot listen on {host}, port {port} ({error}): choose another by --host or --port."
            ) from None
        # A name may resolve to several addresses, each with its own socket.
        listening = [server for server in sockets.values() if isinstance(server, TcpWSGIServer)]
        for server in listening:
            server.channel_class = _channel(app.config["KEY"])
        addresses = [ip_address(server.effective_host) for server in listening]
        self.public = not all(address.is_loopback for address in addresses)
        first = addresses[0]
        if first.is_unspecified:
            first = ip_address("127.0.0.1" if first.version == 4 else "::1")
        shown = f"[{first}]" if first.version == 6 else str(first)
        self.address = f"http://{shown}:{listening[0].effective_port}/?key={app.config['KEY']}"

    def run(self) -> None:
        """Answer requests until the process is interrupted."""
        self._server.run()


class _Nothing(OverflowableBuffer):
    """A buffer that discards what is written to it."""

    def append(self, s: bytes) -> None:
        pass


def _channel(key: str) -> type[HTTPChannel]:
    """Return a class of connections that discards the body of a request that will be refused.

    The server reads the whole body, of a large one into a file, before the application sees the request. So anybody
    without the key could fill the disk.
    """

    class Parser(HTTPRequestParser):
        body_rcv: Any

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.body_rcv is None or not self._refused():
                return
            if self.chunked:
                # The search page never sends a body of unknown length.
                raise TransferEncodingNotImplemented("Transfer-Encoding requested is not supported.")
            self.body_rcv = FixedStreamReceiver(self.content_length, _Nothing(0))

        def _refused(self) -> bool:
            headers = Headers([(name.replace("_", "-"), value) for name, value in self.headers.items()])
            asked = Request(self.command, self.url_scheme, None, "", "/", b"", headers, None)
            return bool(guard.foreign(asked) or guard.keyless(asked, key))

    class Channel(HTTPChannel):
        parser_class = Parser

    return Channel
