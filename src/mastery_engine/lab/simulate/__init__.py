"""Simulated classes, and policies of practice tried on them."""
