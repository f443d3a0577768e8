import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cbir.report import projections
from report_run import Node, Run


def circles(part: Node) -> dict[str, list[float]]:
    """Return the coordinates of the images by name; misclassified ones have their predicted category in the name."""
    return {
        (node.all("title") or group.all("title"))[0].text: [float(node.attrs["cx"]), float(node.attrs["cy"])]
        for group in part.all("g")
        for node in group.parts
        if isinstance(node, Node) and node.tag == "circle"
    }


def test_the_map_has_all_images_and_marks_misclassified_ones(run: Run) -> None:
    part = run.section("embedding-map")
    layers = {node.attrs["class"]: node for node in part.all("g") if node.attrs.get("class")}
    assert [len(layers[f"layer-{name}"].all("circle")) for name in ("gallery", "query", "wrong")] == [18, 9, 3]
    wrong = layers["layer-wrong"]
    assert {node.text for node in wrong.all("title")} == {
        "cat/9.png, taken for dog",
        "dog/8.png, taken for fish",
        "dog/9.png, taken for fish",
    }
    assert {node.attrs["data-to"] for node in wrong.all("g") if "data-to" in node.attrs} == {
        "errors.plain.0.1",
        "errors.plain.1.2",
    }
    assert [node.text for node in part.one("ul").all("li")] == ["cat", "dog", "fish"]


def test_the_projection_keeps_distances(run: Run) -> None:
    # The queries' features are (n, n modulo 3) and the gallery's are zeros, so two components preserve all distances.
    place = circles(run.section("embedding-map"))
    spots = {name.split(",")[0]: np.array(spot) for name, spot in place.items()}

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(spots[a] - spots[b]))

    # The features are (0, 0), (3, 0), (9, 0) and (11, 2).
    unit = apart("cat/6.png", "cat/9.png") / 3
    assert apart("cat/9.png", "fish/7.png") == pytest.approx(6 * unit, rel=0.01)
    assert apart("fish/7.png", "fish/9.png") == pytest.approx(8**0.5 * unit, rel=0.01)
    assert all(0 < x < 1000 and 0 < y < 640 for x, y in spots.values())


def test_of_many_images_a_sample_is_shown_with_a_note(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.report.sections.embedding_map.MOST", 9)
    run.methods(one=0.2, two=0.3)
    part = run.section("embedding-map")
    assert "a sample of 9 images of 30 (seed 0)" in part.text
    one, two = ({title.text.split(",")[0] for title in map.all("title")} for map in part.all("svg"))
    assert len(one) == 9 and one == two
    assert sum(name.endswith(("6.png", "7.png", "8.png", "9.png")) for name in one) == 3


@pytest.mark.parametrize(
    ("kind", "shape"), [("pca", (1, 1)), ("pca", (3, 1)), ("pca", (40, 60)), ("tsne", (3, 5)), ("tsne", (5, 3))]
)
def test_projections_of_any_size(kind: projections.Kind, shape: tuple[int, int]) -> None:
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    # As in a job with one thread; more threads would wait for each other here.
    with threadpool_limits(1):
        found, share = projections.project(features, kind)
        again, _ = projections.project(features, kind)
    assert found.shape == (shape[0], 2) and np.isfinite(found).all()
    assert share is None or 0 < share <= 1.0001
    assert (found == again).all()


def test_principal_components_worked_by_hand() -> None:
    # On a line through (1, 1): the first coordinate is the position on it, and the second is 0.
    features = np.array([[0, 0], [1, 1], [3, 3]], np.float32)
    found, share = projections.project(features, "pca")
    distances = np.abs(found[:, 0] - found[0, 0])
    assert distances == pytest.approx([0, 2**0.5, 3 * 2**0.5], abs=1e-5)
    assert found[:, 1] == pytest.approx([0, 0, 0], abs=1e-5) and share == pytest.approx(1)
    assert projections.project(np.ones((4, 3), np.float32), "pca") == (pytest.approx(np.zeros((4, 2))), None)
