import pytest

from cbir.collection import protocols
from cbir.collection.sources import REGISTRY
from cbir.files.errors import InputError

COLLECTION = {"path": "/photographs", "dataset": "owner/name", "shards": 1}


def test_the_sources_are_the_files_of_the_folder() -> None:
    assert list(REGISTRY) == ["digits", "folder", "kaggle", "manifest", "sample"]
    words = ["disjoint", "gallery", "given", "grouped", "k-fold", "leave-one-out", "query-gallery", "random"]
    assert list(protocols.REGISTRY) == words
    with pytest.raises(InputError, match="source of images 'web' does not exist: use one of digits, folder, kaggle, m"):
        REGISTRY.get_entry("web")


@pytest.mark.parametrize("name", list(REGISTRY))
def test_a_source_describes_itself_and_names_what_it_depends_on(name: str) -> None:
    source = REGISTRY[name]
    described = source.DESCRIPTION.format(**COLLECTION)
    assert described.endswith(".")
    assert set(source.SETTINGS) <= set(COLLECTION)
    # The description uses only keys that the images depend on.
    for key in COLLECTION:
        assert ("{" + key + "}" in source.DESCRIPTION) == (key in source.SETTINGS)


def test_a_source_without_fetch_reads_existing_files() -> None:
    local = {name: source for name, source in REGISTRY.items() if not hasattr(source, "fetch")}
    assert list(local) == ["folder", "manifest"]
    assert all(callable(source.require) and callable(source.contents) for source in local.values())
