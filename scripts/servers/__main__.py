"""`python -m scripts.servers`: real Kafka and Redis in the foreground for a developer, until Ctrl-C."""

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from scripts.servers import dapr, kafka, kubernetes, redis
from scripts.servers.cache import Unavailable, command, free_port, is_free
from scripts.servers.process import Server, StartFailed


def main() -> int:
    """The exit status: 0 after Ctrl-C or SIGTERM, 1 where a server could not be had, or ended by itself."""
    parser = argparse.ArgumentParser(prog="python -m scripts.servers", description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="only fetch what the servers are made from")
    parser.add_argument("--build", action="store_true", help="only make what the tests need and takes long to make")
    parser.add_argument("--data", type=Path, help="keep the data in this folder (else they go with the servers)")
    parser.add_argument("--kafka-version", default=kafka.VERSION, help="default: %(default)s")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if chosen.prepare:
            return _prepare(chosen.kafka_version)
        if chosen.build:
            return _build()
        return _serve(chosen.data, chosen.kafka_version)
    except (Unavailable, StartFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _prepare(kafka_version: str) -> int:
    print(f"Apache Kafka {kafka_version}: {kafka.jars(kafka_version)}")
    found = redis.program()
    print(f"{found.name} {found.version}: {found.path}")
    return 0


def _build() -> int:
    """Before the tests, so that no test waits for it or is slowed down by it; what cannot be had the tests say."""
    jars, wrk = partial(kafka.jars, kafka.VERSION), partial(command, "wrk", packages=["wrk"])
    for make in (redis.program, jars, wrk, dapr.program, kubernetes.programs, kubernetes.etcd):
        try:
            make()
        except Unavailable as unavailable:
            print(f"not built: {unavailable}", file=sys.stderr)
    return 0


def _serve(data: Path | None, kafka_version: str) -> int:
    with ExitStack() as running:
        home = data and data / f"kafka-{kafka_version}"
        broker = kafka.Kafka(version=kafka_version, port=_port(9092), home=home, for_long=True)
        store = redis.Redis(port=_port(6379), home=data and data / "redis")
        for server in (broker, store):
            print(f"starting {server}", file=sys.stderr)
            running.enter_context(server)
        print(f"export KAFKA_BROKER={broker.bootstrap}")
        print(f"export REDIS_HOST=127.0.0.1:{store.port}", flush=True)
        print("Ctrl-C stops both", file=sys.stderr)
        return _watch([broker, store])


def _watch(servers: list[Server]) -> int:
    while all(server.running for server in servers):
        time.sleep(0.5)
    ended = [str(server) for server in servers if not server.running]
    print(f"{' and '.join(ended)} ended", file=sys.stderr)
    return 1


def _port(usual: int) -> int:
    return usual if is_free(usual) else free_port()


if __name__ == "__main__":
    sys.exit(main())
