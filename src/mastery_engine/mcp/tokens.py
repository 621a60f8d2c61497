"""How many tokens a text is for a model, by the vocabulary o200k_base, which ships in a package."""

import warnings
from functools import cache

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of how the package opens its files
    from bpe_openai import Encoding, get_encoding


def count(text: str) -> int:
    """The tokens of a text."""
    return len(_encoding().encode(text))


@cache
def _encoding() -> Encoding:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        encoding = get_encoding("o200k_base")
        encoding.encode("a")  # it opens the vocabulary now
        return encoding
