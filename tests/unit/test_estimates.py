"""What advice goes by: the exercises done, and answers where there were enough."""

from mastery_engine.domain.estimates import ENOUGH, KNOWN
from mastery_engine.domain.guidance import outlook_of
from mastery_engine.domain.kinds import Answer
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skill_model import DEFAULT_SKILLS
from mastery_engine.domain.skills import NOT_TRACED, Tracing, estimate, traced
from mastery_engine.domain.evidence import NO_EVIDENCE, evidence_of
from mastery_engine.domain.moments import DAY
from tests.samples import NOW, TODAY, done
from tests.unit.test_curriculum import COURSE  # noqa: F401
