"""What is wrong with a text that is not YAML, in words of ours: where to look, and not what the parser expected."""

import re

_LINE = re.compile(r"\bline (\d+)")


def not_yaml(error: Exception, source: bytes | str) -> str:
    """Where a text stops being YAML: the last line that the parser names, which is the one it gave up at."""
    lines = _LINE.findall(str(error))
    if not lines:
        return "The file is not YAML: save it as UTF-8 text, with two spaces for each level."
    line = min(int(lines[-1]), len(source.splitlines()) or 1)
    return f"line {line}: The file is not YAML from about this line on: look at its indentation, brackets and quotes."
