"""Offline work: what is simulated, fitted or measured. Nothing but the command line uses it."""
