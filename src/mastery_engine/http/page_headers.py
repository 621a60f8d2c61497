"""The headers of every page: it loads and calls nothing but this service, and uses nothing of the device."""

from collections.abc import Sequence

from starlette.requests import Request

NO_FRAMES = "frame-ancestors 'none'"
OWN_FORMS = "form-action 'self'"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    f"connect-src 'self'; {OWN_FORMS}; base-uri 'none'; {NO_FRAMES}",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def show_in_frames_of(request: Request, origins: Sequence[str]) -> None:
    """Let pages of these origins, and of no others, show the answer in a frame."""
    request.scope["state"]["framed_by"] = tuple(origins)


def let_forms_go_to(request: Request, origins: Sequence[str]) -> None:
    """Let forms of the answer go to these origins, and to no others."""
    request.scope["state"]["forms_to"] = tuple(origins)


def shown_by(policy: bytes, framers: Sequence[str], forms_to: Sequence[str]) -> bytes:
    """The policy of a page that pages of these origins may show in a frame, and whose forms may go to others."""
    if framers:
        policy = policy.replace(NO_FRAMES.encode(), f"frame-ancestors {' '.join(framers)}".encode())
    if forms_to:
        policy = policy.replace(OWN_FORMS.encode(), f"form-action {' '.join(forms_to)}".encode())
    return policy
