"""What the engine does, whoever asks: every face calls the class ``Mastery``."""

from mastery_engine.services.mastery import Mastery

__all__ = ["Mastery"]
