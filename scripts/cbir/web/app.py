"""The web application: its addresses, and the values that its templates show."""

import hashlib
import io
import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
from flask import Flask, Response, redirect, render_template, request, send_file, url_for
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Response as AnyResponse

from cbir.collection import images
from cbir.collection.categories import share
from cbir.feedback.rounds import RoundResult
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.report import filters, rendering
from cbir.web import guard, saving
from cbir.web.library import Image, Library
from cbir.web.outside import MAX_BYTES, OutsideImages
from cbir.web.searches import Searches
from cbir.web.state import IRRELEVANT, MAX_ROUNDS, RELEVANT, State, image_key, parse, verdicts

log = logging.getLogger("cbir")

# Pixels; sharp at the size of a result on a dense screen.
_THUMBNAIL = 384
_THUMBNAILS_KEPT = 2048
_PAGE = 60
_KS = (5, 10, 20, 50)
_VERDICTS = {RELEVANT: "relevant", IRRELEVANT: "irrelevant"}


def create_app(library: Library, feedback: Path, run: str = "make run") -> Flask:
    """Return the application, which answers only to its key (see `guard.protect`).

    Args:
        library: a run's results.
        feedback: the folder that refinements are saved in.
        run: the command that runs the workflow on these results.
    """
    app = Flask(__name__)
    # The form that carries the file takes some bytes more.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 10_000
    app.jinja_options = {
        "undefined": jinja2.StrictUndefined,
        "finalize": lambda value: printable(value) if type(value) is str else value,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
    app.jinja_env.filters.update(plural=filters.plural, amount=filters.amount)
    app.jinja_env.globals.update(
        run=run,
        megabytes=MAX_BYTES // 10**6,
        bytes=MAX_BYTES,
        thumbnail=lambda sha256: url_for("thumbnail", sha256=sha256),
    )
    guard.protect(app)
    outside = OutsideImages(library)
    _Pages(app, library, outside, Searches(library, outside), feedback).register()
    return app


@dataclass(frozen=True)
class _Query:
    """What is looked for; ``category`` is None for an image from outside, and empty where images have none."""

    name: str
    sha256: str
    category: str | None
    folder: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Card:
    """A result: what stands below its picture, and its flags."""

    position: int
    image: Image
    name: str
    distance: float
    score: float
    verdict: str
    """``relevant``, ``irrelevant`` or empty."""
    earlier: bool
    """Whether the verdict is an earlier round's."""
    links: dict[str, str]
    """Where a click on each flag leads."""
    search: str


class _Pages:
    def __init__(
        self, app: Flask, library: Library, outside: OutsideImages, searches: Searches, feedback: Path
    ) -> None:
        self.app, self.library, self.outside, self.searches, self.feedback = app, library, outside, searches, feedback
        self.shrunk = lru_cache(_THUMBNAILS_KEPT)(_shrunk)

    def register(self) -> None:
        self.app.add_url_rule("/", "home", self.home)
        self.app.add_url_rule("/search", "search", self.search)
        self.app.add_url_rule("/thumbnails/<sha256>.webp", "thumbnail", self.thumbnail)
        self.app.add_url_rule("/report.css", "report_style", lambda: send_file(rendering.STYLE, "text/css"))
        self.app.add_url_rule("/upload", "upload", self.upload, methods=["POST"])
        self.app.add_url_rule("/save", "save", self.save, methods=["POST"])
        self.app.register_error_handler(InputError, self.input_error)
        self.app.register_error_handler(HTTPException, self.http_error)
        self.app.register_error_handler(Exception, self.fault)

    # Pages.

    def home(self) -> str:
        return self.render_home()

    def render_home(self, error: str = "") -> str:
        method = self.method()
        chosen, words = request.args.get("category", ""), request.args.get("search", "").strip()
        held = (self.library.images[image_id] for image_id in self.library.methods[method].queries)
        found = [image for image in held if (not chosen or share(image.category, chosen)) and image.matches(words)]
        number = request.args.get("page", "1")
        page = min(
            max(int(number), 1) if number.isdecimal() and len(number) < 7 else 1, 1 + max(len(found) - 1, 0) // _PAGE
        )
        is_list = bool(chosen or words or not self.library.categories)
        shown = found[(page - 1) * _PAGE : page * _PAGE] if is_list else []

        def link(**changes: Any) -> str:
            known = {"method": method, "category": chosen, "search": words} | changes
            return url_for("home", **{name: value for name, value in known.items() if value})

        return render_template(
            "home.html",
            gallery=len(self.library.methods[method].gallery.image_ids),
            method=method,
            methods=[(name, name, link(method=name)) for name in self.library.methods],
            categories=[
                (name, count, self.library.examples[name], link(category=name, search=""))
                for name, count in self.library.categories.items()
            ],
            chosen=chosen,
            words=words,
            is_list=is_list,
            details=self.library.details,
            everything=link(category="", search=""),
            found=len(found),
            shown=[
                (image, PurePosixPath(image.image_id).name, self.link(self.start(method, image.image_id)))
                for image in shown
            ],
            previous=link(page=page - 1) if page > 1 else "",
            following=link(page=page + 1) if page * _PAGE < len(found) else "",
            upload=url_for("upload", method=method),
            upload_error=error,
        )

    def search(self) -> str:
        return self.render_search(parse(request.args, self.library.methods))

    def render_search(self, state: State, error: str = "", name: str = "") -> str:
        ready = self.searches.ready(state)
        query = self.query(state)
        if not ready:
            return render_template("waiting.html", query=query, stage=self.outside.stage, home=self.home_link(state))
        results = self.searches.results(state)
        result = results[state.at]
        cards = [self.card(state, result, position) for position in range(len(result.image_ids))]
        judged = self.judged(state, result)
        saved = request.args.get("saved", "")
        if not saving.is_name(saved) or not (self.feedback / f"{saved}.json").is_file():
            saved = ""
        return render_template(
            "search.html",
            home=self.home_link(state),
            state=state,
            view=self.link(state.ranking()),
            query=query,
            right=None if result.of_category is None else int(result.of_category.sum()),
            cards=cards,
            by_score=state.at > 0 and result.scores[0] != -result.distances[0],
            judged={verdict: list(judged.values()).count(letter) for letter, verdict in _VERDICTS.items()},
            unseen=len(judged.keys() - set(result.image_ids)),
            steps=[(number, self.link(state.step(number))) for number in range(len(state.flags))],
            back=self.link(state.step(state.at - 1)) if state.at else "",
            forward=self.link(state.step(state.at + 1)) if state.at < state.last else "",
            next=self.link(state.next()) if state.here and state.at == state.last < MAX_ROUNDS else "",
            methods=[(name, name, self.link(replace(state, method=name))) for name in self.library.methods],
            strategies=[
                (name, strategy.LABEL, self.link(replace(state, strategy=name)))
                for name, strategy in STRATEGIES.items()
            ],
            explanation=_sentence(STRATEGIES[state.strategy].EXPLANATION),
            ks=[(k, k, self.link(replace(state, k=k))) for k in self.choices(state)],
            save=url_for("save", **state.arguments()),
            save_error=error,
            name=name,
            saved=saved,
            folder=str(self.feedback),
            results=str(self.library.files.folder),
        )

    def query(self, state: State) -> _Query:
        if state.query is None:
            return _Query(self.outside.get(state.upload or "").name, state.upload or "", None)
        image = self.library.images[state.query]
        return _Query(PurePosixPath(image.image_id).name, image.sha256, image.category, image.folder, image.details)

    def card(self, state: State, result: RoundResult, position: int) -> _Card:
        row = int(result.order[position])
        earlier = RELEVANT if row in result.relevant else IRRELEVANT if row in result.irrelevant else ""
        image = self.library.images[result.image_ids[position]]
        key = image_key(image.sha256)
        letter = verdicts(state.here).get(key, "")
        return _Card(
            position=position,
            image=image,
            name=PurePosixPath(image.image_id).name,
            distance=float(result.distances[position]),
            score=float(result.scores[position]),
            verdict=_VERDICTS.get(letter or earlier, ""),
            earlier=bool(earlier) and not letter,
            links={
                verdict: self.link(state if earlier == other and not letter else state.flag(key, other))
                for other, verdict in _VERDICTS.items()
            },
            search=self.link(self.start(state.method, image.image_id, state.k, state.strategy)),
        )

    def judged(self, state: State, result: RoundResult) -> dict[str, str]:
        """Return the verdicts of all rounds so far by image_id, those of the round looked at included."""
        ids = self.library.methods[state.method].gallery.image_ids
        judged = {ids[row]: RELEVANT for row in result.relevant} | {ids[row]: IRRELEVANT for row in result.irrelevant}
        now = self.searches.judgements(state.here)
        return judged | dict.fromkeys(now.relevant, RELEVANT) | dict.fromkeys(now.irrelevant, IRRELEVANT)

    def thumbnail(self, sha256: str) -> Response:
        try:
            held = self.library.pictures.get(sha256)
            data = self.shrunk(held, sha256) if held else _shrink(self.outside.get(sha256).data)
        except InputError:
            raise NotFound from None
        return Response(data, mimetype="image/webp", headers={"Cache-Control": "private, max-age=31536000, immutable"})

    # Writes.

    def upload(self) -> AnyResponse:
        file = request.files.get("image")
        if file is None or not file.filename:
            raise InputError("No file was chosen: choose an image.")
        method = self.method()
        digest = self.outside.add(file.read(), file.filename)
        state = replace(self.start(method, ""), query=None, upload=digest)
        self.outside.vector(method, digest, 0)
        return redirect(self.link(state), 303)

    def save(self) -> AnyResponse | tuple[str, int]:
        state = parse(request.args, self.library.methods)
        name = request.form.get("name", "").strip()
        upload = self.outside.get(state.upload) if state.upload else None
        try:
            saving.require_name(name)
            self.library.require_current()
            if not self.searches.ready(state):
                raise InputError("The network is still at work: try again in a minute.")
            query = saving.outside_query(state.upload or "", upload) if upload else state.query or ""
            refinement = self.searches.refinement(state, query, "The refinement")
            saving.save(self.feedback, name, refinement, self.library.methods, upload)
        except InputError as error:
            return self.render_search(state, str(error), name), 400
        # Flags of the last round are saved, too, so the search page goes on to the round that they lead to.
        shown = state.next() if state.flags[-1] and state.last < MAX_ROUNDS else state.step(state.last)
        return redirect(url_for("search", **shown.arguments(), saved=name), 303)

    # Errors.

    def input_error(self, error: InputError) -> tuple[str, int]:
        return self.sentence(str(error), 400)

    def http_error(self, error: HTTPException) -> tuple[str, int]:
        text = error.description or "That did not work."
        if isinstance(error, RequestEntityTooLarge):
            text = f"The file is larger than {MAX_BYTES // 10**6} MB: choose a smaller one."
        return self.sentence(text, error.code or 500)

    def fault(self, error: Exception) -> tuple[str, int]:
        log.error("The search page failed; this is a fault of the program, please report it:", exc_info=error)
        return self.sentence(
            "The search page failed; this is a fault of the program, and the server's terminal tells more.", 500
        )

    def sentence(self, text: str, status: int) -> tuple[str, int]:
        # A visitor without access must not see the collection.
        if request.endpoint == "upload" and status != 403:
            return self.render_home(text), status
        return render_template("error.html", text=text), status

    # Parts.

    def method(self) -> str:
        asked = request.args.get("method", "")
        return asked if asked in self.library.methods else next(iter(self.library.methods))

    def start(self, method: str, image_id: str, k: int | None = None, strategy: str = "rocchio") -> State:
        available = len(self.library.methods[method].gallery.image_ids) - 1
        return State(method, image_id, None, k or max(min(self.library.k, available), 1), strategy)

    def choices(self, state: State) -> list[int]:
        available = len(self.library.methods[state.method].gallery.image_ids) - 1
        return sorted({k for k in _KS if k <= available} | {state.k})

    def link(self, state: State) -> str:
        return url_for("search", **state.arguments())

    def home_link(self, state: State) -> str:
        return url_for("home", method=state.method)


def _shrunk(path: Path, sha256: str) -> bytes:
    data = images.read_bytes(path)
    # The file may have changed, or a manipulated table of images may name another file of this machine.
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"{path} is not the image that the workflow read: run the workflow again.")
    return _shrink(data)


def _shrink(data: bytes) -> bytes:
    image = images.decode(data)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80)
    return stream.getvalue()


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
