"""A real Kubernetes API server beside etcd: it validates, admits and keeps objects. No kubelet runs any pod."""

import secrets
import subprocess
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scripts.servers.cache import free_port, is_free
from scripts.servers.golang import build_from, module
from scripts.servers.process import Group, Server

VERSION = "1.35.0"
ETCD = "3.6.4"
KEDA = ("github.com/kedacore/keda/v2", "v2.18.1", None)
PROMETHEUS_OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.86.1",
    "h1:pHUuiRErcFb3nFDox7RxoxpEN0FyT24GtYOkr2GBu04=",
)


def programs() -> Path:
    """The folder of kube-apiserver and kubectl; raises Unavailable."""
    commands = ["k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kubectl"]
    flags = ["-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion=v{VERSION}"]
    return build_from("kubernetes", VERSION, {"k8s.io/kubernetes": f"v{VERSION}"}, commands, *flags)


def etcd() -> Path:
    """The etcd server; raises Unavailable."""
    server = "go.etcd.io/etcd/server/v3"
    return build_from("etcd", ETCD, {server: f"v{ETCD}"}, [server], "-ldflags", "-s -w") / "server"


def definitions() -> list[Path]:
    """The folders of the custom resource definitions of KEDA and the Prometheus operator; raises Unavailable."""
    operator = module(*PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    return [module(*KEDA) / "config" / "crd" / "bases", operator]


class Etcd(Server):
    """One member, on loopback, that forgets nothing while it runs."""

    def __init__(self, *, home: Path | None = None) -> None:
        self._program = etcd()
        super().__init__("etcd", ETCD, home=home)
        self.port, self._peer_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def argv(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            str(self._program),
            *["--data-dir", "data", "--name", "one", "--unsafe-no-fsync", "--log-level", "warn"],
            *["--listen-client-urls", self.url, "--advertise-client-urls", self.url],
            *["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"],
        ]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).is_success
        except httpx.TransportError:
            return False


class ApiServer(Server):
    """kube-apiserver with one administrator."""

    def __init__(self, store: Etcd, *, home: Path | None = None) -> None:
        self.programs = programs()
        super().__init__("Kubernetes", VERSION, home=home, start_limit=90)
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self._store = store

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def argv(self) -> list[str]:
        key = self.home / "accounts.pem"
        if not key.exists():
            made = rsa.generate_private_key(65_537, 2_048)
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)
            key.write_bytes(made.private_bytes(*form, serialization.NoEncryption()))
            (self.home / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        return [
            str(self.programs / "kube-apiserver"),
            *["--etcd-servers", self._store.url, "--secure-port", str(self.port), "--bind-address", "127.0.0.1"],
            *["--cert-dir", "certificates", "--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC"],
            *["--service-account-issuer", self.url, "--service-account-key-file", str(key)],
            *["--service-account-signing-key-file", str(key), "--service-cluster-ip-range", "10.0.0.0/24"],
            *["--disable-admission-plugins", "ServiceAccount", "-v", "0"],
        ]

    def ready(self) -> bool:
        if is_free(self.port):
            return False
        try:
            # Its certificate is one that it signed for itself a moment ago.
            return httpx.get(f"{self.url}/readyz", verify=False, timeout=5).is_success
        except httpx.TransportError:
            return False


class Kubernetes(Group):
    """The API server and its store; `kubectl` talks to it."""

    def __init__(self, *, home: Path | None = None) -> None:
        self.etcd = Etcd(home=home and home / "etcd")
        self.server = ApiServer(self.etcd, home=home and home / "api")
        super().__init__("Kubernetes API server", VERSION, (self.etcd, self.server))

    def ready(self) -> bool:
        return self.kubectl("get", "namespace", "kube-system").returncode == 0

    def kubectl(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command as the administrator; ``given`` is its standard input."""
        who = ["--server", self.server.url, "--token", self.server.token, "--insecure-skip-tls-verify"]
        return subprocess.run(
            [str(self.server.programs / "kubectl"), "--kubeconfig", "/dev/null", *who, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
