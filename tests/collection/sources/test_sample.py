import hashlib
import io
import logging
import re
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cbir.collection.rcc import read_resources
from cbir.collection.sources import sample
from cbir.files import tables
from cbir.files.errors import InputError

REMEDY = "write `collection: {source: digits}` or `collection: {source: folder, path: DIR}` in the config"


def resource_file(entries: dict[str, bytes]) -> bytes:
    """Return a Qt resource file of version 1 without folders."""
    names, data = b"", b""
    nodes = struct.pack(">IHII", 0, 2, len(entries), 1)
    for name, content in entries.items():
        nodes += struct.pack(">IHII", len(names), 0, 0, len(data))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        data += struct.pack(">I", len(content)) + content
    return struct.pack(">4s4I", b"qres", 1, 20 + len(data) + len(names), 20, 20 + len(data)) + data + names + nodes


def listed(category: str, count: int) -> pd.DataFrame:
    """Return a table of ``count`` images of a category; the bytes of image i are "category i"."""
    return pd.DataFrame(
        [
            {
                "file": f"{category}/{i:02}.webp",
                "archive": f"{category}.rcc",
                "resource": f"{category}{i}.webp",
                "sha256": hashlib.sha256(f"{category} {i}".encode()).hexdigest(),
                "author": f"Author {i}",
                "licence": "CC0-1.0",
                "source": "https://example.org",
                "changes": "",
            }
            for i in range(count)
        ]
    )


def archive(category: str, count: int) -> bytes:
    return resource_file({f"{category}{i}.webp": f"{category} {i}".encode() for i in range(count)})


class TestTable:
    table = tables.read_csv(sample.TABLE, ["file", "archive", "resource", "sha256", "author", "licence", "source"])

    def test_categories(self) -> None:
        assert self.table.file.str.partition("/")[0].value_counts().to_dict() == {
            "tools": 38,
            "fish": 28,
            "monuments": 27,
            "other_mammals": 20,
            "windmills": 15,
            "hoofed_mammals": 14,
            "birds": 12,
        }

    def test_every_photograph_is_different_and_has_its_own_name(self) -> None:
        for column in ("file", "resource", "sha256"):
            assert self.table[column].is_unique
        assert self.table.file.is_monotonic_increasing
        assert self.table.file.str.fullmatch(r"[a-z_]+/[A-Za-z0-9_]+\.webp").all()
        assert self.table.sha256.str.fullmatch(r"[0-9a-f]{64}").all()

    def test_every_photograph_has_author_source_and_a_free_licence(self) -> None:
        assert (self.table.author != "").all()
        assert self.table.source.str.fullmatch(r"https://\S+").all()
        free = {"Public Domain", "CC0-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-SA-4.0", "GPLv2+"}
        assert set(self.table.licence) == free


