"""The wiring of gradebooks: builds their services once, each with only what it needs."""

from mastery_engine.clock import Clock
from mastery_engine.ports.backend import Stores
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.lti.gradebooks import Gradebooks
from mastery_engine.services.lti.graded_contexts import GradedContexts
from mastery_engine.services.lti.late_grades import LateGrades
from mastery_engine.services.lti.services import LtiServices
from mastery_engine.services.receivers import Bell
from mastery_engine.services.students import Students


def gradebook_services(
    stores: Stores,
    lti: LtiServices,
    bell: Bell,
    cohorts: Cohorts,
    consents: Consents,
    students: Students,
    courses: Courses,
    clock: Clock,
) -> tuple[Gradebooks, LateGrades]:
    """What follows results into gradebooks and sends to them, and what looks for those without a score."""
    registry = stores.registry
    contexts = GradedContexts(registry, cohorts)
    gradebooks = Gradebooks(
        contexts, registry, stores.deliveries, bell, lti.platforms, lti.calls, lti.grades, consents, clock
    )
    late = LateGrades(contexts, registry, gradebooks, lti.grades, lti.platforms, lti.classes, students, courses, clock)
    return gradebooks, late
