"""``token``: prints a bearer token for development and operators."""

import re
from typing import Annotated

import typer

from mastery_engine.auth.access import Role
from mastery_engine.cli.console import AsJson, Tenant, say, settings
from mastery_engine.domain.cohorts.cohort import LONGEST_COHORT_ID


def token(
    role: Annotated[Role, typer.Option(help="The role of the bearer.")] = "admin",
    sub: Annotated[str, typer.Option(help="The subject; for the role student, the student's id.")] = "operator",
    tenant: Tenant = "default",
    student: Annotated[
        list[str] | None, typer.Option(help="A student that a teacher may see; may be repeated.")
    ] = None,
    cohort: Annotated[list[str] | None, typer.Option(help="A cohort that a teacher may see; may be repeated.")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds until it expires.", min=1)] = 3_600,
    as_json: AsJson = False,
) -> None:
    """Print a token for the service with the same JWT_SECRET or data folder.

    \b
    Example:
      export JWT_TOKEN=$(mastery-engine token --role teacher --sub ada --student student_12345)
    """
    from mastery_engine.domain.events.envelope import STUDENT_ID
    from mastery_engine.errors import Unauthenticated
    from mastery_engine.wiring import tokens

    for student_id in [*(student or ()), *([sub] if role == "student" else ())]:
        if not re.fullmatch(STUDENT_ID, student_id):
            raise typer.BadParameter(f"{student_id!r} is not a student's id: it must match {STUDENT_ID}.")
    for cohort_id in cohort or ():
        if not 1 <= len(cohort_id) <= LONGEST_COHORT_ID:
            raise typer.BadParameter(f"a cohort's id has 1 to {LONGEST_COHORT_ID} characters.")

    issuer = tokens(settings())
    made = issuer.make(subject=sub, role=role, tenant=tenant, students=student, cohorts=cohort, lives_s=ttl)
    try:
        issuer.verify(made)
    except Unauthenticated as error:
        raise typer.BadParameter(f"no service would accept this token: {error.message}") from error
    say(as_json, {"token": made, "sub": sub, "role": role, "tenant": tenant, "expires_in": ttl}, made)
