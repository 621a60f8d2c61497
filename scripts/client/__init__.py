"""Writes the parts of the Python client that follow from the OpenAPI document: its types, its calls and its methods.

    python -m scripts.client

Both clients, sync and async, are made of the same table, so that neither has a call, a parameter or a word of
documentation that the other lacks. What a document cannot say stands in the tables of ``document.py``.
"""
