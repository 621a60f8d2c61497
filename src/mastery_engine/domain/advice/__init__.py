"""Advice: what to do next, learning paths, struggles, and patterns that a tutor would notice."""
