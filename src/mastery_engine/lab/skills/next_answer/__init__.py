"""Fits the model of the next answer (``domain.skills.next_answer``), by the functions that serve it."""
