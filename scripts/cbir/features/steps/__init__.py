"""Steps: what a method does to another method's features, fitted on the gallery alone.

A step is a module of this package. Its file is named as the word that ``steps`` and ``normalise`` of the configuration
use. It defines two functions:

``fit(gallery, **options)``
    Returns what the step learns from the gallery: NumPy arrays by name, float32, float64 or int64, of at most two
    dimensions, and finite. They are written to the transform's file. ``gallery`` is (n, d) float64, the train rows as
    the steps before leave them; n is at least 1. Options are keyword arguments, named as in the configuration. It
    raises InputError, with a sentence that names the option, when the gallery does not suffice.

``apply(arrays, rows, is_gallery)``
    Returns the rows (m, c) float64 that it makes of ``rows`` (m, d) float64, with the ``arrays`` that ``fit`` returned.
    ``rows`` is not changed, and no row depends on the others: images are transformed one by one or many at once.
    ``is_gallery`` says whether the rows are the very gallery that the step was fitted on.

and, if it has options that the configuration shall check before anything runs,

``OPTIONS``
    A literal dictionary: for each option, in the order of the arguments of ``fit``, its JSON schema with a
    ``description`` and, where ``fit`` has one, the ``default``. It is read without importing the module.

The first option may be written without its name: ``{pca: 64}`` is ``{pca: {dimension: 64}}``.

A step that looks at the gallery while it is applied keeps the gallery among its arrays, as `expand` does. The rows of a
very large gallery (see `cbir.features.blocks`) are transformed in blocks. The module then names in the tuple
``OF_GALLERY`` the arrays that the gallery's own rows are taken from: `apply` gets those rows of them that are in the
block. ``gallery`` of ``fit`` is then mapped from a file, and copies of it are to be avoided.
"""

from typing import Any

from numpy.typing import NDArray

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "step")

Arrays = dict[str, NDArray[Any]]
