"""One machine: everything in one SQLite file."""
