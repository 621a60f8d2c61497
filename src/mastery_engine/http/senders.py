"""Platforms that send to the doors for schools, by their credentials in the header Authorization."""

import msgspec
from fastapi import Request

from mastery_engine.auth.credentials import ASK, PlatformCaller, is_secret, shown_in
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.doors.names import Door
from mastery_engine.errors import WrongCredential
from mastery_engine.http.incoming import address_of, bearer, engine_of


async def sender_of(
    request: Request, door: Door, *, takes_bearer: bool = True, authorization: str | None = None
) -> PlatformCaller:
    """Who sends through a door: a platform by its key and secret, by Basic authentication.

    With ``takes_bearer`` also by its secret as a bearer token, or any caller by a token of ours, which is in the header
    alone. ``authorization`` stands for the header where a form has it (xAPI's alternate request syntax).

    Raises WrongCredential, which counts against the address, RateLimited if there were too many of these, Forbidden
    where the credential is for other doors, and Unavailable.
    """
    given = request.headers.get("authorization", "") if authorization is None else authorization
    scheme, _, token = given.strip().partition(" ")
    if not scheme:
        raise WrongCredential(f"{ASK}.")
    if takes_bearer and scheme.lower() == "bearer" and not is_secret(token.strip()):
        return PlatformCaller(await bearer.caller(request, None), None)
    sender = await engine_of(request).admission.authenticate_platform(
        shown_in(given, may_be_bearer=takes_bearer),
        door,
        address=address_of(request),
        request_id=request.state.request_id,
        at=request.state.at,
    )
    trace = traceparent_in(request.headers.get(TRACEPARENT))
    if trace is None:
        return sender
    return sender._replace(caller=msgspec.structs.replace(sender.caller, traceparent=trace))
