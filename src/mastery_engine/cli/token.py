"""``token``: prints a bearer token for development and operators."""

from typing import Annotated

import typer

from mastery_engine.auth.access import Role
from mastery_engine.cli.console import AsJson, Tenant, cohort_named, say, settings, student_named

LONGEST_S = 3_153_600_000  # 100 years


def token(
    role: Annotated[Role, typer.Option(help="The role of the bearer.")] = "admin",
    sub: Annotated[str, typer.Option(help="The subject; for the role student, the student's id.")] = "operator",
    tenant: Tenant = "default",
    student: Annotated[
        list[str] | None, typer.Option(help="A student that a teacher may see; may be repeated.")
    ] = None,
    cohort: Annotated[list[str] | None, typer.Option(help="A cohort that a teacher may see; may be repeated.")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds until it expires.", min=1, max=LONGEST_S)] = 3_600,
    as_json: AsJson = False,
) -> None:
    """Print a token for the service with the same JWT_SECRET or data folder.

    \b
    Example:
      export JWT_TOKEN=$(mastery-engine token --role teacher --sub ada --student student_12345)
    """
    from mastery_engine.errors import Unauthenticated
    from mastery_engine.wiring import tokens

    for student_id in [*(student or ()), *([sub] if role == "student" else ())]:
        student_named(student_id)
    cohorts = [cohort_named(cohort_id) for cohort_id in cohort or ()]

    issuer = tokens(settings())
    made = issuer.make(subject=sub, role=role, tenant=tenant, students=student, cohorts=cohorts, lives_s=ttl)
    try:
        issuer.verify(made)
    except Unauthenticated as error:
        raise typer.BadParameter(f"no service would accept this token: {error.message}") from error
    say(as_json, {"token": made, "sub": sub, "role": role, "tenant": tenant, "expires_in": ttl}, made)
