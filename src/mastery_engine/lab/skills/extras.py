"""What some models of the backtest take that is not always installed."""

from importlib import import_module

from msgspec import Struct


class Extra(Struct, frozen=True):
    """An extra of the package: what it brings, by which modules it is known, and its name."""

    brings: str
    modules: tuple[str, ...]
    name: str

    def usable(self) -> bool:
        """Whether all its modules can be imported here."""
        try:
            for module in self.modules:
                import_module(module)
        except ImportError:
            return False
        return True

    @property
    def install(self) -> str:
        """How to get it."""
        return f"pip install 'mastery-engine[{self.name}]'"


SCIPY = Extra("SciPy", ("scipy",), "lab")
JAX = Extra("JAX and Optax", ("jax", "optax"), "deep")
PYBKT = Extra("pyBKT", ("pyBKT.fit.EM_fit", "pyBKT.generate.random_model_uni"), "bkt")

TAKEN = {"best_lr": SCIPY, "pfa": SCIPY, "dkt": JAX, "pybkt": PYBKT}  # by the models' names
