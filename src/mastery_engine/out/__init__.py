"""Doors out: what other systems are told, and in which form. Pure: the clock, chance and connections are others'."""
