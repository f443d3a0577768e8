"""Split protocols: how a collection is divided into train, validation and test images. A file an entry.

An entry, named as ``split.protocol``, defines one function::

    def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:

``images`` has at least the columns ``SPLIT_COLUMNS`` (`cbir.collection.columns`), and ``split`` or ``group`` where the
collection names them. ``settings`` is the section ``split`` of the configuration: the shares ``train``, ``val`` and
``test``, which sum to 1, and ``seed``. ``groups`` names, by sha256, the group of each image that has near-duplicates,
which belong in the same split; it is empty if near-duplicates may be in several splits.

It may define

* ``least(settings) -> int``, the number of images that a category needs: a run refuses smaller categories before it
  encodes anything, unless ``split.small`` decides what happens to them.
* ``SETTINGS``, which of the keys ``folds`` and ``relevance`` it reads, so that a change of the other reruns nothing.
* ``GALLERY``, the split that is searched, ``train`` by default. The queries are always the images of test. If the
  gallery is ``test``, each test image searches the other test images, and the table of test has a column ``fold``, int
  from 1: images of the query's own fold are not among its results.
* ``FOLDS = True``, to report the figures of each fold, and their means with intervals.
* ``EXPLANATION``, sentences for the report, unless queries search train and relevance is decided by categories.
* ``EVERY_IMAGE_ASKS = True`` if every image is a query, so that none remains to train an encoder on; a configuration
  with encoders to train is refused.
* ``FILE = True`` and ``relevance(settings) -> pd.DataFrame`` if the file ``split.relevance`` decides which images are
  relevant to which query: columns ``RELEVANCE_COLUMNS`` of `cbir.collection.relevance`.

``split`` returns a table for each of ``SPLITS``, columns ``SPLIT_COLUMNS``, sorted by image_id; each image is in at
most one of them. The same images and settings give the same tables, whatever the order of the rows. It raises
`InputError` if a category has too few images for all splits.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "split protocol")
