import numpy as np
import pytest
from numpy.typing import NDArray

from cbir.training.sampler import epoch_batches

Indices = NDArray[np.int64]


def categories_of(labels: Indices, batches: Indices, images: int) -> Indices:
    """Return the category of each group of K images, and check that a group has one category only."""
    grouped = labels[batches].reshape(len(batches), -1, images)
    assert (grouped == grouped[..., :1]).all()
    return grouped[..., 0]


def test_balanced_categories_show_every_image_exactly_once() -> None:
    labels = np.repeat(np.arange(6), 8)
    batches = epoch_batches(labels, 3, 4, seed=1, epoch=1)
    assert batches.shape == (4, 12)
    assert sorted(batches.ravel()) == list(range(48))
    assert all(len(set(row)) == 3 for row in categories_of(labels, batches, 4))


def test_unequal_categories_show_every_image_in_batches_of_p_times_k() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [1, 2, 3, 7, 30]))
    batches = epoch_batches(labels, 3, 4, seed=1, epoch=1)
    assert batches.shape[1] == 12
    assert set(batches.ravel()) == set(range(43))
    assert all(len(set(row)) == 3 for row in categories_of(labels, batches, 4))
    # The largest category needs 8 groups of 4, and a batch contains one of them.
    assert len(batches) == 8


def test_a_category_with_fewer_than_k_images_repeats_them() -> None:
    labels = np.array([0, 1, 1, 1, 1])
    batch = epoch_batches(labels, 2, 4, seed=1, epoch=1)[0]
    assert sorted(batch.tolist()) == [0, 0, 0, 0, 1, 2, 3, 4]


def test_the_last_group_is_filled_with_images_that_it_lacks() -> None:
    labels = np.array([0] * 6 + [1] * 8)
    for seed in range(20):
        batches = epoch_batches(labels, 2, 4, seed=seed, epoch=1)
        assert all(len(set(row.tolist())) == 8 for row in batches)


def test_fewer_categories_than_p_are_all_used() -> None:
    labels = np.repeat([4, 9], 4)
    batches = epoch_batches(labels, 8, 2, seed=1, epoch=1)
    assert batches.shape == (2, 4)
    assert sorted(batches.ravel()) == list(range(8))


@pytest.mark.parametrize("steps", [1, 3, 11])
def test_a_given_number_of_steps_shortens_or_repeats_the_pass(steps: int) -> None:
    labels = np.repeat(np.arange(6), 8)
    batches = epoch_batches(labels, 3, 4, seed=1, epoch=1, steps=steps)
    assert batches.shape == (steps, 12)
    np.testing.assert_array_equal(batches[:4], epoch_batches(labels, 3, 4, seed=1, epoch=1)[:steps])
    if steps > 8:
        assert sorted(batches[4:8].ravel()) == list(range(48))
        assert not np.array_equal(batches[4:8], batches[:4])


def test_an_epoch_depends_only_on_seed_and_number() -> None:
    labels = np.repeat(np.arange(6), 8)
    first = epoch_batches(labels, 3, 4, seed=1, epoch=2)
    epoch_batches(labels, 3, 4, seed=9, epoch=9)
    np.testing.assert_array_equal(first, epoch_batches(labels, 3, 4, seed=1, epoch=2))
    assert not np.array_equal(first, epoch_batches(labels, 3, 4, seed=1, epoch=3))
    assert not np.array_equal(first, epoch_batches(labels, 3, 4, seed=2, epoch=2))


def test_large_categories_do_not_come_first() -> None:
    labels = np.repeat(np.arange(5), [40, 40, 8, 8, 8])
    small = np.array([(labels[epoch_batches(labels, 2, 4, seed=0, epoch=e)[0]] > 1).any() for e in range(30)])
    assert small.any() and not small.all()
