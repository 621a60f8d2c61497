"""Redis's errors as the engine's: in words that say what to do, and name no host and no command."""

import logging

import pytest
from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from mastery_engine.backends.redis.errors import away

IN_A_PIPELINE = "Command # 2 (SET mastery:{default:ada}:d x) of pipeline caused error: "
KNOWN: list[tuple[Exception, str]] = [
    (exceptions.OutOfMemoryError(f"{IN_A_PIPELINE}command not allowed when used memory > 'maxmemory'."), "is full"),
    (exceptions.ResponseError("ERR OOM command not allowed when used memory > 'maxmemory'."), "is full"),
    (exceptions.ReadOnlyError(f"{IN_A_PIPELINE}You can't write against a read only replica."), "is a replica"),
    (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots, but ..."), "its disk"),
    (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "min-replicas-to-write"),
    (exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"), "all commands"),
    (exceptions.AuthenticationError("invalid username-password pair"), "REDIS_HOST"),
    (exceptions.ResponseError("NOAUTH Authentication required."), "REDIS_HOST"),
    (exceptions.InvalidResponse('Protocol error, got "H" as reply type byte'), "does not speak as Redis"),
    (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "still loads"),
    (exceptions.ClusterDownError("CLUSTERDOWN Hash slot not served"), "Cluster is down"),
    (exceptions.SlotNotCoveredError('Slot "12" not covered by the cluster.'), "Cluster is down"),
    (exceptions.ClusterError("TTL exhausted."), "Cluster is down"),
    (MasterNotFoundError("No master found for 'mastery' : 10.1.2.3:26379"), "Sentinels"),
    (exceptions.MaxConnectionsError("Too many connections"), "maxclients"),
    (exceptions.TimeoutError("Timeout reading from 10.1.2.3:6379"), "not answered in time"),
    (exceptions.ConnectionError("No connection available."), "not answered in time"),
    (exceptions.ConnectionError("Error 111 connecting to 10.1.2.3:6379. Connection refused."), "is away"),
    (exceptions.RedisClusterException("Redis Cluster cannot be connected: 10.1.2.3"), "is away"),
    (ConnectionResetError(104, "Connection reset by peer"), "is away"),
    (exceptions.ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "ssl_ca_certs"),
]


@pytest.mark.parametrize("number", range(len(KNOWN)))
def test_an_error_is_told_in_plain_words(number: int) -> None:
    error, words = KNOWN[number]
    said = away(error).message
    assert words in said
    for hidden in ("Command #", "mastery:{", "10.1.2.3", type(error).__name__):
        assert hidden not in said


def test_a_server_that_is_not_there_is_named_with_its_setting() -> None:
    for error in (exceptions.ConnectionError("refused"), exceptions.TimeoutError(""), OSError(111, "refused")):
        assert "look at" in away(error).message
        assert "REDIS_HOST" in away(error).message


def test_what_is_not_known_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        said = away(exceptions.ResponseError(f"{IN_A_PIPELINE}WRONGTYPE Operation against a key")).message
    assert "log" in said
    assert "WRONGTYPE" not in said
    assert "WRONGTYPE" in caplog.text
