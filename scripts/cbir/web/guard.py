"""What keeps other web sites away from a page on this machine.

Any site that a person visits can send requests to 127.0.0.1. Three things stop it: only the server's own names are
answered, so that no foreign name can be pointed at it (DNS rebinding); what changes a file must come from the page
itself; and no other site may frame the page or run a script in it.
"""

import hmac
import secrets
import socket
from ipaddress import ip_address

from flask import Flask, Response, abort, request

_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # "no-referrer" would also hide the origin of the page's own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def own_names(host: str) -> list[str]:
    """Return the names that a server listening on ``host`` answers to, an IPv6 address in brackets."""
    names = {"localhost", "127.0.0.1", "::1", host}
    try:
        everywhere = ip_address(host).is_unspecified
    except ValueError:
        everywhere = False
    if everywhere:
        names.add(socket.gethostname())
        names |= {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)}
    return sorted(f"[{name}]" if ":" in name else name for name in names)


def protect(app: Flask, names: list[str]) -> None:
    """Refuse requests for other names and writes from other sites, and send the headers that browsers obey.

    Args:
        app: the application; it gets ``TRUSTED_HOSTS``, which the framework checks, and ``WRITE_TOKEN``.
        names: from `own_names`. Any port is taken, so that the page can be reached through a tunnel.
    """
    app.config["TRUSTED_HOSTS"] = names
    app.config["WRITE_TOKEN"] = secrets.token_urlsafe(32)

    @app.before_request
    def check_write() -> None:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        foreign = site not in (None, "same-origin") or origin not in (None, f"{request.scheme}://{request.host}")
        if foreign or site is origin is None:
            abort(403, "This request does not come from the page itself, so it is refused.")
        given = request.form.get("token", "").encode()
        if not hmac.compare_digest(given, app.config["WRITE_TOKEN"].encode()):
            abort(403, "The server has been started again since this page was opened: reload the page.")

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        # Pictures name their content, so they may stay; a page shows what is so now.
        response.headers.setdefault("Cache-Control", "no-store")
        return response
