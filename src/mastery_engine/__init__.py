"""Mastery Engine: what each student knows, will know next week, and should do next."""

__version__ = "1.0.0"
