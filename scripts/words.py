"""Takes the sentences of the pages into their catalogues: new ones are empty there, until somebody translates them.

    python -m scripts.words

A sentence that no page says any more goes. Nothing is guessed: a changed sentence is a new one. The tests refuse a
catalogue in which one is missing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PAGES = Path(__file__).parents[1] / "src/mastery_engine/http/dashboard"
WRITTEN = datetime(2026, 11, 29, tzinfo=UTC)  # no day of its own at each run
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext.babel_extract")]
KEYWORDS: dict[str, Any] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
OPTIONS = {"**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}


def sentences() -> Catalog:
    """All sentences of the pages, in the order of their files."""
    found = Catalog(project="mastery-engine", fuzzy=False)
    for name, line, message, comments, context in _extracted():
        found.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return found


def _extracted() -> Iterator[Any]:
    yield from extract_from_dir(PAGES, METHODS, OPTIONS, KEYWORDS)


def updated(language: str, wanted: Catalog) -> Catalog:
    """The catalogue of a language with what pages say now, and nothing else."""
    path = PAGES / "locale" / language / "pages.po"
    known = Catalog(locale=language)
    if path.exists():
        with path.open("rb") as written:
            known = read_po(written, locale=language)
    name = Locale.parse(language).english_name
    note = f"# The sentences of the pages in {name}; python -m scripts.words takes up new ones."
    made = Catalog(
        locale=language,
        project="mastery-engine",
        version="1",
        msgid_bugs_address="",
        last_translator="",
        language_team="",
        header_comment=note,
        creation_date=WRITTEN,
        revision_date=WRITTEN,
        fuzzy=False,
    )
    for message in wanted:
        if message.id:
            before = known.get(message.id if isinstance(message.id, str) else message.id[0], message.context)
            text = before.string if before is not None and type(before.id) is type(message.id) else ""
            made.add(message.id, text or "", locations=[], auto_comments=[], context=message.context)
    return made


def main() -> None:
    wanted = sentences()
    for folder in sorted((PAGES / "locale").iterdir()):
        made = updated(folder.name, wanted)
        with (folder / "pages.po").open("wb") as out:
            write_po(out, made, width=120, omit_header=False, ignore_obsolete=True)
        empty = [message.id for message in made if message.id and not message.string]
        print(f"{folder.name}: {len(list(made)) - 1} sentences, {len(empty)} to translate")


if __name__ == "__main__":
    main()
