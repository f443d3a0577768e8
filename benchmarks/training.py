"""Compare the recipe of fine-tuning with others, over several splits and trainings: each differs from it in one choice.

    python benchmarks/training.py --directory DIR [--repetitions 4] [--configfile FILE ...] [--config KEY=VALUE ...]

The recipe is that of the encoder `finetuned` of this configuration. Runs, tables and the test are those of
benchmarks/repeated.py, and a later call continues in DIR as well.
"""

import argparse
from typing import Any

import repeated
import yaml

VARIANTS: dict[str, dict[str, Any]] = {
    "hardest-triplets": {"loss": "triplet", "mining": "batch-hard"},
    "random-triplets": {"loss": "triplet", "mining": "random"},
    "moving-statistics": {"batch_norm": "moving"},
}
PAIRS = [
    ["pretrained", "finetuned"],
    ["unit", "finetuned"],
    ["hardest-triplets", "finetuned"],
    ["random-triplets", "hardest-triplets"],
    ["moving-statistics", "finetuned"],
]


def configuration(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of the configuration: an encoder and a method for each variant, and no other methods.

    Args:
        recipe: the row of the encoder ``finetuned``.
    """
    encoders = {name: recipe | {"training": recipe["training"] | change} for name, change in VARIANTS.items()}
    unused = dict.fromkeys(("siamese", "combined", "expanded", "finetuned-expanded"))
    variants = {name: {"encoder": name} for name in VARIANTS}
    return {
        "encoders": {"siamese": None, **encoders},
        "methods": {**unused, "unit": {"of": "pretrained", "steps": ["l2"]}, **variants},
        "comparison": {"pairs": PAIRS},
    }


def main() -> None:
    """Write the variants to DIR, run the repetitions and print the tables."""
    options = repeated.arguments(argparse.ArgumentParser(description=__doc__), repetitions=4)
    plain = repeated.configuration(options.directory, options.configfile, options.config)
    variants = options.directory / "variants.yaml"
    variants.write_text(yaml.safe_dump(configuration(plain["encoders"]["finetuned"]), sort_keys=False))
    repeated.repeat(options.directory, options.repetitions, [*options.configfile, str(variants)], options.config)


if __name__ == "__main__":
    main()
