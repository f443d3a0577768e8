import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from cbir.encoders import networks
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "siamese.keras"
    archive.save(networks.build("siamese", "random", 0)[0], path)
    return path


@pytest.fixture
def path(saved: Path, tmp_path: Path) -> Path:
    """Return the path of a copy that a test may damage."""
    copy = tmp_path / "copy.keras"
    copy.write_bytes(saved.read_bytes())
    return copy


@pytest.mark.parametrize("name", ["mobilenetv2", "siamese"])
def test_the_same_network_gives_the_same_bytes_and_its_fingerprint(name: str, tmp_path: Path) -> None:
    hashes = set()
    for number in range(2):
        keras.backend.clear_session()
        model, _ = networks.build(name, "random", 0)
        archive.save(model, tmp_path / f"{number}.keras")
        hashes.add(sha256_file(tmp_path / f"{number}.keras"))
    assert len(hashes) == 1
    held = archive.read(tmp_path / "0.keras")
    digest = hashlib.sha256(model.to_json().encode())
    for array in model.get_weights():
        digest.update(array.tobytes())
    assert held.fingerprint() == digest.hexdigest()
    assert [layer for layer, _ in held.layers] == [layer.name for layer in model.layers]
    shapes = [array.shape for arrays in held.weights for array in arrays]
    assert shapes == [array.shape for array in model.get_weights()]


def test_keras_opens_a_saved_network(saved: Path) -> None:
    model = keras.models.load_model(saved, compile=False, safe_mode=True)
    for ours, theirs in zip(networks.build("siamese", "random", 0)[0].get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_other_weights_have_another_fingerprint(saved: Path, tmp_path: Path) -> None:
    archive.save(networks.build("siamese", "random", 1)[0], tmp_path / "other.keras")
    assert archive.read(tmp_path / "other.keras").fingerprint() != archive.read(saved).fingerprint()


def rewrite(path: Path, name: str, change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as members:
        parts = {member: members.read(member) for member in members.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", compression) as members:
        for member, data in parts.items():
            members.writestr(member, data)


def linked(data: bytes) -> bytes:
    """Replace the weights of one layer by a link to another file."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/hostname", "/x")
    return stream.getvalue()


def test_weights_in_another_file_are_refused(path: Path) -> None:
    rewrite(path, "model.weights.h5", linked)
    with pytest.raises(InputError, match=r"copy\.keras is damaged .*lacks the dataset '0'"):
        archive.read(path)


def test_an_archive_that_decompresses_to_too_much_is_refused(path: Path) -> None:
    rewrite(path, "metadata.json", lambda data: data + b" " * 50_000_000, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="claims more bytes than the file has"):
        archive.read(path)


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", json.dumps({"config": {"layers": [1]}}).encode(), b"[" * 10**5])
def test_an_architecture_that_is_not_a_network_is_refused(config: bytes, path: Path) -> None:
    rewrite(path, "config.json", lambda _: config)
    with pytest.raises(InputError, match="is damaged"):
        archive.read(path)


def test_missing_and_cut_files(path: Path, tmp_path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        archive.read(path)
    with pytest.raises(InputError, match="does not exist"):
        archive.read(tmp_path / "none.keras")
    with pytest.raises(ValueError, match="no file"):
        archive.unpack("/dev/zero")


def edited(change: Callable[[h5py.File], None]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as file:
            change(file)
        return stream.getvalue()

    return edit


def shared(file: h5py.File) -> None:
    """Make a thousand layers share one array of 1 MB."""
    place = file["layers/dense/vars"]
    place["2"] = np.zeros(250_000, np.float32)
    for number in range(3, 1000):
        place[str(number)] = place["2"]


def test_arrays_of_no_layer_of_the_network_are_not_read(path: Path) -> None:
    def add_a_loop(file: h5py.File) -> None:
        file["layers/other/within/within"] = file.create_group("layers/other/within")

    before = archive.read(path)
    rewrite(path, "model.weights.h5", edited(add_a_loop))
    held = archive.read(path)
    assert held.fingerprint() == before.fingerprint()
    assert not archive.has_nested_layers(held.data, [kind for _, kind in held.layers])


def compressed(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", data=np.zeros((256, 128), np.float32), compression="gzip")


def wider(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = np.zeros((256, 129), np.float32)


def shorter(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]


SHAPES = [tuple(weight.shape) for weight in networks.build("siamese", "random", 0)[0].weights]


@pytest.mark.parametrize(
    ("change", "shapes", "reason"),
    [
        (shared, None, "its weights claim more bytes than the file has"),
        (compressed, None, "not stored in one piece"),
        (wider, SHAPES, r"has the shape \(256, 129\), and the network's is \(256, 128\)"),
        (shorter, SHAPES, "it holds 11 weights, and the network has 12"),
    ],
)
def test_weights_of_wrong_shapes_are_refused_before_they_are_read(
    change: Callable[[h5py.File], None], shapes: archive.Shapes | None, reason: str, path: Path
) -> None:
    rewrite(path, "model.weights.h5", edited(change))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match=reason):
        patch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("they were read"))
        archive.unpack(path, shapes)


def nested(path: Path, names: list[str], size: int) -> None:
    """Write nested members that share their bytes, so that their sizes add up to far more than the file."""
    data = bytes(size)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as whole:
        for name in reversed(names):
            with io.BytesIO() as part:
                with zipfile.ZipFile(part, "w") as one:
                    one.writestr(zipfile.ZipInfo(name), data)
                    end = one.start_dir
                data = part.getvalue()[:end]
            entry = zipfile.ZipInfo(name)
            entry.file_size = entry.compress_size = end - 30 - len(name)
            entry.CRC = zlib.crc32(data[30 + len(name) :])
            whole.filelist.append(entry)
        offset = 0
        for entry in reversed(whole.filelist):
            entry.header_offset = offset
            offset += 30 + len(entry.filename)
        whole.fp.write(data)
        whole.start_dir, whole._didModify = len(data), True
    path.write_bytes(stream.getvalue())


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nested.zip"
    nested(path, [f"{number}.npy" for number in range(9)], 1000)
    with zipfile.ZipFile(path) as whole:
        assert [whole.getinfo(f"{number}.npy").file_size for number in (0, 8)] == [1000 + 8 * 35, 1000]
    with pytest.raises(ValueError, match="claims more bytes than the file has"):
        archive.require_plain(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused(packing: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", packing) as whole:
        whole.writestr("a", b"x")
    with pytest.raises(ValueError, match="it holds packed members"):
        archive.require_plain(tmp_path / "packed.zip")
