"""What a platform sends with the browser: fields of a form or of an address."""

from urllib.parse import parse_qsl

from fastapi import Request

from mastery_engine.errors import LaunchRefused
from mastery_engine.http.addresses import check_query
from mastery_engine.http.dashboard.session import FORM
from mastery_engine.lti.messages import LoginRequest

MOST_FIELDS = 64
LONGEST, LONGEST_HINT = 2_000, 8_192


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a call, each as it was sent first. Raises InvalidInput and LaunchRefused."""
    check_query(request.scope["query_string"])
    sent = request.scope["query_string"].decode("latin-1")
    if request.method == "POST":
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise LaunchRefused("claims", f"A launch must come as a form: with the content type {FORM}.")
        sent = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(sent, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise LaunchRefused("claims", f"The call has more than {MOST_FIELDS} fields.") from None
    return dict(reversed(pairs))


def login_request(fields: dict[str, str]) -> LoginRequest:
    """How a platform begins a sign-in. Raises LaunchRefused."""
    for name, text in fields.items():
        longest = LONGEST_HINT if name in ("login_hint", "lti_message_hint") else LONGEST
        if len(text) > longest or not text.isprintable():
            raise LaunchRefused("claims", f"The sign-in cannot be read: {name[:50]!r} is too long, or no plain text.")
    missing = [name for name in ("iss", "login_hint", "target_link_uri") if not fields.get(name)]
    if missing:
        raise LaunchRefused(
            "claims",
            f"The sign-in is not complete: the platform did not send {missing[0]}. Open the link in your course, not "
            "this address.",
        )
    return LoginRequest(
        fields["iss"],
        fields["login_hint"],
        fields["target_link_uri"],
        fields.get("client_id") or None,
        fields.get("lti_message_hint") or None,
        fields.get("lti_deployment_id") or fields.get("deployment_id") or None,
        fields.get("lti_storage_target") or None,
        fields.get("window") == "new",
    )
