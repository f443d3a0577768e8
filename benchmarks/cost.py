"""Estimate the jobs, time and storage of a run from given rates, and print the arithmetic.

    .venv/bin/python benchmarks/cost.py                                # the study's size
    .venv/bin/python benchmarks/cost.py --images 1000000 --shards 100

Rates are arguments; their defaults were measured on 2 CPU cores and do not apply to a GPU. The time of searching, which
grows with queries x gallery, is not estimated: `results/benchmarks` of a smaller run has a rate.
"""

import argparse

DIMENSIONS = {"pretrained": 1280, "siamese": 128, "finetuned": 1280, "combined": 2560}
ENCODERS = ("pretrained", "siamese", "finetuned")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=13_751)
    parser.add_argument("--shards", type=int, default=4, help="collection.shards")
    parser.add_argument("--together", type=int, default=4, help="shards a job: group-components of profiles/slurm")
    parser.add_argument("--at-once", type=int, default=4, help="jobs of encoding that run at the same time")
    parser.add_argument("--epochs", type=int, default=4, help="of each training")
    parser.add_argument("--encoded", type=float, default=150, help="MobileNetV2 images a second (2 cores)")
    parser.add_argument("--encoded-siamese", type=float, default=35, help="siamese images a second (2 cores)")
    parser.add_argument("--trained", type=float, default=24, help="fine-tuned images a second (2 cores)")
    parser.add_argument("--trained-siamese", type=float, default=9, help="siamese images a second (2 cores)")
    for line in report(parser.parse_args()):
        print(line)


def report(run: argparse.Namespace) -> list[str]:
    """Return the lines of the estimate."""
    n, gallery, val = run.images, 0.6 * run.images, 0.2 * run.images
    encoding = n * (2 / run.encoded + 1 / run.encoded_siamese)
    trainings = {
        name: run.epochs * gallery / trained + (run.epochs + 1) * (gallery + val) / encoded
        for name, trained, encoded in (
            ("finetuned", run.trained, run.encoded),
            ("siamese", run.trained_siamese, run.encoded_siamese),
        )
    }
    groups = len(ENCODERS) * -(-run.shards // run.together)
    vectors = 4 * n * sum(DIMENSIONS.values())
    shards = 4 * n * sum(DIMENSIONS[name] for name in ENCODERS)
    trees = 8 * gallery * sum(DIMENSIONS.values())
    lines = [
        f"{n:,} images, {run.shards} shards, {run.epochs} epochs",
        "",
        "| what | arithmetic | result |",
        "| --- | --- | --- |",
        f"| jobs of encoding | {len(ENCODERS)} encoders x {run.shards} shards / {run.together} together | {groups} |",
        f"| encoding, one job after the other | {n:,} x (2 / {run.encoded:g} + 1 / {run.encoded_siamese:g}) s"
        f" | {hours(encoding)} |",
        f"| encoding, {run.at_once} jobs at once | / {min(run.at_once, groups)}"
        f" | {hours(encoding / min(run.at_once, groups))} |",
    ]
    for name, seconds in trainings.items():
        trained, encoded = (
            (run.trained, run.encoded) if name == "finetuned" else (run.trained_siamese, run.encoded_siamese)
        )
        lines.append(
            f"| training {name} | {run.epochs} x {gallery:,.0f} / {trained:g} + {run.epochs + 1} x "
            f"{gallery + val:,.0f} / {encoded:g} s | {hours(seconds)} |"
        )
    lines += [
        f"| encoded shards | {n:,} x 4 bytes x (1280 + 128 + 1280) | {shards / 1e9:.2f} GB |",
        f"| feature stores | {n:,} x 4 bytes x (1280 + 128 + 1280 + 2560) | {vectors / 1e9:.2f} GB |",
        f"| KD-trees (float64, 0.6 of the images) | {gallery:,.0f} x 8 bytes x 5248 | {trees / 1e9:.2f} GB |",
    ]
    return lines


def hours(seconds: float) -> str:
    """Return a duration as text in a suitable unit."""
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
