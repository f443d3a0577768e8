"""Architectures of networks, an entry a file; the configuration names one by ``encoders: ROW: architecture:``.

An entry defines

``SIZE``
    (width, height) in pixels to which images are squashed before the network takes them.
``PREPROCESSING``
    What the network itself does to pixel values first, as a text such as ``x / 127.5 - 1``. It is part of the
    encoder's side file and fingerprint.
``SOURCES``
    Published first weights by the word that names them in the configuration (``weights: imagenet``), each with the
    SHA-256 over all weights (float32, in Keras's order), or None where that is not known. ``{}`` where there are none.
    ``random``, and the path of a file, exist for every architecture.
``build(size)``
    Returns the network for images of ``size`` (width, height): a functional `keras.Model` with random weights, named as
    the entry. It takes pixels from 0 to 255 as float32 (n, height, width, 3) and gives features (n, d); layers inside
    it, without weights, do the preprocessing. Every layer has an explicit name, because Keras numbers layers without
    one, and a second network in the same process would have other names.
``download(source, model)``
    Only where ``SOURCES`` is not empty: gives a network of ``build`` the published weights and returns a text that says
    where they came from; raises `InputError` when they cannot be had. What it loaded is compared with ``SOURCES``.

``FILE`` and ``restore(path)``
    Only where a file of a person's own defines the network: its path, which also holds the weights ``own``; and a
    function that returns the network in an archive of the results, because the file may be gone when it is opened.

``fetch()``, ``restore(path, size)``, ``load(model, path)`` and ``FILES``
    Only where the network itself is published beside its weights, instead of ``build`` and ``download``; ``SIZE`` is
    None. ``fetch`` returns the network with these weights, and where they came from. ``restore`` returns, with random
    weights, the network in an archive of the results, for images of another size if one is given, and ``load`` gives
    it the weights in such an archive. ``FILES`` are those on this machine that decide the network.

The pooling of ``build`` is replaced where the configuration asks for another one, see `cbir.encoders.pooling`.

A family, such as `applications`, is one file with a table of words beside it, see `cbir.files.registry`.

This package and the top level of an entry import no Keras, because the configuration is checked by the names and the
constants of entries before Keras is needed; functions import it.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "architecture")
