"""Access control: checks callers by the table of ``auth.access``, and records refusals and reads in the audit trail."""

from mastery_engine.auth.access import Act, Caller, check_act, check_cohort, check_student
from mastery_engine.errors import Forbidden
from mastery_engine.services.audit import Audit


class AccessControl:
    """Checks callers. Every check raises Forbidden, after the refusal was recorded."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def check_act(self, caller: Caller, act: Act, call: str) -> None:
        """Raises Forbidden if the caller's role may do this to nobody."""
        try:
            check_act(caller, act)
        except Forbidden:
            self._audit.note(caller, call, None, allowed=False)
            raise

    def check_student(self, caller: Caller, act: Act, student_id: str, call: str, *, changes: bool = False) -> None:
        """Raises Forbidden if the caller may not do this to this student; records the refusal or the read.

        A call that ``changes`` something is recorded with the change itself.
        """
        try:
            check_student(caller, act, student_id)
        except Forbidden:
            self._audit.note(caller, call, student_id, allowed=False)
            raise
        if not changes:
            self._audit.note(caller, call, student_id, allowed=True)

    def check_cohort(self, caller: Caller, act: Act, cohort_id: str, call: str, student_id: str | None = None) -> None:
        """Raises Forbidden if the caller may not do this to this cohort; the call itself records what it shows."""
        try:
            check_cohort(caller, act, cohort_id, student_id)
        except Forbidden:
            self._audit.note(caller, call, student_id, allowed=False)
            raise
