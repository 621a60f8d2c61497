"""HTTP: each route parses the call, calls one service method, and answers."""
