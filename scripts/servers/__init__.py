"""Real servers on loopback without Docker, for the tests and for developers: one module a server.

Each is a `Server`, or a `Group` of them, that starts, answers and ends; what it is made from comes from the
cache. Where one cannot be had, `Unavailable` says why.
"""
