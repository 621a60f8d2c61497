"""What the calls about consent take."""

from mastery_engine.http.bodies import Body


class ConsentChanged(Body):
    """What a student allows from now on; what is left out stays as it is."""

    processing: bool | None = None
    profiling: bool | None = None
