"""Who may use the search page: whoever has its key, and no other web site.

Every start of the server makes a new random key, and prints an address that holds it. The first visit to that address
turns the key into a cookie, as Jupyter does; without the cookie nothing is answered. Other users of the machine do not
have the key. Neither has a web site: the cookie belongs to the host name that the search page was opened under, so that
another name pointed at this server (DNS rebinding) comes without it, and SameSite=Strict keeps the browser from
sending it with requests that another site starts. Browsers take all ports of a host for one site, so requests from
another server on the same host are told apart by their own headers.
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
    # "no-referrer" would also hide the origin of the search page's own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def protect(app: Flask) -> None:
    """Refuse requests without the key and requests from other sites, and send the headers that browsers obey.

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
            # Not a redirect: of a link on another site, a browser would follow it without the cookie.
            response.headers["Refresh"] = f"0; url={url_for('home')}"
            return response
        if reason := reason or keyless(request, key):
            abort(403, reason)
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        # The address of a picture holds its content hash, so it may be cached; a page may not.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def keyless(request: Request, key: str) -> str:
    """Return why a request is refused for its cookie; empty if the cookie holds the key."""
    if _same(request.cookies.get(_cookie(request), ""), key):
        return ""
    return (
        "This page opens only with the key of its present start: open the whole address that the server printed when "
        "it was started, with ?key= and what follows."
    )


def foreign(request: Request) -> str:
    """Return why a request is refused for its origin; empty if the search page itself or a person sent it.

    A link on another site may lead here, and only as the whole page of a tab. What changes a file must come from the
    search page itself.
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
    # Cookies are shared by all ports of a host; two servers need two names.
    return f"cbir-key-{urlsplit(f'//{request.host}').port or 80}"


def _same(given: str, key: str) -> bool:
    # As bytes, because compare_digest takes no text with other characters than ASCII.
    return hmac.compare_digest(given.encode(errors="replace"), key.encode())
