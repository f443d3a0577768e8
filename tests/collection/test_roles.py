import pytest

from cbir.collection.protocols import REGISTRY
from cbir.collection.roles import gallery_of, require_fitting
from cbir.files.errors import InputError

OWN_GALLERY = {"disjoint", "leave-one-out", "k-fold"}


def test_train_is_searched_unless_a_collection_asks_itself() -> None:
    assert {name for name in REGISTRY if gallery_of(name) == "test"} == OWN_GALLERY
    assert {gallery_of(name) for name in set(REGISTRY) - OWN_GALLERY} <= {"train", "test"}
    with pytest.raises(InputError, match="split protocol"):
        gallery_of("nothing")


@pytest.mark.parametrize("protocol", ["leave-one-out", "k-fold", "query-gallery"])
def test_nothing_is_trained_on_queries(protocol: str) -> None:
    split = {"protocol": protocol, "relevance": "list.json" if protocol == "query-gallery" else None}
    require_fitting(split, [])
    with pytest.raises(InputError, match=r"encoders\.a: null, encoders\.b: null"):
        require_fitting(split, ["a", "b"])


def test_unseen_categories_are_trained_beside() -> None:
    require_fitting({"protocol": "disjoint", "relevance": None}, ["a"])


def test_a_list_and_its_protocol_belong_together() -> None:
    with pytest.raises(InputError, match=r"name it in split\.relevance"):
        require_fitting({"protocol": "query-gallery", "relevance": None}, [])
    with pytest.raises(InputError, match=r"split\.relevance is x\.json, but split\.protocol is random"):
        require_fitting({"protocol": "random", "relevance": "x.json"}, [])
