"""The Dapr sidecar, built from its module: state, publish and invocation for one app, without a control plane."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from scripts.servers.cache import free_port, is_free
from scripts.servers.golang import build_inside, module
from scripts.servers.packages import package
from scripts.servers.process import Server

VERSION = "1.18.0"
SDK = "1.19.0"
MODULE = "github.com/dapr/dapr"


def program() -> Path:
    """The sidecar; raises Unavailable."""
    flags = ["-tags", "stablecomponents", "-ldflags", "-s -w"]
    return build_inside(MODULE, f"v{VERSION}", "./cmd/daprd", *flags) / "daprd"


def definitions() -> Path:
    """The folder of Dapr's custom resource definitions for Kubernetes; raises Unavailable."""
    return module(MODULE, f"v{VERSION}") / "charts" / "dapr" / "crds"


class Dapr(Server):
    """A sidecar. Without an app's port it is one for clients alone."""

    def __init__(
        self,
        components: list[Mapping[str, Any]],
        *,
        app_id: str = "mastery-engine",
        app_port: int | None = None,
        home: Path | None = None,
        port: int | None = None,
        api_token: str | None = None,
        app_token: str | None = None,
        resources: Path | None = None,
    ) -> None:
        """Components as Kubernetes has them; ``api_token`` is asked of callers, ``app_token`` shown to the app."""
        self._program = program()
        super().__init__("Dapr", VERSION, home=home)
        self.app_id, self.app_port = app_id, app_port
        self.port = free_port() if port is None else port
        self.grpc_port, self._internal_port, self._metrics_port = free_port(), free_port(), free_port()
        self._components = components
        self._resources = resources or self.home / "components"
        self._tokens = {"DAPR_API_TOKEN": api_token, "APP_API_TOKEN": app_token}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def argv(self) -> list[str]:
        self._resources.mkdir(exist_ok=True)
        for number, component in enumerate(self._components):
            (self._resources / f"{number}.yaml").write_text(yaml.safe_dump(dict(component)))
        tokens = [f"{name}={value}" for name, value in self._tokens.items() if value]
        ports = {
            "dapr-http-port": self.port,
            "dapr-grpc-port": self.grpc_port,
            "dapr-internal-grpc-port": self._internal_port,
            "metrics-port": self._metrics_port,
        }
        app = ["--app-port", str(self.app_port)] if self.app_port else []
        return [
            "env",
            *tokens,
            str(self._program),
            *["--app-id", self.app_id, *app, "--resources-path", str(self._resources)],
            *[part for name, number in ports.items() for part in (f"--{name}", str(number))],
            *["--dapr-listen-addresses", "127.0.0.1", "--log-level", "warn"],
        ]

    def ready(self) -> bool:
        if is_free(self.port):
            return False
        try:
            return httpx.get(f"{self.url}/v1.0/healthz/outbound", timeout=2).is_success
        except httpx.TransportError:
            return False


def sdk() -> Path:
    """A folder with Dapr's own SDK for Python; raises Unavailable."""
    return package("dapr", SDK)
