"""LTI 1.3 Advantage, as far as it is pure: what messages say, and what is answered to them.

Time, ids and chance come as arguments; keys, stores and other servers are for ``services``.
"""
