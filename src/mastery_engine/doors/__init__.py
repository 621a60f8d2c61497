"""Doors: what other platforms send, translated into what this engine knows. Pure: no store, no clock, no network."""
