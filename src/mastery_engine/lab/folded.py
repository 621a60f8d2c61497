"""A file of events folded on the spot, without store or log: for scripts that look at one student."""

from importlib.resources import files
from pathlib import Path

from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from
from mastery_engine.domain.events.event import Logged, decode
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply
from mastery_engine.errors import InvalidInput
from mastery_engine.wiring_clocks import system_clock


def course() -> Curriculum:
    """The course that the package brings."""
    return curriculum_from(files("mastery_engine").joinpath("curriculum.yaml").read_bytes())


def folded(path: Path, student_id: str, rules: Rules) -> tuple[Student, Micros]:
    """A student's document by the events of a file, a JSON line each, as of now; and what now is.

    Raises InvalidInput with the line at fault, or where the file has no event of the student.
    """
    now = system_clock()
    events: list[Logged] = []
    for number, line in enumerate(without_mark(path.read_bytes()).splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = decode(line, received=now, event_id=f"line-{number}")
        except InvalidInput as error:
            raise InvalidInput(f"Line {number}: {error.message}", field=error.field) from error
        if event.student_id == student_id:
            events.append(Logged(event, 0, number))
    if not events:
        raise InvalidInput(f"{path.name} has no event of {student_id}.")
    return apply(NOBODY, events, now, rules, curriculum=course()).student, now
