"""The web application: its addresses, and the values of its templates."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from flask import Flask, Response, g, redirect, render_template, request, send_file, url_for
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as AnyResponse

from cbir.collection.categories import share
from cbir.evaluation import calibration
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.report import filters, rendering
from cbir.retrieval.outside import LONGEST_TEXT
from cbir.web import guard, review, saving
from cbir.web.current import Current, Held
from cbir.web.library import Image, Library
from cbir.web.outside import FORMATS, MAX_BYTES
from cbir.web.pictures import Pictures
from cbir.web.saved import delete, opened, saved
from cbir.web.searches import Shown
from cbir.web.state import FILTER, IRRELEVANT, MAX_ALSO, MAX_ROUNDS, RELEVANT, State, image_key, parse, verdicts

log = logging.getLogger("cbir")

# Images on a page of the list of queries.
_PAGE = 60
# Numbers of results to choose from.
_KS = (5, 10, 20, 50)
# Results of each method on the page that shows methods side by side.
_SIDE_BY_SIDE = 10
# Groups of images on a page of the review.
_REVIEWED = 24
_VERDICTS = {RELEVANT: "relevant", IRRELEVANT: "irrelevant"}


def create_app(library: Library, feedback: Path, run: str = "make run") -> Flask:
    """Return the application, which answers only requests with its key (see `guard.protect`).

    Args:
        library: a run's results.
        feedback: the folder in which refinements are saved.
        run: the command that runs the workflow on these results, which pages mention.
    """
    app = Flask(__name__)
    # A request with a file is a little longer than the file.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 10_000
    app.jinja_options = {
        "undefined": jinja2.StrictUndefined,
        "finalize": lambda value: printable(value) if type(value) is str and not value.isprintable() else value,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
    app.jinja_env.filters.update(plural=filters.plural, amount=filters.amount, listed=filters.listed)
    app.jinja_env.globals.update(
        run=run,
        megabytes=MAX_BYTES // 10**6,
        bytes=MAX_BYTES,
        formats=FORMATS,
        longest_text=LONGEST_TEXT,
        thumbnail=lambda sha256: url_for("picture", kind="thumbnails", sha256=sha256),
    )
    guard.protect(app)
    _Pages(app, Current(library), feedback).register()
    return app


@dataclass(frozen=True)
class _Query:
    """The query image or text.

    ``category`` is None for an image from outside and for a text, and empty if images have no categories; ``sha256`` is
    empty for a text.
    """

    name: str
    sha256: str
    category: str | None
    about: str

    @property
    def is_unknown(self) -> bool:
        """Whether it is an image from outside the collection."""
        return self.category is None


@dataclass(frozen=True)
class _Card:
    """A result with the texts below its picture, its flags and links."""

    position: int
    image: Image
    right: bool
    """Whether it shares the query's category; False if that is not known."""
    distance: float
    probability: str
    """The probability that it is of the query's category, as text; empty if it is not known."""
    score: float
    copies: int
    verdict: str
    """``relevant``, ``irrelevant`` or empty."""
    earlier: bool
    """Whether the verdict was given in an earlier round."""
    links: dict[str, str]
    """The address that a click on each flag leads to."""
    search: str
    look: str


