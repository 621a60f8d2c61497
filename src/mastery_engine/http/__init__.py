"""The HTTP face: parse, call one service method, answer."""
