"""``token``: prints a bearer token for development and operators."""

import sys
from typing import Annotated

import typer

from mastery_engine.auth.access import Role
from mastery_engine.cli.console import AsJson, Tenant, cohort_named, say, settings, student_named

LONGEST_S = 3_153_600_000  # 100 years


def token(
    role: Annotated[Role, typer.Option(help="The role of the bearer.")] = "admin",
    sub: Annotated[
        str | None,
        typer.Option(
            help="Whose it is; for the role student, the student's id, which is asked for. Default: operator.",
            show_default=False,
        ),
    ] = None,
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
    Examples:
      export JWT_TOKEN=$(mastery-engine token)
      mastery-engine token --role teacher --sub ada --student student_12345
    """
    from mastery_engine.errors import Unauthenticated
    from mastery_engine.wiring_tokens import tokens

    if sub is None:
        sub = _asked_student() if role == "student" else "operator"
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


def _asked_student() -> str:
    """A student's id, asked of a person on stderr, so that stdout has the token alone."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("whose token it is must be said, as in --role student --sub student_12345.")
    return student_named(str(typer.prompt("The student's id", err=True)))
