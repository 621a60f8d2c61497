"""Credentials of platforms: made, checked at the doors, and revoked, also by another process."""

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import Shown
from mastery_engine.auth.limits import BAD_TOKENS, Limits
from mastery_engine.backends.memory.credentials import MemoryCredentials
from mastery_engine.backends.memory.stores import open_stores
from mastery_engine.domain.moments import SECOND
from mastery_engine.engine import Engine
from mastery_engine.errors import Forbidden, InvalidInput, NotFound, RateLimited, Unavailable, WrongCredential
from mastery_engine.ports.audit_log import AuditFilter
from mastery_engine.ports.credentials import Credential
from tests.support.composed import composed
from tests.support.samples import NOW, Clock

ADMIN = Caller("tests", "admin")
OPERATOR_OF_SCHOOL = Caller("tests", "admin", "school-1")


class CountedCredentials(MemoryCredentials):
    """A store that counts how often it is asked, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.finds = 0
        self.is_away = False

    async def find(self, key: str) -> Credential | None:
        if self.is_away:
            raise Unavailable("The store is away.")
        self.finds += 1
        return await super().find(key)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> CountedCredentials:
    return CountedCredentials()


@pytest.fixture
def engine(store: CountedCredentials, clock: Clock) -> Engine:
    from limits.aio.storage import MemoryStorage

    stores = msgspec.structs.replace(open_stores(clock), credentials=store)
    return composed(stores, clock=clock, limits=Limits(MemoryStorage()))


async def sender(engine: Engine, key: str, secret: str, door: str = "xapi"):  # type: ignore[no-untyped-def]
    return await engine.admission.authenticate_platform(
        Shown(key, secret),
        door,
        address="192.0.2.1",
        request_id="r-1",
        at=engine.clock(),  # type: ignore[arg-type]
    )


async def calls(engine: Engine, tenant: str = "default") -> list[tuple[str, str, bool]]:
    await engine.audit.flush()
    page = await engine.audit._log.page(tenant, AuditFilter(), limit=100)
    return [(one.call, one.subject, one.allowed) for one in page.records]


async def test_who_shows_the_secret_is_a_service_of_the_credentials_tenant(engine: Engine) -> None:
    made = await engine.credentials.create(OPERATOR_OF_SCHOOL, " Moodle ", doors=["xapi"], course_id="physics ")
    found = await sender(engine, made.key, made.secret)
    assert (found.caller.role, found.caller.tenant, found.course_id) == ("service", "school-1", "physics")
    assert found.caller.subject == f"credential:{made.key}"
    assert (found.caller.address, found.caller.request_id, found.caller.at) == ("192.0.2.1", "r-1", NOW)
    (listed,) = await engine.credentials.all(ADMIN)
    assert (listed.name, listed.doors, listed.tenant) == ("Moodle", ["xapi"], "school-1")


async def test_no_secret_is_kept_or_listed(engine: Engine, store: CountedCredentials) -> None:
    made = await engine.credentials.create(ADMIN, "Moodle")
    kept = msgspec.json.encode(await store.all()) + msgspec.json.encode(await engine.credentials.all(ADMIN))
    assert made.secret.encode() not in kept
    assert made.secret.rpartition("_")[2].encode() not in kept
    assert made.secret not in str(await calls(engine))


async def test_without_a_door_it_opens_all_in_their_order(engine: Engine) -> None:
    await engine.credentials.create(ADMIN, "a")
    await engine.credentials.create(ADMIN, "b", doors=["canvas", "xapi", "canvas"])
    listed = await engine.credentials.all(ADMIN)
    assert [one.doors for one in listed] == [["xapi", "caliper", "canvas"], ["xapi", "canvas"]]


async def test_a_wrong_secret_key_or_door_is_refused_and_on_record(engine: Engine) -> None:
    made = await engine.credentials.create(ADMIN, "Moodle", doors=["xapi"])
    other = await engine.credentials.create(ADMIN, "Canvas")
    for key, secret in ((made.key, other.secret), (made.key, ""), ("nobody", made.secret), ("", "")):
        with pytest.raises(WrongCredential):
            await sender(engine, key, secret)
    with pytest.raises(Forbidden, match="not for the door canvas, but for xapi"):
        await sender(engine, made.key, made.secret, "canvas")
    refused = [one for one in await calls(engine) if not one[2]]
    assert refused == [
        ("canvas", f"credential:{made.key}", False),
        ("xapi", f"credential:{made.key}", False),
        ("xapi", f"credential:{made.key}", False),
    ]


async def test_guesses_end_in_a_limit_and_the_right_secret_goes_on(engine: Engine) -> None:
    made = await engine.credentials.create(ADMIN, "Moodle")
    for _ in range(BAD_TOKENS):
        with pytest.raises(WrongCredential):
            await sender(engine, made.key, "mes_guess")
    with pytest.raises(RateLimited):
        await sender(engine, made.key, "mes_guess")
    assert await sender(engine, made.key, made.secret)


async def test_a_checked_credential_is_not_read_again_for_seconds(
    engine: Engine, store: CountedCredentials, clock: Clock
) -> None:
    made = await engine.credentials.create(ADMIN, "Moodle")
    store.finds = 0
    for _ in range(100):
        await sender(engine, made.key, made.secret)
    assert store.finds == 1
    store.is_away = True
    assert await sender(engine, made.key, made.secret)
    clock.tick(5 * SECOND)
    with pytest.raises(Unavailable):
        await sender(engine, made.key, made.secret)


async def test_what_another_process_revoked_is_refused_within_five_seconds(
    engine: Engine, store: CountedCredentials, clock: Clock
) -> None:
    made = await engine.credentials.create(ADMIN, "Moodle")
    assert await sender(engine, made.key, made.secret)
    elsewhere = composed(msgspec.structs.replace(open_stores(clock), credentials=store), clock=clock)
    assert (await elsewhere.credentials.revoke(ADMIN, made.key)).name == "Moodle"
    clock.tick(5 * SECOND)
    for _ in range(2):
        with pytest.raises(WrongCredential):
            await sender(engine, made.key, made.secret)


async def test_what_is_revoked_here_is_refused_at_once(engine: Engine) -> None:
    made = await engine.credentials.create(OPERATOR_OF_SCHOOL, "Moodle")
    assert await sender(engine, made.key, made.secret)
    await engine.credentials.revoke(ADMIN, made.key)
    with pytest.raises(WrongCredential):
        await sender(engine, made.key, made.secret)
    with pytest.raises(NotFound):
        await engine.credentials.revoke(ADMIN, made.key)
    assert [call for call, _, allowed in await calls(engine, "school-1") if allowed] == [
        "revoke-credential",
        "create-credential",
    ]


@pytest.mark.parametrize("role", ["student", "teacher", "service"])
async def test_only_an_admin_may(engine: Engine, role: str) -> None:
    caller = msgspec.structs.replace(ADMIN, role=role)
    with pytest.raises(Forbidden):
        await engine.credentials.create(caller, "Moodle")
    with pytest.raises(Forbidden):
        await engine.credentials.all(caller)
    with pytest.raises(Forbidden):
        await engine.credentials.revoke(caller, "5f0c")


async def test_a_name_is_a_text(engine: Engine) -> None:
    for name in ("", "  ", "a\nb", "x" * 101):
        with pytest.raises(InvalidInput, match="name"):
            await engine.credentials.create(ADMIN, name)
