"""Builds the site into build/site: the pages of docs/, and a reference that is made from the code.

    python -m scripts.site [FOLDER]

A link that leads nowhere, in any page, fails.
"""

import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from scripts.site.reference import reference

ROOT = Path(__file__).parents[2]
# Pages of the site that stand outside of docs/, by their names there.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "clients/python/README.md": "python-client.md",
}
BELOW_CONNECT = "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
# What the theme leaves out, and who hears a page or has no mouse needs.
FOR_ALL = {
    ' role="heading">': ' role="heading" aria-level="2">',
    '<aside class="sidebar-drawer"': '<aside aria-label="All pages" class="sidebar-drawer"',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    '<div class="table-wrapper ': '<div tabindex="0" role="group" aria-label="Table" class="table-wrapper ',
    "<pre>": '<pre tabindex="0">',
}
APART = "---\norphan: true\n---\n"  # others link to it; the navigation, which is on every page, does not


def build(out: Path) -> int:
    """Make the site anew in a folder; returns Sphinx's exit code."""
    source = out.with_name(f"{out.name}-source")
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source)
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text()
        (source / page).write_text(_shown(re.sub(r"\]\((?:\.\./)*docs/", "](", text)))
    for path in source.rglob("*.md"):
        path.write_text(_shown(path.read_text(), len(path.relative_to(source).parts) - 1))
    for path in (source / "decisions").glob("*.md"):
        path.write_text(APART + path.read_text())
    with (source / "connect" / "README.md").open("a") as connect:
        connect.write(BELOW_CONNECT)
    (source / "reference").mkdir()
    for name, text in reference(ROOT):
        (source / "reference" / f"{name}.md").write_text(text)
    code = int(sphinx_build(["-q", "-W", "--keep-going", "-n", "-b", "html", str(source), str(out)]))
    for path in out.rglob("*.html"):
        text = path.read_text()
        for made, heard in FOR_ALL.items():
            text = text.replace(made, heard)
        path.write_text(text)
    return code


def _shown(text: str, depth: int = 0) -> str:
    """A page without what only GitHub draws: a diagram is its text, since drawing it takes another host's script."""
    text = text.replace("```mermaid", "```text").replace("```console", "```text")
    for name, page in OUTSIDE.items():
        text = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"]({'../' * depth}{page}", text)
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)+README\.md[^)]*\)", r"\1", text)  # the repository's first page stays there


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"
    code = build(folder)
    if code == 0:
        print(f"The site is in {folder}: open {folder / 'index.html'}")
    sys.exit(code)
