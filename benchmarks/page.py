"""Measure the response times of the search page with 14,000 images.

    python benchmarks/page.py

14,000 images in 45 categories, 1,280 random values each, of which 8,400 are the gallery; a column of the list to filter
by, and 300 groups of near-duplicates. Each request has another query, so that no response is cached.
"""

import hashlib
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.collection.columns import GROUP_COLUMNS
from cbir.features import store
from cbir.files.tables import write_csv, write_json
from cbir.web.app import create_app
from cbir.web.library import Library

IMAGES, VALUES, CATEGORIES, REPEATS = 14_000, 1280, 45, 60
FEEDBACK = {"folder": "feedback/{source}", "alpha": 1, "beta": 0.75, "gamma": 0.15, "k": 20, "judged_first": True}


def write_results(root: Path) -> Path:
    """Write the results of a run in which all images are the same picture."""
    results, random = root / "results", np.random.default_rng(0)
    picture = root / "collection" / "0" / "0.jpg"
    picture.parent.mkdir(parents=True)
    Image.fromarray(random.integers(0, 256, (768, 1024, 3), np.uint8)).save(picture, quality=90)
    label = np.arange(IMAGES) % CATEGORIES
    names = [f"{category}/{number}.jpg" for number, category in enumerate(label)]
    table = pd.DataFrame(
        {
            "image_id": names,
            "path": [f"collection/{name}" for name in names],
            "category": [str(category) for category in label],
            "label": label,
            "sha256": [hashlib.sha256(name.encode()).hexdigest() for name in names],
            "width": 1024,
            "height": 768,
            "bytes": 1,
            "year": 2000 + np.arange(IMAGES) % 20,
        }
    )
    table.loc[0, "sha256"] = hashlib.sha256(picture.read_bytes()).hexdigest()
    write_csv(results / "collection" / "images.csv", table)
    copies = pd.DataFrame({"sha256": table["sha256"][:900], "group": np.arange(900) // 3})
    write_csv(results / "collection" / "groups.csv", copies.reindex(columns=GROUP_COLUMNS, fill_value=0))
    configuration = {"collection": {"source": "folder"}, "feedback": FEEDBACK}
    write_json(results / "configuration.json", configuration)
    centres = random.normal(0, 0.5, (CATEGORIES, VALUES))
    split = np.array(["train", "train", "train", "val", "test"])[(np.arange(IMAGES) // CATEGORIES) % 5]
    for method in ("one", "two"):
        for name in ("train", "val", "test"):
            rows = table[split == name]
            noise = random.normal(0, 0.5, (len(rows), VALUES))
            features = np.maximum(centres[rows["label"]] + noise, 0).astype(np.float32)
            about = {"method": method, "encoder": "one", "encoder_fingerprint": "f", "parts": json.dumps([])}
            store.write(results / "features" / method / f"{name}.h5", rows, [features], VALUES, about)
    return results


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        results = write_results(Path(folder))
        start = time.perf_counter()
        library = Library(results)
        print(f"{IMAGES:,} images x {VALUES:,} values; read in {time.perf_counter() - start:.1f} s\n")
        app = create_app(library, Path(folder) / "feedback")
        client = app.test_client()
        client.get(f"/?key={app.config['KEY']}")
        test = [name for name in library.methods["one"].queries if name not in library.methods["one"].gallery.row_of]
        address = [f"/search?method=one&query={name}&k=20" for name in test[: 4 * REPEATS]]

        def flagged(page: str, *ids: str) -> str:
            found = re.search(rf'id="{ids[0]}"[^>]*href="([^"]+)"', client.get(page).text)
            assert found, ids[0]
            following = found.group(1).replace("&amp;", "&")
            return flagged(following, *ids[1:]) if ids[1:] else following

        marked = [flagged(page, "relevant-0", "irrelevant-3", "relevant-5") for page in address[:REPEATS]]
        rounds = [flagged(page, "next") for page in marked]
        linear = [page.replace("strategy=rocchio", "strategy=linear") for page in rounds]
        asked = {
            "first page": ["/"] * REPEATS,
            "images of a category": [f"/?category={number % CATEGORIES}" for number in range(REPEATS)],
            "images by words": [f"/?search={number}" for number in range(REPEATS)],
            "a search": address[REPEATS : 2 * REPEATS],
            "a search of one category and year": [
                f"{page}&in-category=3&in-year=2003" for page in address[2 * REPEATS : 3 * REPEATS]
            ],
            "a search within a distance": [f"{page}&within=9.5" for page in address[3 * REPEATS :]],
            "a flag": marked,
            "a round of Rocchio": rounds,
            "a round of the linear classifier": linear,
        }
        print("| answer | median ms | 95th percentile ms | processor ms |\n| --- | ---: | ---: | ---: |")
        for name, pages in asked.items():
            took, processor = [], time.process_time()
            client.get(pages[-1])
            for page in pages[:-1]:
                begun = time.perf_counter()
                response = client.get(page)
                took.append(1000 * (time.perf_counter() - begun))
                assert response.status_code == 200, response.text
            processor = 1000 * (time.process_time() - processor) / len(pages)
            print(f"| {name} | {np.median(took):.0f} | {np.percentile(took, 95):.0f} | {processor:.0f} |")


if __name__ == "__main__":
    main()
