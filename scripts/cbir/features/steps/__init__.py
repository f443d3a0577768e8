"""Steps: transformations of another method's features, fitted on the gallery alone.

A step is a module of this package. Its file is named as the word that ``steps`` and ``normalise`` of the configuration
use. It defines two functions:

``fit(gallery, **options)``
    Returns what the step learns from the gallery: finite NumPy arrays by name, float32, float64 or int64, of at most
    two dimensions. They are saved in the transform's file. ``gallery`` is (n, d) float64 with n >= 1: the train rows
    after the preceding steps. Options are keyword arguments, named as in the configuration. It raises InputError, with
    a sentence that names the option, when the gallery does not suffice.

``apply(arrays, rows, is_gallery)``
    Returns the transformed rows (m, c) float64 of ``rows`` (m, d) float64; ``arrays`` is what ``fit`` returned. It
    does not change ``rows``, and the result of a row does not depend on the other rows, because images are transformed
    one by one or many at once. ``is_gallery`` says whether the rows are the gallery that the step was fitted on.

A step with options also defines

``OPTIONS``
    A literal dictionary with the JSON schema of each option: its bounds, a ``description`` and, unless the option is
    required, its ``default``. The configuration is checked with it before anything runs, without importing the module.
    ``fit`` always gets a value for each option, so its signature has no defaults.

The configuration may write the value of the first option alone: ``{pca: 64}`` means ``{pca: {dimension: 64}}``. A step
without ``OPTIONS`` may take keyword arguments, too. Their names, order and defaults are those of the signature of
``fit``, and they are checked only when the step is fitted.

A step that needs the gallery when it is applied keeps the gallery among its arrays, as `expand` does. The rows of a
very large gallery (see `cbir.features.blocks`) are transformed in blocks. The module then names in the tuple
``OF_GALLERY`` the arrays that the gallery's own rows are taken from: `apply` gets those rows of them that are in the
block. ``gallery`` of ``fit`` is then mapped from a file, and copies of it are to be avoided.
"""

from typing import Any

from numpy.typing import NDArray

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "step")

Arrays = dict[str, NDArray[Any]]
