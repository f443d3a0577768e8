"""Split protocols: how a collection is divided into train, validation and test images. A file an entry.

An entry, named as ``split.protocol``, defines one function::

    def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:

``images`` has at least the columns ``SPLIT_COLUMNS`` (`cbir.collection.columns`), and ``split`` or ``group`` where the
collection names them. ``settings`` is the section ``split`` of the configuration: the shares ``train``, ``val`` and
``test``, which sum to 1, and ``seed``. ``groups`` names the group of each content (sha256) that has near-duplicates,
which belong in one split; it is empty where they need not.

It may define

* ``least(settings) -> int``, the images that a category needs: a run refuses smaller ones before it encodes anything,
  unless ``split.small`` says what becomes of them.
* ``SETTINGS``, the keys ``folds`` and ``relevance`` that it reads, so that others do not rerun it.
* ``GALLERY``, the split that is searched: ``train`` unless it says otherwise. Queries are always those of test. Where
  it is ``test``, each image of test asks the others, and the table of test has a column ``fold``, int from 1: an image
  is no result of a query of its own fold.
* ``FOLDS = True``, to have the figures of each fold and their means with intervals.
* ``EXPLANATION``, sentences for the report, where queries do not search train by their categories.
* ``EVERY_IMAGE_ASKS = True``, where no image is left to train an encoder on; a run with such encoders is refused.
* ``FILE = True`` and ``relevance(settings) -> pd.DataFrame``, where the file ``split.relevance`` says what is relevant
  to which query: columns ``RELEVANCE_COLUMNS`` of `cbir.collection.relevance`.

``split`` returns a table for each of ``SPLITS``, columns ``SPLIT_COLUMNS``, sorted by image_id; each image is in at
most one of them. The same images and settings give the same tables, in whatever order the rows come. It raises
`InputError` where a category has too few images to serve every split.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "split protocol")
