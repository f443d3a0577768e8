import math

import pytest

from cbir.files.errors import InputError
from cbir.training.collapse import STUCK_STEPS, check
from cbir.training.losses.triplet import build, is_collapsed
from training.made import settings

LOSS = build(settings(margin=0.2), 2, 4)


@pytest.mark.parametrize(
    ("loss", "spread", "collapsed"),
    [
        (0.2, 0.0, True),
        # Batch-hard mining of a network from scratch.
        (0.216, 0.052, True),
        # The loss is at the margin, but the embeddings are spread: triplets are hard, and nothing has collapsed.
        (0.2, 0.5, False),
        # Close together, and still in the right order: the loss is below the margin.
        (0.15, 0.05, False),
        (0.6, 0.05, False),
    ],
)
def test_collapse_is_a_loss_at_the_margin_without_spread(loss: float, spread: float, collapsed: bool) -> None:
    assert is_collapsed(loss, spread, 0.2) is collapsed


def test_a_few_collapsed_steps_are_no_error() -> None:
    stuck = check(0.2, 0.001, 0, STUCK_STEPS - 1, 1, 0.01, LOSS)
    assert stuck == STUCK_STEPS - 1
    assert check(0.1, 0.3, stuck, 5, 2, 0.01, LOSS) == 0


@pytest.mark.parametrize(
    ("mining", "remedy"), [("batch-hard", "semi-hard or random"), ("semi-hard", "to random"), ("random", ": change")]
)
def test_many_collapsed_steps_are_an_error_with_a_remedy(mining: str, remedy: str) -> None:
    loss = build(settings(mining=mining), 2, 4)
    with pytest.raises(InputError, match=rf"collapsed: by epoch 4 .*{remedy}.*training.learning_rate, now 0.01\.$"):
        check(0.2, 0.001, STUCK_STEPS - 5, 5, 4, 0.01, loss)


def test_a_loss_that_is_not_a_number_is_reported() -> None:
    with pytest.raises(InputError, match=r"loss became nan in epoch 1: lower training\.learning_rate"):
        check(math.nan, 0.5, 0, 5, 1, 0.01, LOSS)
