"""How many threads TensorFlow may use."""

import keras


def limit_threads(threads: int, calls: int = 1) -> None:
    """Let TensorFlow use so many threads; works only before its first operation runs.

    Args:
        threads: that share the work of one operation.
        calls: of a network that run at the same time, called from threads of their own.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(calls)
