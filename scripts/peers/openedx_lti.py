"""Open edX's LTI Consumer, whose own code signs launches, behind a small server; run in an environment that has it.

    python openedx_lti.py PORT TOOL_URL CLIENT_ID DEPLOYMENT_ID

A course is at ``/course?who=``: the tool in a frame, for ``student``, ``staff`` and ``instructor``.
"""

import json
import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import django
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings

settings.configure(
    PLATFORM_NAME="Open edX",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    SECRET_KEY="for tests alone",
)
django.setup()

from lti_consumer.data import Lti1p3LaunchData  # noqa: E402
from lti_consumer.lti_1p3.consumer import LtiAdvantageConsumer  # noqa: E402

PORT, TOOL = int(sys.argv[1]), sys.argv[2]
OURS = f"http://127.0.0.1:{PORT}"
CLIENT, DEPLOYMENT = sys.argv[3:]
PRIVATE = generate_private_key(65_537, 2_048)
KEY = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def consumer() -> LtiAdvantageConsumer:
    return LtiAdvantageConsumer(
        iss=OURS,
        lti_oidc_url=f"{TOOL}/lti/login",
        lti_launch_url=f"{TOOL}/lti/launch",
        client_id=CLIENT,
        deployment_id=DEPLOYMENT,
        rsa_key=KEY,
        rsa_key_id="key-1",
        redirect_uris=[f"{TOOL}/lti/launch"],
        tool_keyset_url=f"{TOOL}/lti/jwks",
    )


def posting(url: str, fields: dict[str, str]) -> str:
    """A form that goes on by itself."""
    inputs = "".join(f"<input type=hidden name={name} value='{escape(text)}'>" for name, text in fields.items())
    return f"<form method=post action='{escape(url)}'>{inputs}</form><script>document.forms[0].submit()</script>"


class Pages(BaseHTTPRequestHandler):
    """What the LMS answers."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        match url.path:
            case "/course":
                who = query["who"]
                launch = Lti1p3LaunchData(f"edx-{who}", user_role=who, config_id="1", resource_link_id="unit-1")
                frame = escape(consumer().prepare_preflight_url(launch))
                self._send(f"<h1>Unit</h1><iframe width=900 height=700 src='{frame}'></iframe>", "text/html")
            case "/launch":
                made = consumer()
                who = query["login_hint"].removeprefix("edx-")
                made.set_user_data(user_id=query["login_hint"], role=who, full_name=f"Edx {who}")
                made.set_resource_link_claim("unit-1")
                made.set_launch_presentation_claim(document_target="iframe")
                made.set_context_claim("course-v1:edX+Demo+2026", context_title="Demonstration")
                fields = made.generate_launch_request(query)
                self._send(posting(query["redirect_uri"], fields), "text/html")
            case "/keys":
                self._send(json.dumps(consumer().get_public_keyset()), "application/json")
            case _:
                self.send_error(404)

    def _send(self, body: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


print("ready", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Pages).serve_forever()
