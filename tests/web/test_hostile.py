"""Random requests: each gets a page as response, none causes an error, and nothing is written elsewhere."""

import io
import os
from pathlib import Path
from urllib.parse import quote

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.web.library import Library
from cbir.web.state import image_key
from web.test_app import OWN, png

EXAMPLES = int(os.environ.get("EXAMPLES", 150))
# All examples use the same fixtures, as all requests use the same server.
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("tiny", "unit", "sea/6.png", "../../etc/passwd", "1", "-1", "9" * 30, "r.i_r", "0" * 64, "linear"),
            *("0,0,500,500", "nan", "1e999", "r" + "0" * 64, "move", "exclude", "apple"),
        ]
    ),
    st.text("ri._0f", max_size=30),
    st.lists(st.sampled_from(["r" + "0" * 12, "_"]), max_size=30).map("".join),
)
KNOWN = [
    *("method", "query", "upload", "k", "strategy", "rounds", "at", "category", "words", "page", "q", "name", "flag"),
    *(
        "box",
        "also",
        "within",
        "in-category",
        "in-",
        "copies",
        "left",
        "top",
        "width",
        "height",
        "all",
        "decided",
        "of",
    ),
]
ARGUMENTS = st.dictionaries(st.one_of(st.sampled_from(KNOWN), st.text(max_size=5)), TEXT, max_size=7)
PATHS = st.one_of(
    st.sampled_from(["/", "/search", "/save", "/upload", "/thumbnails/x.webp", "/static/web.css", "/static/../app.py"]),
    st.sampled_from(
        ["/methods", "/review/labels", "/review/rejected", "/open/x", "/originals/x", "/decide", "/delete"]
    ),
    st.tuples(st.sampled_from(["look", "part", "open", "originals", "pictures"]), TEXT).map("/".join).map("/{}".format),
    TEXT.map(lambda text: f"/thumbnails/{text}.webp"),
    TEXT.map(lambda text: "/" + text.lstrip("/")),
)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@given(path=PATHS, arguments=ARGUMENTS)
@BOUNDED
def test_any_address(client: FlaskClient, tmp_path: Path, path: str, arguments: dict[str, str]) -> None:
    before = files(tmp_path)
    response = client.get(quote(path), query_string=arguments)
    assert response.status_code < 500, response.text
    assert b"root:x:" not in response.data
    assert files(tmp_path) == before


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.integers(0, len(png()) - 1), st.binary(max_size=8)).map(
            lambda edit: png()[: edit[0]] + edit[1] + png()[edit[0] + len(edit[1]) :]
        ),
    ),
    name=TEXT,
    method=TEXT,
)
@BOUNDED
def test_any_upload(client: FlaskClient, tmp_path: Path, data: bytes, name: str, method: str) -> None:
    before = files(tmp_path)
    form = {"image": (io.BytesIO(data), name.encode("utf-8", "replace").decode())}
    response = client.post("/upload", query_string={"method": method}, headers=OWN, data=form)
    assert response.status_code < 500, response.text
    assert files(tmp_path) == before


@given(name=TEXT, arguments=ARGUMENTS)
@BOUNDED
def test_any_name_to_save_under(
    client: FlaskClient, library: Library, tmp_path: Path, name: str, arguments: dict[str, str]
) -> None:
    before = files(tmp_path)
    held = image_key(library.images["sea/0.png"].sha256)
    address = {"method": "tiny", "query": "sea/6.png", "k": "4", "rounds": f"r{held}"} | arguments
    form = {"name": name}
    response = client.post("/save", query_string=address, headers=OWN, data=form)
    assert response.status_code < 500, response.text
    made = files(tmp_path) - before
    assert all(path.parent == tmp_path / "feedback" and path.suffix == ".json" for path in made)
    assert len(made) <= 1


@given(path=st.sampled_from(["/decide"]), arguments=ARGUMENTS, form=ARGUMENTS)
@BOUNDED
def test_any_decision_and_deletion(
    client: FlaskClient, tmp_path: Path, path: str, arguments: dict[str, str], form: dict[str, str]
) -> None:
    before = files(tmp_path)
    named = {"image_id": "sea/0.png", "verdict": "move"} | form
    response = client.post(path, query_string=arguments, headers=OWN, data=named)
    assert response.status_code < 500, response.text
    assert before <= files(tmp_path) <= before | {tmp_path / "corrections" / "folder.csv"}
