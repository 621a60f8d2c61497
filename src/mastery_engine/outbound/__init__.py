"""Calls to servers that others named."""
