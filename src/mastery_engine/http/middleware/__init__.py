"""Middleware for every request, as pure ASGI."""
