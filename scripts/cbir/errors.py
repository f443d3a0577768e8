"""The one exception for what a person can mend."""


class InputError(ValueError):
    """Something a person handed in cannot be used.

    The message is one sentence: what is wrong, where, and how to mend it. It is shown without a traceback.
    """