class TestExtract:
    def test_writes_what_the_table_lists_and_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "fish.rcc").write_bytes(archive("fish", 14))
        found = sample.extract(tmp_path, listed("fish", 12), tmp_path / "out")
        assert [path.relative_to(tmp_path / "out").as_posix() for path in sorted((tmp_path / "out").rglob("*.*"))] == [
            f"fish/{i:02}.webp" for i in range(12)
        ]
        assert (tmp_path / "out/fish/07.webp").read_text() == "fish 7"
        assert list(found.author) == [f"Author {i}" for i in range(12)]

    def test_a_photograph_with_other_bytes_than_listed_is_skipped_and_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "fish.rcc").write_bytes(archive("fish", 13).replace(b"fish 3", b"fish !"))
        with caplog.at_level(logging.WARNING, "cbir"):
            found = sample.extract(tmp_path, listed("fish", 13), tmp_path / "out")
        assert list(found.file) == [f"fish/{i:02}.webp" for i in range(13) if i != 3]
        assert list(found.index) == list(range(12))
        assert not (tmp_path / "out/fish/03.webp").exists()
        assert caplog.messages == ["The sample lacks 1 photographs in this version: fish/03.webp"]

    @pytest.mark.parametrize("birds", [None, 11])
    def test_too_few_of_a_category_is_refused_before_anything_is_written(
        self, tmp_path: Path, birds: int | None
    ) -> None:
        (tmp_path / "fish.rcc").write_bytes(archive("fish", 12))
        if birds:
            (tmp_path / "birds.rcc").write_bytes(archive("birds", birds))
        table = pd.concat([listed("birds", 12), listed("fish", 12)])
        with pytest.raises(InputError) as error:
            sample.extract(tmp_path, table, tmp_path / "out")
        assert f"holds {birds or 0} of the sample's birds and 12 are needed" in str(error.value)
        assert REMEDY in str(error.value)
        assert not (tmp_path / "out").exists()

    def test_a_damaged_archive_is_refused_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "fish.rcc").write_bytes(archive("fish", 12)[:-3])
        with pytest.raises(InputError, match=r"fish\.rcc is not a readable Qt resource file"):
            sample.extract(tmp_path, listed("fish", 12), tmp_path / "out")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole PATH, for replacements of apt-get and dpkg-deb."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class TestDownload:
    def test_without_apt_the_message_says_what_to_configure_instead(self, tools: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="this machine has no apt-get") as error:
            sample.fetch(tmp_path / "out", {})
        assert REMEDY in str(error.value)
        program(tools / "apt-get", "exit 0")
        with pytest.raises(InputError, match="this machine has no dpkg-deb") as error:
            sample.fetch(tmp_path / "out", {})
        assert REMEDY in str(error.value)
        with pytest.raises(InputError, match="This machine has no dpkg-deb") as error:
            sample.unpack(tmp_path / "some.deb", tmp_path / "out")
        assert REMEDY in str(error.value)

    def test_a_failed_download_reports_the_first_and_last_error_of_apt(self, tools: Path, tmp_path: Path) -> None:
        program(tools / "dpkg-deb", "exit 0")
        program(
            tools / "apt-get",
            'case "$*" in\n'
            '  *update) echo "W: Failed to fetch http://mirror  Could not resolve" >&2; echo "W: Some failed" >&2;;\n'
            '  *) echo "W: Download is performed unsandboxed" >&2\n'
            '     echo "E: Unable to locate package gcompris-qt-data" >&2; exit 100;;\n'
            "esac",
        )
        # An incomplete file of a failed download is not used as the package.
        (tmp_path / "gcompris-qt-data_9_all.deb").write_bytes(b"half")
        with pytest.raises(InputError) as error:
            sample.download(tmp_path)
        assert str(error.value) == (
            "Debian's package gcompris-qt-data cannot be downloaded (Failed to fetch http://mirror  Could not resolve; "
            f"Unable to locate package gcompris-qt-data): check the connection, or {REMEDY} instead."
        )

    def test_apt_writes_only_into_the_folder_and_its_progress_is_logged(
        self, tools: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        program(tools / "dpkg-deb", "exit 0")
        # A failed update does not matter if the download succeeds.
        program(
            tools / "apt-get",
            'echo "$*" >> calls\n'
            'case "$*" in\n'
            '  *update) echo "E: The repository of a third party is broken" >&2; exit 100;;\n'
            "esac\n"
            'echo "dlstatus:1:40.0:Retrieving file 1 of 1"; echo "dlstatus:1:100.0000:Retrieving file 1 of 1"\n'
            ": > gcompris-qt-data_9_all.deb",
        )
        with caplog.at_level(logging.INFO, "cbir"):
            assert sample.download(tmp_path) == tmp_path / "gcompris-qt-data_9_all.deb"
        update, download = (tmp_path / "calls").read_text().splitlines()
        for call in (update, download):
            assert f"-o Dir::State::Lists={tmp_path}/lists -o Dir::Cache={tmp_path}/cache" in call
        assert update.endswith(" update")
        assert download.endswith(" download gcompris-qt-data")
        assert caplog.messages[0] == "Asking apt for the package gcompris-qt-data, about 45 MB"
        assert caplog.messages[1].startswith("per cent of gcompris-qt-data downloaded: 100 of 100")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
class TestUnpack:
    def test_reads_a_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "root"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            "Package: gcompris-qt-data\nVersion: 9.1-2\nArchitecture: all\nMaintainer: A <a@b.org>\nDescription: x\n"
        )
        archives = root / "usr/share/gcompris-qt/rcc"
        archives.mkdir(parents=True)
        (archives / "fish.rcc").write_bytes(archive("fish", 12))
        subprocess.run(["dpkg-deb", "--build", "-Znone", root, tmp_path / "x.deb"], check=True, capture_output=True)
        tables.write_csv(tmp_path / "table.csv", listed("fish", 12))
        monkeypatch.setattr(sample, "TABLE", tmp_path / "table.csv")
        table = sample.unpack(tmp_path / "x.deb", tmp_path / "out")
        assert list(table.columns) == ["file", "author", "licence", "source", "changes", "package"]
        assert table.iloc[3].to_dict() == {
            "file": "fish/03.webp",
            "author": "Author 3",
            "licence": "CC0-1.0",
            "source": "https://example.org",
            "changes": "",
            "package": "gcompris-qt-data 9.1-2",
        }
        assert (tmp_path / "out/fish/11.webp").read_text() == "fish 11"

    def test_a_file_that_is_not_a_package_is_an_input_error(self, tmp_path: Path) -> None:
        (tmp_path / "x.deb").write_text("no package")
        with pytest.raises(InputError, match=r"cannot be opened \(dpkg-deb: .*\): download it again\.$"):
            sample.unpack(tmp_path / "x.deb", tmp_path / "out")


def readme_blocks(text: str) -> dict[str, dict[str, str]]:
    """Yield each file that a README of the package names, with the fields of its paragraph."""
    blocks = {}
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(\w+):[ \t]*(\S.*)$", paragraph, re.MULTILINE))
        for name in re.findall(r"^(?:Files:[ \t]*)?(\S+\.webp)$", paragraph, re.MULTILINE):
            blocks[name] = fields
    return blocks


@pytest.mark.network
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_the_real_package(tmp_path: Path) -> None:
    package = sample.download(tmp_path)
    table = sample.unpack(package, tmp_path / "out")
    assert list(table.file) == list(TestTable.table.file)
    for name in table.file:
        with Image.open(io.BytesIO((tmp_path / "out" / name).read_bytes())) as image:
            assert image.format == "WEBP"
            assert min(image.convert("RGB").size) > 100
    assert (table[["author", "licence", "source", "package"]] != "").all(axis=None)

    # If the package has READMEs (until version 3), the table agrees with them.
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "root"], check=True)
    for name, rows in TestTable.table.groupby("archive"):
        resources = {
            str(path): data for path, data in read_resources(tmp_path / "root/usr/share/gcompris-qt/rcc" / str(name))
        }
        for row in rows.itertuples():
            folder, _, picture = str(row.resource).rpartition("/")
            if f"{folder}/README" in resources:
                stated = readme_blocks(resources[f"{folder}/README"].decode())[picture]
                assert row.author == stated["Copyright"]
                assert str(row.licence).lower() == stated["License"].lower()
                assert row.source == stated["Source"]
                assert row.changes == stated.get("Comments", "")
