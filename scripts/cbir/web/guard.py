"""Access control: only browsers that have the key may use the search page, and no other web site may.

At each start the server makes a new random key, and prints an address that contains it. The first visit to that address
stores the key in a cookie, as Jupyter does; every request without the cookie is refused. Other users of the machine do
not know the key. Other web sites cannot use it: the cookie is bound to the host name under which the search page was
opened, so a request to another name for this server (DNS rebinding) has no cookie, and with SameSite=Strict browsers do
not send it with requests that another site starts. Browsers treat all ports of a host as one site, so requests from
other servers on the same host are recognised by the headers Sec-Fetch-Site and Origin.

Flask-WTF, Flask-Talisman and the like do not replace this: they protect the requests of visitors who have logged in,
and here the question is who may visit at all.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, abort, make_response, render_template, request, url_for
from werkzeug.sansio.request import Request

_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer", with which browsers send no Origin for the search page's own forms either.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def protect(app: Flask) -> None:
    """Refuse requests without the key and requests from other sites, and add security headers to all responses.

    Args:
        app: the application; its configuration gets ``KEY``, the key of this start.
    """
    app.config["KEY"] = key = secrets.token_urlsafe(32)

    @app.before_request
    def check() -> Response | None:
        reason = foreign(request)
        if not reason and _same(request.args.get("key", ""), key):
            response = make_response(render_template("opened.html"))
            response.set_cookie(_cookie(request), key, httponly=True, samesite="Strict")
            # Not a redirect: if the link was on another site, a browser would follow a redirect without the cookie.
            response.headers["Refresh"] = f"0; url={url_for('home')}"
            return response
        if reason := reason or keyless(request, key):
            abort(403, reason)
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        # Pages must not be cached. Pictures set their own header, because their address contains a content hash.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def keyless(request: Request, key: str) -> str:
    """Return why a request is refused because of its cookie; "" if the cookie contains the key."""
    if _same(request.cookies.get(_cookie(request), ""), key):
        return ""
    return (
        "This page needs the key that the server made when it started: open the whole address that the server printed, "
        "including ?key= and what follows."
    )


def foreign(request: Request) -> str:
    """Return why a request is refused because of its origin; "" if the search page itself or the user sent it.

    Another site may link here, but only with a link that opens a page in a tab. Requests that change a file must come
    from the search page itself.
    """
    headers = request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if request.method in ("GET", "HEAD", "OPTIONS"):
        opens = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        refused = site in ("cross-site", "same-site") and not opens
    else:
        own = f"{request.scheme}://{request.host}"
        refused = site not in (None, "same-origin") or origin not in (None, own) or site is origin is None
    return "This request does not come from this page itself, so it is refused." if refused else ""


def _cookie(request: Request) -> str:
    # All ports of a host share cookies, so the name contains the port, in case two servers run on one host.
    return f"cbir-key-{urlsplit(f'//{request.host}').port or 80}"


def _same(given: str, key: str) -> bool:
    # As bytes, because compare_digest accepts only ASCII text.
    return hmac.compare_digest(given.encode(errors="replace"), key.encode())
