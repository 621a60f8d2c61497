"""``/docs``: the documentation of all calls, as a page that loads nothing from other hosts.

With the package of the extra ``docs`` it is Swagger UI, where the calls can be tried; without it, a list of the calls.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from markupsafe import escape
from starlette.responses import HTMLResponse, Response

from mastery_engine.errors import NotFound
from mastery_engine.http.page_headers import PAGE_HEADERS
from mastery_engine.http.shared_document import SharedDocument

router = APIRouter(include_in_schema=False)

SERVED = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
METHODS = ("get", "put", "post", "delete")

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mastery Engine: the calls</title>
<link rel="icon" href="data:,">
"""
PAGE = """<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = (
    """SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: false})"""
)
LIST = """</head>
<body>
<h1>The calls of the Mastery Engine</h1>
<p>Their bodies and answers are described in <a href="openapi.json">openapi.json</a>. To try the calls on this page,
install the extra <code>docs</code>: <code>pip install 'mastery-engine[docs]'</code>.</p>
<dl>
{calls}
</dl>
</body>
</html>
"""


def assets() -> Path | None:
    """The folder of Swagger UI's files; None if the package is not installed."""
    found = find_spec("fastapi_offline")
    return Path(found.origin).parent / "static" if found is not None and found.origin is not None else None


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    if assets() is not None:
        return HTMLResponse(HEAD + PAGE, headers=PAGE_HEADERS)
    calls = [
        f"<dt><code>{method.upper()} {escape(path)}</code></dt><dd>{escape(operation['description'])}</dd>"
        for path, operations in request.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
    return HTMLResponse(HEAD + LIST.format(calls="\n".join(calls)), headers=PAGE_HEADERS)


@router.get("/docs/{name}")
async def asset(request: Request, name: str) -> Response:
    folder = assets()
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if folder is None or name not in SERVED:
        raise NotFound("There is no page at this address.")
    return await _file(folder / name).answer(request)


@cache
def _file(path: Path) -> SharedDocument:
    return SharedDocument(path.read_bytes, SERVED[path.name])
