"""Search for texts: with tiny presets of keras-hub, in Python, by the command and on the search page."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

import cbir
import presets
from cbir.api import Results
from cbir.command import main
from cbir.encoders import networks, texts
from cbir.encoders.architectures import REGISTRY, _texts
from cbir.features import store, transforms
from cbir.files.errors import InputError
from cbir.files.tables import read_json, write_json
from cbir.web.app import create_app
from cbir.web.library import Library
from web.made import learn, visitor, write_results
from web.test_app import OWN

pytestmark = pytest.mark.slow

# Texts with known and unknown letters; the last one is longer than the text encoders can take.
TEXTS = ["a red bird", "The RED sea?", "two green birds and the blue sea and all that"]


@dataclass(frozen=True)
class Saved:
    """A preset's folder, its backbone as keras-hub opens it, and the network of an encoder made from it."""

    family: str
    folder: Path
    backbone: Any
    network: Path

    def by_keras_hub(self, text: str) -> np.ndarray:
        preprocessor = presets.TEXTS[self.family][1].from_preset(str(self.folder))
        made = preprocessor({"prompts": [text], "images": np.zeros((1, 32, 32, 3), np.float32)})
        return np.asarray(self.backbone.get_text_embeddings(made["token_ids"]))[0]

    def copied(self, to: Path) -> Path:
        """Copy preset and network into a folder, as if the encoder had been made from the copy; return its network."""
        shutil.copytree(self.folder, to / "preset")
        shutil.copyfile(self.network, to / "e.keras")
        side = self.network.with_suffix(".json").read_text()
        (to / "e.json").write_text(side.replace(str(self.folder), str(to / "preset")))
        return to / "e.keras"


class Families(dict[str, Saved]):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, family: str) -> Saved:
        preset, network = self.folder / family, self.folder / f"{family}.keras"
        backbone, name = presets.save(family, preset), f"hub:{preset}"
        model, source = REGISTRY[name].fetch()
        networks.save(model, network, encoder="e", source=source, normalise=False, architecture=name)
        self[family] = Saved(family, preset, backbone, network)
        return self[family]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Families:
    return Families(tmp_path_factory.mktemp("presets"))


@pytest.mark.parametrize("family", presets.TEXTS)
def test_a_text_is_embedded_as_by_keras_hub(family: str, saved: Families, tmp_path: Path) -> None:
    made = saved[family]
    assert texts.without_texts(made.network) == ""
    embed = texts.open_texts(made.network)
    found = np.stack([embed(text) for text in TEXTS])
    expected = np.stack([made.by_keras_hub(text) for text in TEXTS])
    assert min(np.abs(expected[row] - expected[row - 1]).max() for row in range(3)) > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # Without the file, the defaults of keras-hub, as far as the text encoder reaches.
    shutil.copytree(made.folder, tmp_path / "plain")
    (tmp_path / "plain" / "preprocessor.json").unlink()
    plain = _texts.embedder(made.backbone, str(tmp_path / "plain"))
    np.testing.assert_array_equal(plain(TEXTS[2]), found[2])


def write_results_with_texts(root: Path, saved: Saved) -> Path:
    """Write methods of an encoder with texts (``clip``), derived from it (``angle``, ``scaled``), and without texts."""
    results = write_results(root)
    for suffix in (".keras", ".json"):
        shutil.copyfile(saved.network.with_suffix(suffix), results / "encoders" / f"clip{suffix}")
    made = read_json(results / "encoders" / "clip.json")
    table = pd.read_csv(results / "collection" / "images.csv")
    features = np.random.default_rng(2).normal(size=(len(table), 12)).astype(np.float32)
    number = np.arange(len(table)) % 8
    train = number < 6
    tiny = np.ones((len(table), 5), np.float32)
    fitted = {
        "angle": (["clip"], transforms.fit({"transform": "l2", "of": "clip"}, [features[train]])),
        "scaled": (["clip"], transforms.fit({"transform": "minmax", "of": "clip"}, [features[train]])),
        "both": (
            ["clip", "tiny"],
            transforms.fit({"combine": ["clip", "tiny"], "normalise": "l2"}, [features[train], tiny[train]]),
        ),
    }
    for split, chosen in (("train", train), ("test", number == 6)):
        about = {"method": "clip", "encoder": "clip", "encoder_fingerprint": made["fingerprint"]}
        path = results / "features" / "clip" / f"{split}.h5"
        store.write(path, table[chosen], [features[chosen]], 12, about)
        for name, (parts, transform) in fitted.items():
            made_from = {"fingerprint": name, "parts": json.dumps(parts)}
            transforms.save(results / "transforms" / f"{name}.h5", transform, made_from)
            held = {"clip": features[chosen], "tiny": tiny[chosen]}
            rows = transforms.transform(transform, [held[part] for part in parts])
            path = results / "features" / name / f"{split}.h5"
            store.write(path, table[chosen], [rows], rows.shape[1], {"method": name, "transform_fingerprint": name})
    learn(results, "clip", 0.5)
    return results