class _Pages:
    def __init__(self, app: Flask, current: Current, feedback: Path) -> None:
        self.app, self.current, self.feedback = app, current, feedback
        self.pictures = Pictures()

    def register(self) -> None:
        self.app.before_request(self.hold)
        self.app.context_processor(
            lambda: {"notice": g.held.notice, "version": g.held.library.version} if "held" in g else _NOTHING
        )
        for path, name, view in (
            ("/", "home", self.home),
            ("/search", "search", self.search),
            ("/look/<sha256>", "look", self.look),
            ("/part/<sha256>", "part", self.part),
            ("/methods", "methods", self.methods),
            ("/open/<name>", "open_saved", self.open_saved),
            ("/review/<any(labels,copies,rejected):kind>", "review", self.review),
            ("/<any(thumbnails,pictures):kind>/<sha256>.webp", "picture", self.picture),
            ("/originals/<sha256>", "original", lambda sha256: self.pictures.original(self.held, sha256)),
            ("/report.css", "report_style", lambda: send_file(rendering.STYLE, "text/css")),
        ):
            self.app.add_url_rule(path, name, view)
        for name, write in (
            ("upload", self.upload),
            ("local", self.local),
            ("save", self.save),
            ("delete", self.delete),
            ("decide", self.decide),
        ):
            self.app.add_url_rule(f"/{name}", name, write, methods=["POST"])
        self.app.register_error_handler(InputError, self.input_error)
        self.app.register_error_handler(HTTPException, self.http_error)
        self.app.register_error_handler(Exception, self.fault)

    def hold(self) -> None:
        # Style and script do not depend on the results.
        if request.endpoint not in ("static", "report_style"):
            g.held = self.current.get()

    @property
    def held(self) -> Held:
        held: Held = g.held
        return held

    @property
    def library(self) -> Library:
        return self.held.library

    # Choosing a query.

    def home(self) -> str:
        return self.render_home()

    def render_home(self, error: str = "", path: str = "") -> str:
        method = self.method()
        library = self.library
        chosen, words = request.args.get("category", ""), request.args.get("search", "").strip()
        queries = library.methods[method].queries
        narrowed = bool(chosen or words or not library.categories)
        found = list(self.matching(queries, chosen, words)) if narrowed else []
        number = request.args.get("page", "1")
        page = min(
            max(int(number), 1) if number.isdecimal() and len(number) < 7 else 1, 1 + max(len(found) - 1, 0) // _PAGE
        )
        shown = found[(page - 1) * _PAGE : page * _PAGE]
        reasons = self.without_texts()
        with_texts = [name for name, reason in reasons.items() if not reason]
        of_texts = method if method in with_texts else next(iter(with_texts), "")

        def link(**changes: Any) -> str:
            known = {"method": method, "category": chosen, "search": words} | changes
            return url_for("home", **{name: value for name, value in known.items() if value})

        return render_template(
            "home.html",
            gallery=len(library.methods[method].gallery.image_ids),
            collection=len(library.images),
            queries=len(library.methods[method].vectors),
            missing=sum(1 for _ in self.matching(library.images, chosen, words)) - len(found) if narrowed else 0,
            method=method,
            methods=[(name, name, link(method=name), "") for name in library.methods],
            best=library.best,
            of_texts=self.start(of_texts, "") if of_texts else None,
            # Nobody misses the texts of networks that were not made for them.
            no_texts=next((why for name, why in reasons.items() if why and self.held.outside.is_for_texts(name)), ""),
            categories=[
                (name, count, library.examples[name], link(category=name, search=""))
                for name, count in library.categories.items()
            ],
            chosen=chosen,
            words=words,
            is_list=narrowed,
            everything=link(category="", search=""),
            found=len(found),
            shown=[(image, self.link(self.start(method, image.image_id))) for image in shown],
            previous=link(page=page - 1) if page > 1 else "",
            following=link(page=page + 1) if page * _PAGE < len(found) else "",
            upload=url_for("upload", method=method),
            upload_error=error if request.endpoint != "local" else "",
            local=url_for("local", method=method),
            local_error=error if request.endpoint == "local" else "",
            path=path,
            saved=[] if narrowed else saved(self.feedback, self.held),
            folder=str(self.feedback),
            reviews=[] if narrowed else self.reviews(),
            corrections=str(library.corrections),
        )

    def matching(self, image_ids: Iterable[str], category: str, words: str) -> Iterable[Image]:
        images, asked = self.library.images, words.casefold().split()
        for image_id in image_ids:
            image = images[image_id]
            if (not category or share(image.category, category)) and all(word in image_id.casefold() for word in asked):
                yield image

    # A search.

    def search(self) -> str:
        return self.render_search(parse(request.args, self.library.methods))

    def render_search(self, state: State, error: str = "", name: str = "") -> str:
        searches, library = self.held.searches, self.library
        ready = searches.ready(state)
        query = self.query(state)
        if not ready:
            stage = self.held.outside.stage
            return render_template("waiting.html", query=query, stage=stage, home=self.home_link(state))
        shown = searches.shown(state)
        result = shown.result
        cards = [self.card(state, shown, position) for position in range(len(shown.rows))]
        judged = self.judged(state, shown)
        done = request.args.get("saved", "")
        known = library.category(state)
        novelty = searches.novelty(state)
        return render_template(
            "search.html",
            home=self.home_link(state),
            state=state,
            view=self.link(state.ranking()),
            query=query,
            also=[self.further(state, ref) for ref in state.also],
            answer=searches.answer(state)
            if known is None and not state.text and (query.is_unknown or state.also)
            else None,
            right=None if known is None else sum(card.right for card in cards),
            cards=cards,
            is_new=novelty is not None and novelty.is_new,
            by_score=state.at > 0 and result.scores[0] != -result.distances[0],
            judged={verdict: list(judged.values()).count(letter) for letter, verdict in _VERDICTS.items()},
            unseen=len(judged.keys() - {card.image.image_id for card in cards}),
            steps=[(number, self.link(state.step(number))) for number in range(len(state.flags))],
            back=self.link(state.step(state.at - 1)) if state.at else "",
            forward=self.link(state.step(state.at + 1)) if state.at < state.last else "",
            next=self.link(state.next()) if state.here and state.at == state.last < MAX_ROUNDS else "",
            clear=self.link(replace(state, flags=(*state.flags[: state.at], ""))) if state.here else "",
            methods=[(name, name, self.link(replace(state, method=name)), "") for name in self.searchable(state)],
            best=library.best,
            strategies=[
                (name, strategy.LABEL, self.link(replace(state, strategy=name)), _sentence(strategy.EXPLANATION))
                for name, strategy in STRATEGIES.items()
            ],
            strategy=STRATEGIES[state.strategy].LABEL,
            ks=[(k, k, self.link(replace(state, k=k)), "") for k in self.choices(state)],
            filters=[
                (number, column, values, dict(state.filters).get(column, ""))
                for number, (column, values) in enumerate(library.values.items())
            ],
            filter=FILTER,
            unfiltered=self.link(state.unfiltered()),
            arguments=replace(state.unfiltered(), copies=False).arguments(),
            copies=self.link(replace(state, copies=not state.copies)),
            folded=sum(card.copies for card in cards),
            side_by_side=url_for("methods", **state.arguments()),
            look=self.look_link(state, query.sha256) if query.sha256 else "",
            upload=url_for("upload", **state.arguments()),
            save=url_for("save", **state.arguments()),
            save_error=error,
            name=name or state.name,
            taken=self.is_saved(name or state.name),
            saved=done if self.is_saved(done) else "",
            folder=str(self.feedback),
            results=str(library.files.folder),
        )

    def is_saved(self, name: str) -> bool:
        return saving.is_name(name) and (self.feedback / f"{name}.json").is_file()

    def without_texts(self) -> dict[str, str]:
        """Return for each method why it cannot be searched for texts; empty for one that can."""
        return {name: self.held.outside.without_texts(name) for name in self.library.methods}

    def searchable(self, state: State) -> list[str]:
        """Return the methods that what is looked for can be searched with."""
        if not state.text:
            return list(self.library.methods)
        return [name for name, reason in self.without_texts().items() if not reason]

    def query(self, state: State) -> _Query:
        if state.text:
            return _Query(state.text, "", None, "A text")
        if digest := self.held.searches.digest(state):
            about = "An image of your own" if state.box is None else "A part of the image"
            return _Query(self.held.outside.get(digest).name, digest, None, about)
        image = self.library.images[state.query or ""]
        return _Query(image.name, image.sha256, image.category, image.folder)

    def further(self, state: State, ref: str) -> tuple[str, str, str, str]:
        """Return name, SHA-256 and verdict of a further image of the query, and the link that removes it."""
        without = self.link(replace(state, also=tuple(other for other in state.also if other != ref)))
        if len(ref) > 60:
            return self.held.outside.get(ref[1:]).name, ref[1:], _VERDICTS[ref[0]], without
        image = self.library.images[self.library.by_key[ref[1:]]]
        return image.name, image.sha256, _VERDICTS[ref[0]], without

    def card(self, state: State, shown: Shown, position: int) -> _Card:
        row = int(shown.rows[position])
        result = shown.result
        earlier = RELEVANT if row in result.relevant else IRRELEVANT if row in result.irrelevant else ""
        image = self.library.images[self.library.methods[state.method].gallery.image_ids[row]]
        known = self.library.category(state)
        key = image_key(image.sha256)
        letter = verdicts(state.here).get(key, "")
        # Probabilities were learned for plain queries; later rounds search with another vector.
        learned = None if state.at or state.text else self.library.methods[state.method].calibration
        distances = shown.distances[position : position + 1]
        return _Card(
            position=position,
            image=image,
            right=known is not None and share(image.category, known),
            distance=float(shown.distances[position]),
            probability="" if learned is None else calibration.shown(learned.probabilities(distances).item()),
            score=float(shown.scores[position]),
            copies=shown.copies[position],
            verdict=_VERDICTS.get(letter or earlier, ""),
            earlier=bool(earlier) and not letter,
            links={
                verdict: self.link(state if earlier == other and not letter else state.flag(key, other))
                for other, verdict in _VERDICTS.items()
            },
            search=self.link(self.start(state.method, image.image_id, state.k, state.strategy)),
            look=self.look_link(state, image.sha256),
        )

    def judged(self, state: State, shown: Shown) -> dict[str, str]:
        """Return the verdicts of all rounds so far by image_id, including those of the current round."""
        ids, result = self.library.methods[state.method].gallery.image_ids, shown.result
        judged = {ids[row]: RELEVANT for row in result.relevant} | {ids[row]: IRRELEVANT for row in result.irrelevant}
        now = self.held.searches.judgements(state.here)
        return judged | dict.fromkeys(now.relevant, RELEVANT) | dict.fromkeys(now.irrelevant, IRRELEVANT)

    # One image, large.

    def look(self, sha256: str) -> str:
        library = self.library
        state = parse(request.args, library.methods)
        image = library.pictures.get(sha256)
        name = self.held.outside.get(sha256).name if image is None else image.name
        searchable = image is not None and image.image_id in library.methods[state.method].vectors
        similar = ""
        if image is not None and searchable:
            similar = self.link(self.start(state.method, image.image_id, state.k, state.strategy))
        ref = sha256 if image is None else image_key(sha256)
        more = not similar or len(state.also) < MAX_ALSO
        own = sha256 in (state.upload, library.images[state.query].sha256 if state.query in library.images else "")
        return render_template(
            "look.html",
            name=name,
            sha256=sha256,
            facts=[] if image is None else self.facts(image),
            category=None if image is None else image.category,
            back=self.link(state),
            similar=similar,
            original=url_for("original", sha256=sha256),
            large=url_for("picture", kind="pictures", sha256=sha256),
            part=url_for("part", sha256=sha256) if searchable or image is None else "",
            arguments={"method": state.method, "k": state.k, "strategy": state.strategy},
            image=image,
            decide=url_for("decide", **state.arguments()),
            decision=None if image is None else review.read(library).get(image.image_id),
            categories=list(library.categories),
            also=[
                (verdict, self.link(replace(state, also=(*state.also, letter + ref), flags=("",), at=0)))
                for letter, verdict in _VERDICTS.items()
                if more and not own and (searchable or image is None)
            ],
        )

    def facts(self, image: Image) -> list[tuple[str, str]]:
        width, height, size = self.library.sizes[image.image_id]
        copies = self.library.copies_of(image)
        return [
            ("Category", image.category),
            ("File", image.image_id),
            (
                "Size",
                f"{width} x {height} pixels, {size / 1e6:.1f} MB"
                if size > 99_999
                else f"{width} x {height} pixels, {size / 1e3:.0f} kB",
            ),
            *((column, value) for column, value in self.library.facts(image).items() if value),
            *[("Near-duplicates", ", ".join(other.image_id for other in copies))][: len(copies)],
        ]

    def part(self, sha256: str) -> AnyResponse:
        method = self.method()
        try:
            left, top, width, height = (
                round(10 * float(request.args.get(name, ""))) for name in ("left", "top", "width", "height")
            )
        except (ValueError, OverflowError):
            raise InputError("A part of an image needs four numbers, in per cent: draw the part again.") from None
        box = f"{left},{top},{min(width, 1000 - left)},{min(height, 1000 - top)}"
        image = self.library.pictures.get(sha256)
        which = {"upload": sha256} if image is None else {"query": image.image_id}
        known = {"method": method, "box": box, **which}
        known |= {name: request.args[name] for name in ("k", "strategy") if name in request.args}
        state = parse(known, self.library.methods)
        self.held.outside.vector(method, self.held.searches.digest(state), 0)
        return redirect(self.link(state), 303)

    def methods(self) -> str:
        state = replace(parse(request.args, self.library.methods), flags=("",), at=0)
        rows = []
        for name in self.searchable(state):
            method = self.library.methods[name]
            k = min(_SIDE_BY_SIDE, len(method.gallery.image_ids) - 1)
            asked = replace(state, method=name, k=k)
            ready = (asked.query is None or asked.query in method.vectors) and self.held.searches.ready(asked)
            shown = self.held.searches.shown(asked) if ready else None
            cards = [] if shown is None else [self.card(asked, shown, at) for at in range(len(shown.rows))]
            votes = Counter(card.image.category for card in cards).most_common()
            rows.append((name, self.link(replace(asked, k=state.k)), cards, votes))
        known = self.library.category(state)
        back = self.link(parse(request.args, self.library.methods))
        waits = state.query is None and not all(cards for _, _, cards, _ in rows)
        return render_template(
            "methods.html",
            query=self.query(state),
            rows=rows,
            known=known,
            back=back,
            best=self.library.best,
            waits=waits,
        )

    def picture(self, kind: str, sha256: str) -> Response:
        return self.pictures.shrunk(self.held, kind, sha256)

    # The review of the collection.

    def reviews(self) -> list[tuple[str, str, int, int]]:
        """Return the title and address of each kind of review, its number of images, and how many were reviewed."""
        try:
            decided = review.read(self.library)
            found = [(kind, title, review.groups(self.library, kind)) for kind, (title, _) in review.KINDS.items()]
        except InputError as error:
            log.warning("%s", error)
            return []
        ids = [(kind, title, [item.image_id for _, items in groups for item in items]) for kind, title, groups in found]
        return [
            (title, url_for("review", kind=kind), len(names), len(decided.keys() & set(names)))
            for kind, title, names in ids
            if names
        ]

    def review(self, kind: str) -> str:
        return self.render_review(kind)

    def render_review(self, kind: str, error: str = "") -> str:
        decided = review.read(self.library)
        everything = review.groups(self.library, kind)
        whole = request.args.get("all") == "1"
        groups = [group for group in everything if whole or not all(item.image_id in decided for item in group[1])]
        ids = [item.image_id for _, items in everything for item in items]
        title, about = review.KINDS[kind]
        last = request.args.get("decided", "")
        return render_template(
            "review.html",
            kind=kind,
            title=title,
            about=about,
            groups=groups[:_REVIEWED],
            more=max(len(groups) - _REVIEWED, 0),
            count=len(ids),
            done=len(decided.keys() & set(ids)),
            decided=decided,
            whole=whole,
            last=last if last in decided else "",
            categories=list(self.library.categories),
            corrections=str(self.library.corrections),
            error=error,
            others=[(name, url_for("review", kind=name), words) for name, (words, _) in review.KINDS.items()],
        )

    def decide(self) -> AnyResponse | tuple[str, int]:
        kind = request.args.get("of", "")
        image_ids = request.form.getlist("image_id")
        verdict, category = request.form.get("verdict", ""), request.form.get("category", "").strip()
        try:
            review.decide(self.library, image_ids, verdict, category)
        except InputError as error:
            return (
                self.render_review(kind, str(error)) if kind in review.KINDS else self.sentence(str(error), 400)[0]
            ), 400
        if kind in review.KINDS:
            whole = "1" if request.args.get("all") == "1" else None
            return redirect(url_for("review", kind=kind, decided=image_ids[-1], all=whole), 303)
        state = parse(request.args, self.library.methods)
        return redirect(self.look_link(state, self.library.images[image_ids[0]].sha256), 303)

    # Requests that write.

    def upload(self) -> AnyResponse:
        files = [file for file in request.files.getlist("image") if file.filename]
        if not files:
            raise InputError("No file was chosen: choose an image.")
        if len(files) > MAX_ALSO + 1:
            raise InputError(f"A search takes at most {MAX_ALSO + 1} images: choose fewer.")
        digests = [self.held.outside.add(file.read(), file.filename or "") for file in files]
        digests = list(dict.fromkeys(digests))
        letter = IRRELEVANT if request.form.get("as") == "irrelevant" else RELEVANT
        if request.args.keys() & {"query", "upload", "text"}:
            # Further images for the current search.
            state = parse(request.args, self.library.methods)
            method = state.method
            new = tuple(letter + digest for digest in digests if letter + digest not in state.also)
            state = replace(state, also=state.also + new, flags=("",), at=0)
        else:
            method = self.method()
            also = tuple(RELEVANT + digest for digest in digests[1:])
            state = replace(self.start(method, ""), query=None, upload=digests[0], also=also)
        for digest in digests:
            self.held.outside.vector(method, digest, 0)
        # Parsed once, so that a state that `parse` refuses is refused here and not after the redirect.
        state = parse({key: str(value) for key, value in state.arguments().items()}, self.library.methods)
        return redirect(self.link(state), 303)

    def local(self) -> AnyResponse | tuple[str, int]:
        path = request.form.get("path", "")
        try:
            return redirect(self.link(self.of_path(path.strip())), 303)
        except InputError as error:
            return self.render_home(str(error), path), 400

    def of_path(self, path: str) -> State:
        method = self.method()
        data, name = self.held.outside.read(path, self.library.folders)
        image = self.library.pictures.get(hashlib.sha256(data).hexdigest())
        if image is not None and image.image_id in self.library.methods[method].vectors:
            return self.start(method, image.image_id)
        digest = self.held.outside.add(data, name)
        self.held.outside.vector(method, digest, 0)
        return replace(self.start(method, ""), query=None, upload=digest)

    def save(self) -> AnyResponse | tuple[str, int]:
        state = parse(request.args, self.library.methods)
        name = request.form.get("name", "").strip()
        try:
            saving.require_name(name)
            self.require_seen()
            if not self.held.searches.ready(state):
                raise InputError("The network is still encoding the image: try again in a minute.")
            digest = self.held.searches.digest(state)
            upload = self.held.outside.get(digest) if digest else None
            query = saving.outside_query(digest, upload) if upload else state.query or ""
            refinement = self.held.searches.refinement(state, query, "The refinement")
            replaced = request.form.get("replace") == name
            saving.save(self.feedback, name, refinement, self.library.methods, upload, replace=replaced)
        except InputError as error:
            return self.render_search(state, str(error), name), 400
        # Flags of the last round are saved, too, so the page shows the round that follows from them.
        shown = state.next() if state.flags[-1] and state.last < MAX_ROUNDS else state.step(state.last)
        return redirect(url_for("search", **replace(shown, name=name).arguments(), saved=name), 303)

    def require_seen(self) -> None:
        """Check that the judgements to be saved are of the present results.

        Raises:
            InputError: when a run has replaced the results since the page with the form was shown, or is doing so.
        """
        if not self.library.is_current():
            raise InputError("A run is changing these results: save when it has ended.")
        if self.held.fresh or request.form.get("version", self.library.version) != self.library.version:
            raise InputError(
                "A run has replaced the results since this page was loaded; the page shows the new ones now: check "
                "them, and save again."
            )

    def open_saved(self, name: str) -> AnyResponse:
        state = opened(self.feedback, name, self.held)
        return redirect(self.link(state), 303)

    def delete(self) -> AnyResponse:
        delete(self.feedback, request.form.get("name", ""), self.held)
        return redirect(url_for("home", method=self.method()), 303)

    # Errors.

    def input_error(self, error: InputError) -> tuple[str, int]:
        return self.sentence(str(error), 400)

    def http_error(self, error: HTTPException) -> tuple[str, int]:
        text = error.description or "The request failed."
        if isinstance(error, RequestEntityTooLarge):
            text = f"The file is larger than {MAX_BYTES // 10**6} MB: choose a smaller one."
        return self.sentence(text, error.code or 500)

    def fault(self, error: Exception) -> tuple[str, int]:
        log.error("The search page failed; this is a fault of the program, please report it:", exc_info=error)
        return self.sentence(
            "The search page failed. This is a fault of the program; the terminal of the server shows details.", 500
        )

    def sentence(self, text: str, status: int) -> tuple[str, int]:
        # Not for status 403: the home page shows the collection, which a visitor without the key must not see.
        if request.endpoint in ("upload", "local") and status != 403 and "held" in g:
            return self.render_home(text), status
        return render_template("error.html", text=text), status

    # Helpers.

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

    def look_link(self, state: State, sha256: str) -> str:
        return url_for("look", sha256=sha256, **state.arguments())

    def home_link(self, state: State) -> str:
        return url_for("home", method=state.method)


_NOTHING = {"notice": "", "version": ""}


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
