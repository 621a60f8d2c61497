"""What happens to every request, in pure-ASGI layers."""
