import pytest

from cbir.collection.protocols import REGISTRY
from cbir.collection.roles import gallery_of, require_fitting
from cbir.files.errors import InputError

OWN_GALLERY = {"disjoint", "leave-one-out", "k-fold"}


def test_the_gallery_is_train_unless_test_images_search_each_other() -> None:
    assert {name for name in REGISTRY if gallery_of(name) == "test"} == OWN_GALLERY
    assert {gallery_of(name) for name in set(REGISTRY) - OWN_GALLERY} <= {"train", "test"}
    with pytest.raises(InputError, match="split protocol"):
        gallery_of("nothing")


@pytest.mark.parametrize("protocol", ["leave-one-out", "k-fold", "query-gallery"])
def test_encoders_cannot_be_trained_if_every_image_is_a_query(protocol: str) -> None:
    split = {"protocol": protocol, "relevance": "list.json" if protocol == "query-gallery" else None}
    require_fitting(split, [])
    with pytest.raises(InputError, match=r"encoders\.a: null, encoders\.b: null"):
        require_fitting(split, ["a", "b"])


def test_encoders_can_be_trained_with_the_disjoint_protocol() -> None:
    require_fitting({"protocol": "disjoint", "relevance": None}, ["a"])


def test_the_relevance_file_and_its_protocol_require_each_other() -> None:
    with pytest.raises(InputError, match=r"name it in split\.relevance"):
        require_fitting({"protocol": "query-gallery", "relevance": None}, [])
    with pytest.raises(InputError, match=r"split\.relevance is x\.json, but split\.protocol is random"):
        require_fitting({"protocol": "random", "relevance": "x.json"}, [])
