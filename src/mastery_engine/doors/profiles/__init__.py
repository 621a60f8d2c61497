"""Profiles: what the messages of a platform mean here, as data. See docs/profiles.md for their language."""
