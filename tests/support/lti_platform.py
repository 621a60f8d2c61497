"""A foreign learning platform: `lti1p3platform` signs launches, gives tokens and reads choices; pages show them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from lti1p3platform.exceptions import LtiException
from lti1p3platform.ltiplatform import LTI1P3PlatformConfAbstract
from lti1p3platform.message_launch import LTIAdvantageMessageLaunchAbstract
from lti1p3platform.registration import Registration
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"
LEARNER, INSTRUCTOR = [f"{MEMBERSHIP}Learner"], [f"{MEMBERSHIP}Instructor"]
ADMINISTRATOR = [f"{SYSTEM}Administrator"]
CLIENT, DEPLOYMENT = "tool-1", "deployment-1"
CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
PAGE_OF_MEMBERS = 2


@dataclass
class Visitor:
    """Somebody who is signed in at the platform, by the hint that names them."""

    sub: str
    name: str
    roles: list[str]


@dataclass
class ForeignPlatform:
    """The platform; what tests change of it stands here."""

    url: str = ""
    tool_url: str = ""
    people: dict[str, Visitor] = field(default_factory=dict)
    context: Json | None = field(default_factory=lambda: {"context_id": "course-7", "context_title": "Python 101"})
    members: list[Json] = field(default_factory=list)
    forge: Callable[[Json], Json] = lambda claims: claims
    described: Json = field(default_factory=dict)  # over what its configuration says
    chooses: bool = False
    grades: bool = False
    stores: bool = False
    chosen: list[list[Json]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    scores: list[Json] = field(default_factory=list)
    registered: list[Json] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)
    tool_keys: Json | None = None  # the tool's keys, where it cannot be reached

    def __post_init__(self) -> None:
        key = generate_private_key(65_537, 2_048)
        self.private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def registration(self) -> Registration:
        made = Registration().set_iss(self.url).set_client_id(CLIENT).set_deployment_id(DEPLOYMENT)
        made.set_launch_url(f"{self.tool_url}/lti/launch").set_deeplink_launch_url(f"{self.tool_url}/lti/launch")
        made.set_platform_private_key(self.private).set_platform_public_key(self.public)
        if self.tool_keys is not None:
            return made.set_tool_key_set(self.tool_keys)  # type: ignore[arg-type]
        return made.set_tool_key_set_url(f"{self.tool_url}/lti/jwks")

    @property
    def conf(self) -> "PlatformConf":
        conf = PlatformConf(registration=self.registration)
        conf.get_registration()
        return conf

    def login_fields(self, who: str, **more: str) -> dict[str, str]:
        """How a launch begins."""
        begun = {
            "iss": self.url,
            "login_hint": who,
            "target_link_uri": f"{self.tool_url}/lti/launch",
            "lti_message_hint": "link-1",
            "client_id": CLIENT,
            "lti_deployment_id": DEPLOYMENT,
        }
        return begun | more

    def answer(self, url: str) -> dict[str, str]:
        """What the platform has the browser post, where the tool sent it to its sign-in."""
        asked = dict(parse_qsl(urlsplit(url).query))
        launch = SignedLaunch(asked, self.conf, self)
        signed: dict[str, str] = launch.lti_launch()
        return signed


class PlatformConf(LTI1P3PlatformConfAbstract):
    """See ``lti1p3platform``."""

    def init_platform_config(self, registration: Registration) -> None:
        self._given = registration

    def get_registration_by_params(self, **_: Any) -> Registration:
        return self._given


class SignedLaunch(LTIAdvantageMessageLaunchAbstract):
    """A launch that the library puts together and signs."""

    def __init__(self, asked: dict[str, str], conf: PlatformConf, platform: ForeignPlatform) -> None:
        super().__init__(None, conf)  # type: ignore[arg-type]
        self._asked = asked
        self._platform = platform

    def get_preflight_response(self) -> Json:
        return self._asked

    def prepare_launch(self, preflight_response: Json) -> None:
        platform, who = self._platform, self._platform.people[self._asked["login_hint"]]
        self.set_user_data(who.sub, who.roles, full_name=who.name)
        self.set_resource_link_claim(self._asked.get("lti_message_hint", "link-1"))
        if platform.context is not None:
            self.set_launch_context_claim(**platform.context)
        if platform.members:
            self.set_nrps(f"{platform.url}/members")
        if platform.grades:
            self.set_ags(f"{platform.url}/lineitems", f"{platform.url}/lineitems/1")
        if platform.chooses:
            self.set_dl(f"{platform.url}/chosen", extra_data={"kept": "as it was"})

    def get_launch_data(self) -> tuple[Json, str]:
        message, state = super().get_launch_data()
        return self._platform.forge(message), state

    def render_launch_form(self, launch_data: Json, **_: Any) -> Json:
        return {name: launch_data[name] for name in ("id_token", "state")}


class PlatformPages:
    """What the platform answers."""

    def __init__(self, platform: ForeignPlatform) -> None:
        self.platform = platform

    async def course(self, request: Request) -> Response:
        """A page of the platform with the tool in a frame; with ``stores`` it answers to messages about storage."""
        more = {"lti_storage_target": "_parent"} if self.platform.stores else {}
        begun = self.platform.login_fields(request.query_params["who"], **more)
        tool = f"{self.platform.tool_url}/lti/login?{urlencode(begun)}"
        return HTMLResponse(
            f"<h1>Course</h1><iframe name=tool width=900 height=700 src='{escape(tool)}'></iframe>{STORAGE}"
        )

    async def auth(self, request: Request) -> Response:
        fields = self.platform.answer(str(request.url))
        self.platform.asked.append("auth")
        return HTMLResponse(_posting(request.query_params["redirect_uri"], fields))

    async def keys(self, _: Request) -> Response:
        self.platform.asked.append("keys")
        return JSONResponse({"keys": self.platform.registration.get_jwks()})

    async def token(self, request: Request) -> Response:
        self.platform.asked.append("token")
        try:
            return JSONResponse(self.platform.conf.get_access_token(dict(parse_qsl((await request.body()).decode()))))
        except LtiException as error:
            return JSONResponse({"error": str(error)}, 400)

    def is_allowed(self, request: Request, scope: str) -> bool:
        bearer = request.headers.get("authorization", "").partition(" ")[2]
        return self.platform.conf.validate_token(bearer, [scope])

    async def members(self, request: Request) -> Response:
        """Pages of two, each with the address of the next in its header Link."""
        page = int(request.query_params.get("page", "1"))
        self.platform.asked.append(f"members {page}")
        if f"members {page}" in self.platform.fails:
            return Response(status_code=503)
        assert self.is_allowed(request, "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly")
        start = (page - 1) * PAGE_OF_MEMBERS
        body = {"id": str(request.url), "members": self.platform.members[start : start + PAGE_OF_MEMBERS]}
        links = [f'<{self.platform.url}/members?page=1>; rel="differences"']
        if start + PAGE_OF_MEMBERS < len(self.platform.members):
            links.append(f'<{self.platform.url}/members?page={page + 1}>; rel="next"')
        kind = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
        return Response(json.dumps(body), media_type=kind, headers={"Link": ", ".join(links)})

    async def score(self, request: Request) -> Response:
        assert self.is_allowed(request, "https://purl.imsglobal.org/spec/lti-ags/scope/score")
        assert request.headers["content-type"] == "application/vnd.ims.lis.v1.score+json"
        self.platform.scores.append(await request.json())
        return Response(status_code=204)

    async def chosen(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.platform.chosen.append(self.platform.conf.validate_deeplinking_resp(form))
        return HTMLResponse("<h1>Chosen</h1>")

    async def configuration(self, _: Request) -> Response:
        said = {
            "issuer": self.platform.url,
            "authorization_endpoint": f"{self.platform.url}/auth",
            "token_endpoint": f"{self.platform.url}/token",
            "jwks_uri": f"{self.platform.url}/keys",
            "registration_endpoint": f"{self.platform.url}/register",
        }
        return JSONResponse(said | self.platform.described)

    async def register(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer once"
        self.platform.registered.append(await request.json())
        tool = {"deployment_id": DEPLOYMENT}
        answer = {"client_id": CLIENT, "https://purl.imsglobal.org/spec/lti-tool-configuration": tool}
        return JSONResponse({**self.platform.registered[-1], **answer}, 201)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/course", self.course),
                Route("/auth", self.auth),
                Route("/keys", self.keys),
                Route("/token", self.token, methods=["POST"]),
                Route("/members", self.members),
                Route("/lineitems/1/scores", self.score, methods=["POST"]),
                Route("/chosen", self.chosen, methods=["POST"]),
                Route("/configuration", self.configuration),
                Route("/register", self.register, methods=["POST"]),
            ]
        )


def _posting(url: str, fields: dict[str, str]) -> str:
    inputs = "".join(f"<input type=hidden name={name} value='{escape(value)}'>" for name, value in fields.items())
    return f"<form method=post action='{escape(url)}'>{inputs}</form><script>document.forms[0].submit()</script>"


# The platform's side of LTI postMessage Storage, as a page would have it.
STORAGE = """<script>
const kept = {};
addEventListener("message", ({data, source, origin}) => {
  if (data.subject === "lti.put_data") kept[origin + data.key] = data.value;
  else if (data.subject !== "lti.get_data") return;
  const {key, message_id} = data;
  source.postMessage({subject: data.subject + ".response", message_id, key, value: kept[origin + key]}, origin);
});
</script>"""


@contextmanager
def platform_at(host: str = "127.0.0.1") -> Iterator[ForeignPlatform]:
    """A platform on a free port, which browsers reach under ``host``."""
    platform = ForeignPlatform()
    server = uvicorn.Server(uvicorn.Config(PlatformPages(platform).app(), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    platform.url = f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
    yield platform
    server.should_exit = True
    thread.join(10)