@pytest.fixture(scope="module")
def results(saved: Families, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results_with_texts(tmp_path_factory.mktemp("run"), saved["CLIP"])


def ranked(vector: np.ndarray, rows: np.ndarray) -> tuple[list[int], np.ndarray]:
    distances = np.sqrt(np.square(np.float64(rows) - vector).sum(axis=1))
    order = np.argsort(distances, kind="stable").tolist()
    return order, distances[order]


def unit(rows: np.ndarray) -> np.ndarray:
    return np.float64(rows) / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def opened(results: Path) -> Results:
    return cbir.open(results)


@pytest.fixture(scope="module")
def expected(results: Path, saved: Families) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return the images of the gallery by distance, and the distances, computed independently."""
    text = saved["CLIP"].by_keras_hub(TEXTS[0])
    held = cbir.open(results).features("clip")
    low, high = held.features.min(), held.features.max()
    found = {
        "clip": ranked(unit(text), unit(held.features)),
        "angle": ranked(unit(text), unit(held.features)),
        "scaled": ranked((text - low) / (high - low), (np.float64(held.features) - low) / (high - low)),
    }
    return {name: ([str(held.image_id[row]) for row in order], values) for name, (order, values) in found.items()}


@pytest.mark.parametrize("method", ["clip", "angle", "scaled"])
def test_images_are_found_by_a_text(method: str, opened: Results, expected: Any) -> None:
    found = opened.search(text=TEXTS[0], method=method, k=18)
    assert list(found["image_id"]) == expected[method][0]
    np.testing.assert_allclose(found["distance"], expected[method][1], rtol=1e-5)
    # The calibration applies only to distances between images.
    assert found["probability"].isna().all()


def test_the_command_finds_images_by_a_text(results: Path, expected: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--text", TEXTS[0], "--results", str(results), "--method", "clip", "-k", "3"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "distance", "category", "image_id"]
    assert [float(line.split()[1]) for line in lines] == pytest.approx(expected["clip"][1][:3], abs=1e-4)


NOT_HERE = r", because its encoder tiny takes no texts: use angle, clip, scaled\.$"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"text": "x", "method": "tiny"}, r"The method 'tiny' has no text search" + NOT_HERE),
        ({"text": "x", "method": "both"}, r"The method 'both' has no text search" + NOT_HERE),
        ({"text": " \n", "method": "clip"}, "The text is empty: write what to look for"),
        ({"text": "x" * 1001, "method": "clip"}, "more than 1,000 characters: write fewer"),
        ({"text": "x\udc80", "method": "clip"}, "bytes that are no UTF-8: write it anew"),
        ({"text": "x", "query": "sea/2.png", "method": "clip"}, "one query, an image or a text"),
        ({"method": "clip"}, "one query, an image or a text"),
        ({"text": "x"}, "No method is named to search with: use one of angle, both"),
    ],
)
def test_an_invalid_search_for_a_text_is_an_input_error(search: dict[str, Any], message: str, opened: Results) -> None:
    with pytest.raises(InputError, match=message):
        opened.search(**search)


def test_the_command_reports_a_search_that_is_not_possible(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--text", "x", "--results", str(results), "--method", "tiny"]) == 1
    assert re.search(NOT_HERE, capsys.readouterr().err)
    for arguments in (["search", "--method", "clip"], ["search", "a.png", "--text", "x", "--method", "clip"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_features_outside_the_shared_space_have_no_texts(saved: Families, tmp_path: Path) -> None:
    network = saved["CLIP"].copied(tmp_path)
    side = network.with_suffix(".json")
    about = read_json(side)
    for source in (f"{about['weights']}, trained", "random, seed 3", "file x.keras"):
        write_json(side, about | {"weights": source})
        assert texts.without_texts(network) == "has other weights than its preset's own"
    write_json(side, about | {"options": {"pooling": "average"}})
    assert texts.without_texts(network).startswith("has pooling: average, which leaves the space that images and texts")
    write_json(side, about | {"options": {"pooling": "token", "flip": True}})
    assert texts.without_texts(network) == ""
    write_json(side, about | {"architecture": "file:clip.keras"})
    assert texts.without_texts(network) == "takes no texts"
    write_json(side, about)
    for damaged in (b"", b"PK"):
        network.write_bytes(damaged)
        assert texts.without_texts(network) == "takes no texts"
    with zipfile.ZipFile(network, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"name": "ViTBackbone"}}))
    assert texts.without_texts(network) == "takes no texts"


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_preset_that_has_changed_is_refused(saved: Families, tmp_path: Path) -> None:
    network, preset = saved["CLIP"].copied(tmp_path), tmp_path / "preset"
    rewritten(preset / "config.json", lambda config: config.update(more=1))
    with pytest.raises(InputError, match=rf"The preset {preset} is not the one that the network {network} was made"):
        texts.open_texts(network)
    assert texts.without_texts(network) == ""
    preset.rename(tmp_path / "gone")
    with pytest.raises(InputError, match=rf"The folder {preset} holds no preset of keras-hub, .*: put it back, or"):
        texts.open_texts(network)
    assert texts.without_texts(network) == f"lacks its preset (put the folder {preset} back, and start again)"
    # A published preset is looked for when its texts are needed.
    side = network.with_suffix(".json")
    side.write_text(side.read_text().replace(str(preset), "clip_vit_base_patch16"))
    assert texts.without_texts(network) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"module": "evil"}, "is no tokenizer of keras-hub"),
        ({"registered_name": "keras_hub>CLIPBackbone", "class_name": "CLIPBackbone"}, "is no tokenizer of keras-hub"),
        ({"config": {"dtype": {"class_name": "Popen", "module": "subprocess"}}}, "it has Popen of subprocess"),
    ],
)
def test_a_tokenizer_that_names_foreign_classes_is_refused(
    change: dict[str, Any], reason: str, saved: Families, tmp_path: Path
) -> None:
    saved["CLIP"].copied(tmp_path)
    rewritten(tmp_path / "preset" / "tokenizer.json", lambda config: config.update(change))
    with pytest.raises(ValueError, match=reason):
        _texts.embedder(saved["CLIP"].backbone, str(tmp_path / "preset"))


def test_a_tokenizer_reads_only_files_of_its_preset(saved: Families, tmp_path: Path) -> None:
    made = saved["SigLIP"]
    made.copied(tmp_path)
    rewritten(tmp_path / "preset" / "tokenizer.json", lambda config: config["config"].update(proto="/etc/passwd"))
    embed = _texts.embedder(made.backbone, str(tmp_path / "preset"))
    np.testing.assert_allclose(embed(TEXTS[0]), made.by_keras_hub(TEXTS[0]), rtol=1e-5, atol=1e-6)


# The search page, without scripts.


@pytest.fixture(scope="module")
def client(results: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return visitor(create_app(Library(results), tmp_path_factory.mktemp("feedback")))


def searched(client: FlaskClient, **search: Any) -> str:
    """Return the results' page of a search, after the network was loaded."""
    for _ in range(100):
        page = client.get("/search", query_string=search).get_data(as_text=True)
        if 'data-view="waiting"' not in page:
            return page
    raise AssertionError(page)


def shown(page: str) -> list[str]:
    return [unescape(name) for name in re.findall('title="Search with ([^"]+)"', page)]


def without_direction(names: list[str]) -> list[str]:
    return [name.replace("\u202e", r"\u202e") for name in names]


@pytest.mark.parametrize("method", ["clip", "angle"])
def test_the_page_finds_images_by_a_text(method: str, client: FlaskClient, expected: Any) -> None:
    page = client.get("/", query_string={"method": method}).get_data(as_text=True)
    form = re.search('<form id="text-form".*?</form>', page, re.DOTALL)[0]
    assert 'action="/search" method="get"' in form
    search = dict(re.findall('name="([a-z]+)" value="([^"]*)"', form))
    assert search.pop("text") == "" and search["method"] == method
    page = searched(client, **search, text=f" {TEXTS[0]} ")
    assert shown(page) == without_direction(expected[method][0][: int(search["k"])])
    distances = [float(value) for value in re.findall('class="distance" value="([^"]+)"', page)]
    np.testing.assert_allclose(distances, expected[method][1][: len(distances)], rtol=1e-5)
    assert f"<bdi>{TEXTS[0]}</bdi>" in page
    # Neither buttons for an image nor probabilities, which apply to distances between images.
    for absent in ("look-query", 'class="probability"', 'id="new"', '<form id="save-form"'):
        assert absent not in page
    assert set(re.findall('id="method-([a-z]+)"', page)) - {"label", "choice"} == {"clip", "angle", "scaled"}
    assert re.findall('id="lane-[0-9]"><a[^>]*><bdi>([a-z]+)', lanes(client, page)) == ["angle", "clip", "scaled"]


def lanes(client: FlaskClient, page: str) -> str:
    address = unescape(re.search('id="side-by-side" href="([^"]+)"', page)[1])
    for _ in range(100):
        lanes = client.get(address).get_data(as_text=True)
        if "data-wait" not in lanes:
            return lanes
    raise AssertionError(lanes)


def test_a_round_of_feedback_follows_a_text(
    client: FlaskClient, opened: Results, expected: Any, saved: Families
) -> None:
    page = searched(client, method="clip", text=TEXTS[0], k=3)
    flag = unescape(re.search('id="relevant-2" [^>]*href="([^"]+)"', page)[1])
    following = unescape(re.search('id="next" href="([^"]+)"', client.get(flag).get_data(as_text=True))[1])
    found = shown(client.get(following).get_data(as_text=True))
    held = opened.features("clip")
    text = unit(saved["CLIP"].by_keras_hub(TEXTS[0]))
    judged = unit(held.features[held.row(expected["clip"][0][2])])
    order, _ = ranked(text + 0.75 * judged, unit(held.features))
    assert found == without_direction([str(held.image_id[row]) for row in order[:3]])
    answer = client.post(following.replace("/search", "/save"), headers=OWN, data={"name": "words"})
    assert answer.status_code == 400
    assert "A refinement has a query image: a search for a text cannot be saved." in answer.get_data(as_text=True)


def test_an_image_beside_a_text(client: FlaskClient, opened: Results, saved: Families) -> None:
    page = searched(client, method="clip", text=TEXTS[0], k=3)
    look = unescape(re.search('id="look-1" href="([^"]+)"', page)[1])
    also = unescape(re.search('id="also-relevant" href="([^"]+)"', client.get(look).get_data(as_text=True))[1])
    held = opened.features("clip")
    image_id = opened.search(text=TEXTS[0], method="clip", k=2)["image_id"][1]
    mean = unit(saved["CLIP"].by_keras_hub(TEXTS[0])) + unit(held.features[held.row(image_id)])
    order, _ = ranked(mean / 2, unit(held.features))
    assert shown(client.get(also).get_data(as_text=True)) == without_direction(
        [str(held.image_id[row]) for row in order[:3]]
    )


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"method": "tiny", "text": "x"}, "The method 'tiny' has no text search"),
        ({"method": "clip", "text": "  "}, "The text is empty"),
        ({"method": "clip", "text": "x" * 1001}, "more than 1,000 characters"),
        ({"method": "clip", "text": "x", "query": "sea/2.png"}, "names no query image"),
        ({"method": "clip", "text": "x", "box": "0,0,10,10"}, "a part of a text, which has none"),
    ],
)
def test_invalid_addresses_are_reported(search: dict[str, str], message: str, client: FlaskClient) -> None:
    answer = client.get("/search", query_string=search)
    assert answer.status_code == 400
    assert message in unescape(answer.get_data(as_text=True))


def test_a_text_cannot_break_out_of_the_page(client: FlaskClient) -> None:
    page = searched(client, method="clip", text='<script>alert("\u202e")</script>')
    assert "<script>alert" not in page and "\u202e" not in page


def test_the_text_field_is_shown_only_if_a_method_has_texts(client: FlaskClient, tmp_path: Path) -> None:
    plain = visitor(create_app(Library(write_results(tmp_path)), tmp_path / "feedback"))
    assert "text-form" not in plain.get("/").get_data(as_text=True)
    page = client.get("/?method=tiny").get_data(as_text=True)
    form = re.search('<form id="text-form".*?</form>', page, re.DOTALL)[0]
    assert "searched with <bdi>angle</bdi>" in form
    assert '<input type="hidden" name="method" value="angle">' in form
