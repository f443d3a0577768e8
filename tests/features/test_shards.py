import hashlib
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from cbir.collection.images import load
from cbir.encoders import runtimes
from cbir.encoders.runtimes import TENSORFLOW, Embed, Runtime
from cbir.features import shards
from cbir.features.shards import count_missing, encode_shard, read_rows
from cbir.files.errors import InputError
from cbir.files.tables import write_csv, write_json
from conftest import picture

BATCH = 4


class Network:
    """A replacement for a network: its features are three colour means. It counts its images, and fails on request."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.made = 0
        self.sizes: list[int] = []

    def make(self) -> Embed:
        self.made += 1
        return self.embed

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.fail_at == len(self.sizes):
            raise KeyboardInterrupt
        self.sizes.append(len(images))
        return features(images)


def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)


Shard = Callable[..., int]


@pytest.fixture
def images(tmp_path: Path) -> pd.DataFrame:
    rows = []
    (tmp_path / "in").mkdir()
    for number in range(22):
        path = tmp_path / "in" / f"{number}.png"
        picture(number, number).save(path)
        rows.append({"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    # It saves after every 8 images.
    monkeypatch.setattr(shards, "_SAVE_ROWS", 10)


def encode(images: pd.DataFrame, path: Path, network: Network, fingerprint: str = "f", workers: int = 1) -> int:
    return encode_shard(images, path, fingerprint, 3, (224, 224), BATCH, network.make, workers)


def test_features_are_stored_by_content(images: pd.DataFrame, tmp_path: Path) -> None:
    network = Network()
    assert encode(images, tmp_path / "0.h5", network) == 22
    assert network.sizes == [4, 4, 4, 4, 4, 2]
    with h5py.File(tmp_path / "0.h5") as file:
        digests = file["sha256"].asstr()[:].tolist()
        stored = file["features"][:]
        assert file.attrs["fingerprint"] == b"f"
    assert digests == sorted(images["sha256"])
    assert stored.dtype == np.float32
    by_digest = dict(zip(digests, stored, strict=True))
    for path, digest in images[["path", "sha256"]].to_numpy():
        assert np.array_equal(by_digest[digest], features(load(path, (224, 224))[None])[0])
    assert sorted(os.listdir(tmp_path)) == ["0.h5", "in"]


@pytest.mark.parametrize("fail_at", [0, 1, 2, 3, 5])
def test_an_interrupted_run_continues_to_the_same_bytes(images: pd.DataFrame, tmp_path: Path, fail_at: int) -> None:
    encode(images, tmp_path / "uninterrupted.h5", Network())
    with pytest.raises(KeyboardInterrupt):
        encode(images, tmp_path / "0.h5", Network(fail_at))
    assert not (tmp_path / "0.h5").exists()
    saved = 8 * (fail_at // 2)
    network = Network()
    assert encode(images, tmp_path / "0.h5", network) == 22 - saved
    assert sum(network.sizes) == 22 - saved
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "uninterrupted.h5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["0.h5", "in", "uninterrupted.h5"]


def test_files_left_by_a_killed_run_are_ignored_or_removed(images: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(images, tmp_path / "0.h5", Network(fail_at=4))
    parts = tmp_path / "0.parts"
    # The temporary file of a killed write, a half-written part, and an unrelated file.
    (parts / ".000003.abcd.h5").write_bytes(b"half")
    whole = (parts / "000002.h5").read_bytes()
    (parts / "000002.h5").write_bytes(whole[:1000])
    (parts / "notes.txt").write_text("x")
    network = Network()
    assert encode(images, tmp_path / "0.h5", network) == 14
    encode(images, tmp_path / "uninterrupted.h5", Network())
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "uninterrupted.h5").read_bytes()
    assert not parts.exists()


def test_without_new_images_no_network_is_loaded(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images, tmp_path / "0.h5", Network())
    before = (tmp_path / "0.h5").read_bytes()
    network = Network()
    assert encode(images.sample(frac=1, random_state=0), tmp_path / "0.h5", network) == 0
    assert network.made == 0
    assert (tmp_path / "0.h5").read_bytes() == before


def test_only_a_new_image_is_encoded_and_a_removed_one_is_dropped(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images[:20], tmp_path / "0.h5", Network())
    network = Network()
    assert encode(images[1:21], tmp_path / "0.h5", network) == 1
    assert network.sizes == [1]
    encode(images[1:21], tmp_path / "fresh.h5", Network())
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def test_the_number_of_images_to_encode_is_logged_beforehand(images: pd.DataFrame, tmp_path: Path) -> None:
    manifest, shard, about = (tmp_path / name for name in ("0.csv", "0.h5", "f.json"))
    assert count_missing(manifest, shard, about, TENSORFLOW) > 10**6
    write_csv(manifest, pd.concat([images[2:], images[:4]]))
    write_json(about, {"fingerprint": "f"})
    assert count_missing(manifest, shard, about, TENSORFLOW) > 10**6
    encode(images[:19], shard, Network())
    assert count_missing(manifest, shard, about, TENSORFLOW) == 3
    assert count_missing(manifest, shard, about, Runtime("openvino")) == 22
    shard.write_bytes(shard.read_bytes()[:1000])
    assert count_missing(manifest, shard, about, TENSORFLOW) > 10**6


def test_another_encoder_encodes_all_images(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images, tmp_path / "0.h5", Network())
    assert encode(images, tmp_path / "0.h5", Network(), "other") == 22
    with pytest.raises(InputError, match=r"0\.h5 is damaged or of another encoder"):
        list(read_rows([tmp_path / "0.h5"], list(images["sha256"]), "f"))


@pytest.mark.parametrize("content", [b"changed", None])
def test_an_image_that_changed_is_refused_by_name(images: pd.DataFrame, tmp_path: Path, content: bytes | None) -> None:
    path = Path(images["path"][7])
    if content:
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"in/7\.png has changed since the collection was read: run again"):
        encode(images, tmp_path / "0.h5", Network())
    assert not (tmp_path / "0.h5").exists()


def test_a_valid_image_in_place_of_another_is_refused_too(images: pd.DataFrame, tmp_path: Path) -> None:
    Path(images["path"][7]).write_bytes(Path(images["path"][8]).read_bytes())
    with pytest.raises(InputError, match=r"in/7\.png has changed"):
        encode(images, tmp_path / "0.h5", Network())


def test_features_that_are_not_finite_are_refused_by_name(images: pd.DataFrame, tmp_path: Path) -> None:
    bad = features(load(images["path"][5], (224, 224))[None])

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = features(pixels)
        found[(found == bad).all(axis=1), 1] = np.nan
        return found

    with pytest.raises(InputError, match=r"no finite features for .*in/5\.png"):
        encode_shard(images, tmp_path / "0.h5", "f", 3, (224, 224), BATCH, lambda: embed, 2)
    assert not (tmp_path / "0.h5").exists()


def test_the_same_image_is_encoded_once(images: pd.DataFrame, tmp_path: Path) -> None:
    assert encode(pd.concat([images[:3], images[:3]]), tmp_path / "0.h5", Network()) == 3
    wanted = list(images["sha256"][[2, 0, 2, 1, 0]])
    [block] = read_rows([tmp_path / "0.h5"], wanted, "f")
    expected = [features(load(images["path"][number], (224, 224))[None])[0] for number in (2, 0, 2, 1, 0)]
    assert np.array_equal(block, expected)


def test_an_empty_shard(images: pd.DataFrame, tmp_path: Path) -> None:
    network = Network()
    assert encode(images[:0], tmp_path / "0.h5", network) == 0
    assert network.made == 0
    encode(images, tmp_path / "1.h5", Network())
    blocks = list(read_rows([tmp_path / "0.h5", tmp_path / "1.h5"], list(images["sha256"]), "f"))
    assert sum(map(len, blocks)) == 22
    assert list(read_rows([tmp_path / "0.h5"], [], "f")) == []


def test_rows_of_several_shards_are_read_in_the_requested_order(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images[::2], tmp_path / "0.h5", Network())
    encode(images[1::2], tmp_path / "1.h5", Network())
    shuffled = images.sample(frac=1, random_state=1)
    blocks = list(read_rows([tmp_path / "0.h5", tmp_path / "1.h5"], list(shuffled["sha256"]), "f"))
    assert [len(block) for block in blocks] == [10, 10, 2]
    expected = [features(load(path, (224, 224))[None])[0] for path in shuffled["path"]]
    assert np.array_equal(np.concatenate(blocks), expected)
    assert blocks[0].dtype == np.float32


def test_an_image_in_no_shard_is_named(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images[:3], tmp_path / "0.h5", Network())
    with pytest.raises(InputError, match=f"No encoded shard holds the image with sha256 {images['sha256'][3]}"):
        list(read_rows([tmp_path / "0.h5"], list(images["sha256"]), "f"))


def damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "text":
        path.write_text("no HDF5")
    elif kind == "bit":
        with h5py.File(path) as file:
            place = file["features"].id.get_offset()
        data[place] ^= 1
        path.write_bytes(data)
    else:
        with h5py.File(path, "a") as file:
            kept = file["features"][:]
            if kind == "attribute":
                del file.attrs["fingerprint"]
            elif kind == "group":
                del file["sha256"]
                file.create_group("sha256")
            else:
                del file["features"]
            if kind == "short":
                file["features"] = kept[:-1]
            elif kind == "link":
                with h5py.File(path.parent / "secret.h5", "w") as secret:
                    secret["features"] = kept
                file["features"] = h5py.ExternalLink("secret.h5", "/features")


@pytest.mark.parametrize("kind", ["truncated", "text", "bit", "attribute", "group", "missing", "short", "link"])
def test_a_damaged_shard_is_refused_by_its_reader_and_replaced_by_its_writer(
    images: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    encode(images, tmp_path / "0.h5", Network())
    whole = (tmp_path / "0.h5").read_bytes()
    damage(tmp_path / "0.h5", kind)
    with pytest.raises(InputError, match=r"0\.h5 is damaged or of another encoder: remove it and run again"):
        list(read_rows([tmp_path / "0.h5"], list(images["sha256"]), "f"))
    assert encode(images, tmp_path / "0.h5", Network()) == 22
    assert (tmp_path / "0.h5").read_bytes() == whole


def test_memory_is_bounded_by_one_batch_for_each_thread(
    images: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0
    load_verified = shards._load_verified

    def watched(*arguments: Any) -> NDArray[np.uint8]:
        nonlocal most
        pixels = load_verified(*arguments).copy()
        held.append(weakref.ref(pixels))
        most = max(most, sum(one() is not None for one in held))
        return pixels

    monkeypatch.setattr(shards, "_load_verified", watched)
    encode(images, tmp_path / "0.h5", Network(), workers=2)
    assert len(held) == 22
    assert most <= 2 * BATCH


def test_threads_encode_at_the_same_time_and_rows_stay_in_order(images: pd.DataFrame, tmp_path: Path) -> None:
    encode(images, tmp_path / "0.h5", Network())
    second = threading.Event()
    calls = []

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls.append(len(pixels))
        # The first batch ends after the second one began.
        if len(calls) == 1:
            assert second.wait(60)
        second.set()
        return features(pixels)

    assert encode_shard(images, tmp_path / "1.h5", "f", 3, (224, 224), BATCH, lambda: embed, workers=2) == 22
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "0.h5").read_bytes()


def test_only_images_with_another_white_are_encoded_again(images: pd.DataFrame, tmp_path: Path) -> None:
    values = np.arange(400, dtype=np.uint16).reshape(20, 20)
    Image.fromarray(values).save(tmp_path / "in" / "dim.png")
    digest = hashlib.sha256((tmp_path / "in" / "dim.png").read_bytes()).hexdigest()
    images.loc[len(images)] = [str(tmp_path / "in" / "dim.png"), digest]
    shard, about, manifest = tmp_path / "0.h5", tmp_path / "about.json", tmp_path / "manifest.csv"
    write_json(about, {"fingerprint": "f"})
    made = {}
    # Its own range, then that of a brighter image, which is removed and added again.
    for white, encoded in ((0, 23), (4095, 1), (4095, 0), (0, 1), (4095, 1)):
        table = images.assign(white=[0] * 22 + [white]) if white else images
        network = Network()
        write_csv(manifest, table)
        fingerprint = runtimes.fingerprint("f", TENSORFLOW)
        assert shard.exists() is (count_missing(manifest, shard, about, TENSORFLOW) == encoded)
        assert encode(table, shard, network, fingerprint) == encoded
        made.setdefault(white, shard.read_bytes())
        assert shard.read_bytes() == made[white]
        [block] = read_rows([shard], [digest, *images["sha256"][:2]], fingerprint)
        assert np.allclose(block[0], 255 / (white or 1023) * 199.5, atol=0.6)
        assert shards.contents(shard, fingerprint)[digest] == white
    with h5py.File(shard) as file:
        assert file["white"].dtype == np.int64
    # A killed run has saved the row with one white, the next run needs another white, the third the first one again.
    shard.unlink()
    for white, fail_at in ((4095, 5), (0, 5), (4095, None)):
        table = images.assign(white=[0] * 22 + [white])
        try:
            encode(table, shard, Network(fail_at), fingerprint)
        except KeyboardInterrupt:
            continue
    assert shard.read_bytes() == made[4095]
