"""How many tokens a text is for a model, by the vocabulary o200k_base, which ships in a package."""

import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpe_openai import Encoding


def count(text: str) -> int:
    """The tokens of a text. The first call takes half a second: it loads the vocabulary."""
    return len(_encoding().encode(text))


@cache
def _encoding() -> "Encoding":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how the package opens its files
        from bpe_openai import get_encoding

        encoding = get_encoding("o200k_base")
        encoding.encode("a")  # it opens the vocabulary now
        return encoding
