"""Architectures of networks; the configuration names one in ``encoders: ROW: architecture:``.

Each entry is a module that defines

``SIZE``
    Default (width, height) in pixels of the images that the network takes.
``PREPROCESSING``
    A text such as ``x / 127.5 - 1`` that says what the first layers do to pixel values. It is part of the encoder's
    side file and fingerprint.
``SOURCES``
    The published weights: the words that name them in the configuration (``weights: imagenet``), each with the SHA-256
    over all weights (float32, in Keras's order) or None if it is unknown. ``{}`` if no weights are published. The
    weights ``random`` and the path of a file are possible for every architecture.
``build(size)``
    Returns the network for images of ``size`` (width, height): a functional `keras.Model` with random weights and the
    name of the entry. It maps pixels from 0 to 255, float32 (n, height, width, 3), to features (n, d); its first
    layers, which have no weights, do the preprocessing. Every layer needs an explicit name, because the names that
    Keras generates depend on the networks built before in the same process.
``download(source, model)``
    Required if ``SOURCES`` is not empty. Loads the published weights into a network that ``build`` returned, and
    returns a text that says where they came from; raises `InputError` when they cannot be downloaded. The loaded
    weights are compared with ``SOURCES``.

A network in a user's file defines instead of ``download``

``FILE`` and ``restore(path)``
    ``FILE`` is the path of the file, which also holds the weights ``own``. ``restore`` returns the network in an
    archive of the results, because the user's file may no longer exist when an encoder is opened.

A network that is published together with its weights defines instead of ``build`` and ``download``

``fetch()``, ``restore(path, size)``, ``load(model, path)`` and ``FILES``
    ``fetch`` returns the network with its weights, and a text that says where they came from. ``restore`` returns the
    network in an archive of the results, with random weights, for images of ``size`` if it is not None. ``load`` loads
    the weights in such an archive. ``FILES`` are the files on this machine that define the network. ``SIZE`` is None.

If the configuration asks for another pooling, that of ``build`` is replaced, see `cbir.encoders.pooling`.

A family, such as `applications`, is one module with a table of words, see `cbir.files.registry`.

This package and the top level of each entry must not import Keras, because the configuration is checked with the names
and constants of the entries, and importing Keras takes seconds.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "architecture")
