"""Writes the files."""

from scripts.client.files import PACKAGE, files

for name, text in files().items():
    (PACKAGE / name).write_text(text)
