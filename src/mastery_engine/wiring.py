"""The wiring: composes the engine. Only this module names concrete backends and the system's clock and ids."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from secrets import SystemRandom, token_bytes, token_hex, token_urlsafe
from socket import gethostname
from time import monotonic
from typing import TYPE_CHECKING, assert_never

import msgspec

from mastery_engine.auth.jwks import KeySet
from mastery_engine.auth.limits import Limits
from mastery_engine.auth.sealing import Seal
from mastery_engine.auth.signed_bodies import SignedBodies
from mastery_engine.auth.tokens import Tokens
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.clock import Clock, NewId
from mastery_engine.data_folder import PSEUDONYM_FILE, data_folder, development_secret
from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.rules import Rules, rules_from
from mastery_engine.doors.profiles.profile import TranslationProfile
from mastery_engine.doors.profiles.reading import PROFILE_ENDINGS, profile_from
from mastery_engine.doors.translating import ProfileSet, profiles_of
from mastery_engine.engine import Engine
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.model_files import ModelFileWatch, answer_models, forecast_model, skill_model
from mastery_engine.out.badges.issuer import issuer_at
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.backend import Connection, Logs, Stores
from mastery_engine.ports.platform_topic import PlatformTopic
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.admission import Admission
from mastery_engine.services.advice import Advising
from mastery_engine.services.audit import Audit
from mastery_engine.services.backlog import Backlog
from mastery_engine.services.badge_credentials import BadgeCredentials
from mastery_engine.services.badge_keys import BadgeKeys
from mastery_engine.services.badge_owners import BadgeOwners
from mastery_engine.services.badge_statuses import BadgeStatuses
from mastery_engine.services.badges import Badges
from mastery_engine.services.batches import Batches
from mastery_engine.services.calibrations import Calibrations
from mastery_engine.services.classrooms import Classrooms
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.credentials import Credentials
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.dangers import Dangers
from mastery_engine.services.dead_letters import DeadLetters
from mastery_engine.services.doorways import Doorways
from mastery_engine.services.dumps import Dumps
from mastery_engine.services.erasing import Erasing
from mastery_engine.services.figures import Figures
from mastery_engine.services.folding import Folding
from mastery_engine.services.forecasts import Forecasts
from mastery_engine.services.idempotency import Idempotency
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.known_cohorts import KnownCohorts
from mastery_engine.services.member_standings import MemberStandings
from mastery_engine.services.models import Models
from mastery_engine.services.moving import Moving
from mastery_engine.services.next_answers import NextAnswers
from mastery_engine.services.notes import Notes
from mastery_engine.services.outgoing import Follower, Outgoing
from mastery_engine.services.pages import Pages
from mastery_engine.services.people import People
from mastery_engine.services.privacy import Privacy
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.readiness import Readiness
from mastery_engine.services.receivers import Bell
from mastery_engine.services.record_documents import RecordDocuments
from mastery_engine.services.record_store import RecordStore
from mastery_engine.services.recording import Recording
from mastery_engine.services.reports import Reports
from mastery_engine.services.retention import Retention
from mastery_engine.services.rosters import Rosters
from mastery_engine.services.scores import Scores
from mastery_engine.services.skills import Skills
from mastery_engine.services.standings import Standings
from mastery_engine.services.statement_records import AUTHORITY_HOME
from mastery_engine.services.students import Students
from mastery_engine.services.watching import Watching
from mastery_engine.setting_files import files_in_setting_folder, read_setting_file
from mastery_engine.settings import Settings
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing, provider_for
from mastery_engine.wiring_clocks import steady_clock, system_clock
from mastery_engine.wiring_gradebooks import gradebook_services
from mastery_engine.wiring_lti import lti_services
from mastery_engine.wiring_tokens import most_waiting, tokens
from mastery_engine.wiring_webhooks import webhook_services
from mastery_engine.worker.bridge import TopicBridge
from mastery_engine.worker.calibrator import Calibrator
from mastery_engine.worker.decoding import RecordDecoder
from mastery_engine.worker.flood_guard import FloodGuard
from mastery_engine.worker.lag import Lag
from mastery_engine.worker.logged_answers import LoggedAnswers
from mastery_engine.worker.progress import LogProgress
from mastery_engine.worker.purge import Purge
from mastery_engine.worker.replay import Replay
from mastery_engine.worker.sender import DeliverySender
from mastery_engine.worker.worker import Worker

if TYPE_CHECKING:
    from mastery_engine.backends.kafka.settings import KafkaSettings

# Small batches leave time for HTTP in the same loop; without HTTP, larger ones need fewer round trips per event.
SERVING_BATCH = 500
WORKER_BATCH = 20_000
# The settings that say where the stores and logs are.
KEY_BYTES, SECRET_BYTES = 10, 32  # of a platform's credential: no two keys are alike, nobody guesses a secret
ADDRESS_OF = {"sqlite": "DATA_DIR", "redis": "REDIS_HOST", "dapr": "DAPR_HTTP_PORT", "kafka": "KAFKA_BROKER"}


def new_id() -> str:
    """A random UUID (version 4, RFC 9562)."""
    text = token_hex(16)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def open_engine(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    new_id: NewId = new_id,
    batch_size: int = SERVING_BATCH,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
    stores: Stores | None = None,
    logs: Logs | None = None,
) -> Engine:
    """The engine with the stores and logs of the settings, or those given; the worker reads ``batch_size`` at once.

    Raises StartRefused.
    """
    database = Database(data_folder(settings) / FILE_NAME) if settings.is_on_one_machine else None
    metrics = metrics or Metrics()
    stores = stores or _stores(settings, database)
    logs = logs or _logs(settings, database, batch_size, metrics)
    limits, connections = _limits(settings)
    models = Models(skill_model(settings), answer_models(settings))
    return compose(
        stores,
        logs,
        rules=rules(settings),
        curriculum=curriculum(settings),
        models=models,
        model_file=ModelFileWatch(settings, models),
        forecast_model=forecast_model(settings),
        pseudonym_key=(settings.pseudonym_key or development_secret(settings, PSEUDONYM_FILE)).encode(),
        consent_default=settings.consent_default == "given",
        keeps_statements=settings.keeps_statements,
        public_url=settings.public_url,
        webhook_http=PublicHttp(allow_private=settings.webhook_allow_private, setting="WEBHOOK_ALLOW_PRIVATE"),
        lti_allow_private=settings.lti_allow_private,
        tokens=partial(tokens, settings, clock),
        translation=translation_profiles(settings),
        platform_topic=_platform_topic(settings, batch_size),
        canvas_keys=KeySet(
            settings.canvas_jwks_url, clock, setting="CANVAS_JWKS_URL", most_waiting=most_waiting(settings)
        ),
        limits=limits,
        connections=connections,
        addresses={"store": ADDRESS_OF[settings.store], "log": ADDRESS_OF[settings.log]},
        host=gethostname(),
        clock=clock,
        new_id=new_id,
        new_key=partial(token_hex, KEY_BYTES),
        new_secret=partial(token_urlsafe, SECRET_BYTES),
        new_bytes=token_bytes,
        chance=SystemRandom().random,
        metrics=metrics,
        tracing=tracing or tracing_for(settings),
    )


def compose(
    stores: Stores,
    logs: Logs,
    *,
    rules: Rules,
    curriculum: Curriculum,
    models: Models,
    model_file: ModelFileWatch,
    forecast_model: ForecastModel,
    pseudonym_key: bytes,
    consent_default: bool,
    keeps_statements: bool,
    platform_topic: PlatformTopic | None,
    tokens: Callable[[], Tokens],
    translation: ProfileSet,
    canvas_keys: KeySet,
    limits: Limits,
    clock: Clock,
    new_id: NewId,
    new_key: Callable[[], str],
    new_secret: Callable[[], str],
    new_bytes: Callable[[int], bytes],
    chance: Callable[[], float],
    webhook_http: PublicHttp,
    metrics: Metrics,
    tracing: Tracing,
    public_url: str | None = None,
    lti_allow_private: bool = False,
    connections: Sequence[Connection] = (),
    addresses: Mapping[str, str] | None = None,
    host: str = "",
) -> Engine:
    """Build every service once, each with only what it needs, in the order of their dependencies."""
    consents = Consents(logs.consents, clock, pseudonym_key, default=consent_default)
    audit = Audit(stores.audit_log, clock, consents.pseudonym)
    access = AccessControl(audit)
    idempotency = Idempotency(stores.idempotency, clock, pseudonym_key)
    courses = Courses(stores.courses, access, audit, idempotency, rules, curriculum, clock)
    credentials = Credentials(stores.credentials, access, audit, clock, new_key, new_secret)
    decoder = RecordDecoder(courses.at_hand, clock)
    seal = Seal(pseudonym_key)
    issuer = issuer_at(public_url)
    statuses = BadgeStatuses(stores.registry, pseudonym_key)
    badge_owners = BadgeOwners(stores.registry, statuses, consents, metrics, clock)
    moving = Moving(
        stores.documents,
        stores.reader,
        stores.cohorts,
        logs.events,
        decoder.events_in,
        consents,
        courses,
        models,
        badge_owners,
        clock,
    )
    profiles = Profiles(stores.people, moving, consents, pseudonym_key)
    known_cohorts = KnownCohorts(stores.registry)
    cohorts = Cohorts(
        stores.cohorts,
        known_cohorts,
        stores.documents,
        access,
        audit,
        idempotency,
        profiles,
        consents,
        rules,
        clock,
    )
    students = Students(stores.reader, courses, consents)
    ingest = Ingest(
        logs.events,
        stores.documents,
        stores.refusals,
        consents,
        audit,
        access,
        idempotency,
        courses,
        clock,
        new_id,
        metrics,
        tracing,
    )
    doorways = Doorways(translation.translated, profiles, ingest, access, metrics)
    record_store = RecordStore(
        stores.statements,
        doorways,
        profiles,
        consents,
        audit,
        clock,
        keeps=keeps_statements,
        home_page=public_url or AUTHORITY_HOME,
    )
    record_documents = RecordDocuments(
        stores.record_documents, profiles, consents, audit, clock, keeps=keeps_statements
    )
    erasing = Erasing(
        stores.documents,
        stores.reader,
        profiles,
        record_store,
        record_documents,
        stores.refusals,
        stores.jobs,
        badge_owners,
        stores.registry,
        stores.deliveries,
    )
    folding = Folding(
        stores.documents,
        stores.reader,
        stores.cohorts,
        known_cohorts,
        consents,
        erasing,
        moving,
        courses,
        models,
        metrics,
    )
    recording = Recording(students, ingest, folding, consents, idempotency, tracing)
    current = CurrentAdvice(models)
    scores = Scores(students, ingest, recording, consents, access, idempotency, current, courses, clock)
    profiling = Profiling(students, access, consents)
    calibrations = Calibrations(stores.calibrations, access, clock)
    forecasts = Forecasts(forecast_model, cohorts, profiling, calibrations, stores.results, clock)
    skills = Skills(profiling, models, clock)
    advice = Advising(profiling, skills, current, clock)
    next_answers = NextAnswers(profiling, skills, models, clock)
    members = MemberStandings(stores.documents, cohorts, consents, forecasts, stores.results)
    reports = Reports(students, members, cohorts, consents, profiles, access, courses, clock)
    notes = Notes(
        stores.registry,
        students,
        consents,
        access,
        audit,
        idempotency,
        clock,
        new_id,
        retention_days=rules.retention_days,
    )
    dead_letters = DeadLetters(logs.dead_letters, logs.events, stores.registry, access, audit, clock, new_id)
    retention = Retention(stores.registry, access, clock, rules.retention_days)
    bell = Bell()
    webhooks, webhook_messages = webhook_services(
        stores.registry,
        stores.deliveries,
        consents,
        access,
        audit,
        idempotency,
        bell,
        webhook_http,
        seal,
        clock,
        new_id,
        new_bytes,
        public_url=public_url,
    )
    badges = Badges(
        stores.registry,
        statuses,
        badge_owners,
        consents,
        courses,
        students,
        profiles,
        access,
        audit,
        idempotency,
        metrics,
        clock,
        pseudonym_key,
        issuer,
    )
    admission = Admission(tokens, credentials, cohorts, limits, clock)
    lti = lti_services(
        stores.registry,
        profiles,
        cohorts,
        courses,
        access,
        audit,
        admission,
        clock,
        new_id,
        new_secret,
        metrics,
        seal=seal,
        public_url=public_url,
        allow_private=lti_allow_private,
    )
    gradebooks, late_grades = gradebook_services(stores, lti, bell, cohorts, consents, students, courses, clock)
    followers: list[Follower] = [webhook_messages, gradebooks, badges]  # in this order each result comes to them
    guard = FloodGuard(stores.checkpoints, logs.events)
    lag = Lag(logs.events, platform_topic, metrics)
    asked: dict[str, Connection] = {"store": stores.connection, "log": logs.connection}
    if model_file.is_named:
        asked["models"] = model_file
    dangers = Dangers(asked)
    return Engine(
        clock=clock,
        new_id=new_id,
        rules=rules,
        curriculum=curriculum,
        ingest=ingest,
        scores=scores,
        batches=Batches(stores.jobs, students, ingest, recording, consents, access, idempotency, audit, clock),
        forecasts=forecasts,
        calibrations=calibrations,
        advice=advice,
        next_answers=next_answers,
        skills=skills,
        cohorts=cohorts,
        courses=courses,
        credentials=credentials,
        badges=badges,
        badge_credentials=BadgeCredentials(
            stores.registry,
            statuses,
            BadgeKeys(stores.registry, seal, new_secret),
            access,
            audit,
            clock,
            issuer,
        ),
        doorways=doorways,
        canvas_bodies=SignedBodies(canvas_keys),
        people=People(stores.people, stores.documents, profiles, cohorts, consents, access, audit, idempotency, clock),
        notes=notes,
        rosters=Rosters(stores.people, profiles, cohorts, courses, access, audit, idempotency, clock),
        record_store=record_store,
        record_documents=record_documents,
        standings=Standings(members, cohorts, consents, profiles, access, audit, courses, clock),
        reports=reports,
        watching=Watching(students, scores, access, clock, metrics),
        pages=Pages(
            students,
            scores,
            forecasts,
            advice,
            skills,
            reports,
            cohorts,
            consents,
            profiles,
            next_answers,
            badges,
            access,
            clock,
        ),
        classrooms=Classrooms(students, reports, skills, cohorts, clock),
        privacy=Privacy(
            documents=stores.documents,
            jobs=stores.jobs,
            registry=stores.registry,
            deliveries=stores.deliveries,
            events=logs.events,
            result_log=logs.results,
            result_cache=stores.results,
            cohorts=cohorts,
            consents=consents,
            erasing=erasing,
            profiles=profiles,
            notes=notes,
            moving=moving,
            record_store=record_store,
            record_documents=record_documents,
            dead_letters=dead_letters,
            retention=retention,
            access=access,
            audit=audit,
            idempotency=idempotency,
            courses=courses,
            clock=clock,
        ),
        consents=consents,
        access=access,
        audit=audit,
        dead_letters=dead_letters,
        dumps=Dumps(
            stores.documents,
            logs.events,
            decoder.events_in,
            consents,
            courses,
            moving,
            cohorts,
            forecasts,
            models,
            access,
            audit,
            clock,
        ),
        webhooks=webhooks,
        admission=admission,
        lti=lti,
        late_grades=late_grades,
        readiness=Readiness({name: one.ping for name, one in asked.items()}, dangers, addresses),
        dangers=dangers,
        figures=Figures(stores.registry, metrics, lag.latest, access, clock, new_id, host),
        metrics=metrics,
        tracing=tracing,
        models=models,
        model_file=model_file,
        worker=Worker(
            msgspec.structs.replace(logs, results=Outgoing(logs.results, followers, metrics)),
            stores.checkpoints,
            stores.refusals,
            folding,
            moving,
            consents,
            courses,
            decoder,
            guard,
            lag,
            clock,
            metrics,
            tracing,
        ),
        bridge=(
            None
            if platform_topic is None
            else TopicBridge(platform_topic, doorways, consents, logs.dead_letters, clock, metrics)
        ),
        sender=DeliverySender(stores.deliveries, [webhook_messages, gradebooks], bell, clock, chance, metrics),
        public_https=[webhook_http],
        lag=lag,
        purge=Purge(stores, logs, consents, moving, courses, retention, rules, clock),
        retention=retention,
        backlog=Backlog(stores.deliveries, webhooks, gradebooks, access, clock),
        calibrator=Calibrator(
            stores, logs, cohorts, consents, courses, calibrations, decoder, forecast_model, clock, new_id
        ),
        progress=LogProgress(logs.events, stores.checkpoints),
        replay=Replay(stores, logs.events, guard),
        logged_answers=LoggedAnswers(logs.events, consents, courses, decoder, clock),
        reader=stores.reader,
        connections=(logs.connection, *connections, stores.connection),
    )


def tracing_for(settings: Settings) -> Tracing:
    """The tracing of the settings; it makes no spans if traces are off. Raises StartRefused."""
    return Tracing(provider_for(settings.otel_exporter_otlp_endpoint) if settings.trace_enabled else None)


def _stores(settings: Settings, database: Database | None) -> Stores:
    match settings.store:
        case "sqlite":
            from mastery_engine.backends.sqlite import stores as sqlite

            return sqlite.open_stores(_opened(database), steady_clock)
        case "dapr":
            from mastery_engine.backends.dapr import stores as dapr

            return dapr.open_stores(
                settings.dapr_state_store or "",
                port=settings.dapr_http_port,
                token=settings.dapr_api_token,
                retention_days=settings.gdpr_retention_days,
            )
        case "redis":
            from mastery_engine.backends.redis import stores as redis

            retention_days = settings.gdpr_retention_days
            return redis.open_stores(settings.redis_host or "", retention_days=retention_days, now=monotonic)
        case unknown:
            assert_never(unknown)


def _logs(settings: Settings, database: Database | None, batch_size: int, metrics: Metrics) -> Logs:
    match settings.log:
        case "sqlite":
            from mastery_engine.backends.sqlite import logs as sqlite

            return sqlite.open_logs(_opened(database), batch_size=batch_size)
        case "kafka":
            from mastery_engine.backends.kafka import logs as kafka

            return kafka.open_logs(
                kafka_settings(settings),
                batch_size=batch_size,
                rebalanced=metrics.rebalances.inc,
                platform_topic=settings.openedx_topic,
            )
        case unknown:
            assert_never(unknown)


def _platform_topic(settings: Settings, batch_size: int) -> PlatformTopic | None:
    """The topic of Open edX, where one is named."""
    if settings.openedx_topic is None:
        return None
    from mastery_engine.backends.kafka.platform_topic import KafkaPlatformTopic

    return KafkaPlatformTopic(kafka_settings(settings), settings.openedx_topic, batch_size=batch_size)


def _opened(database: Database | None) -> Database:
    """The database of this machine, which is there whenever a store or a log is in it."""
    if database is None:
        raise TypeError("The settings name SQLite, and its database was not opened.")
    return database


def _limits(settings: Settings) -> tuple[Limits, Sequence[Connection]]:
    """The rate limits: their windows are in Redis, shared by all replicas, or in this process; or there are none."""
    if not settings.rate_limit_enabled:
        return Limits(None), ()
    if settings.store == "redis":
        from mastery_engine.backends.redis.rate_windows import open_windows

        windows, connection = open_windows(settings.redis_host or "")
        return Limits(windows), (connection,)
    from mastery_engine.backends.memory.rate_windows import MemoryWindows

    return Limits(MemoryWindows()), ()


def connections(settings: Settings) -> dict[str, Connection]:
    """A connection to the servers of the store and the log, by the names of what they are.

    They connect when first asked, change nothing, and may look beside a process that works the data folder. Raises
    StartRefused.
    """
    opened: dict[str, Connection] = {}
    if settings.is_on_one_machine:
        from mastery_engine.backends.sqlite.inspection import SqliteInspection

        opened["SQLite"] = SqliteInspection(settings.data_dir / FILE_NAME)
    if settings.store != "sqlite":
        opened[settings.store.capitalize()] = _stores(settings, None).connection
    if settings.log != "sqlite":
        opened[settings.log.capitalize()] = _logs(settings, None, SERVING_BATCH, Metrics()).connection
    return opened


def create_topics(settings: Settings) -> tuple[list[str], list[str], list[str]]:
    """Create the topics that are missing in Kafka; returns (those created, existing ones, differences of these).

    Raises StartRefused, Unavailable.
    """
    from mastery_engine.backends.kafka.topic_plans import TOPICS, differences
    from mastery_engine.backends.kafka.topics import ensure_topics

    if settings.kafka_broker is None:
        raise StartRefused("Set KAFKA_BROKER to the host:port of Kafka first.")
    kafka = kafka_settings(settings)
    made = ensure_topics(msgspec.structs.replace(kafka, create_topics=True))
    there = [name for name in TOPICS if name not in made]
    return made, there, differences(kafka) if there else []


def kafka_settings(settings: Settings) -> "KafkaSettings":
    """The settings for Kafka."""
    from mastery_engine.backends.kafka.settings import KafkaSettings

    return KafkaSettings(
        bootstrap=settings.kafka_broker or "",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password,
        ca_file=str(settings.kafka_ca_file) if settings.kafka_ca_file else None,
        create_topics=settings.kafka_create_topics,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication or 0,
        retention_days=settings.kafka_retention_days,
        session_timeout_ms=settings.kafka_session_timeout_ms,
    )


def rules(settings: Settings) -> Rules:
    """The rules of RULES_FILE, or the defaults; the retention is GDPR_RETENTION_DAYS. Raises StartRefused."""
    retention = settings.gdpr_retention_days
    if settings.rules_file is None:
        return Rules(retention_days=retention)
    source = read_setting_file("RULES_FILE", settings.rules_file)
    try:
        return rules_from(source, overrides={"retention_days": retention})
    except InvalidInput as error:
        raise StartRefused(f"RULES_FILE {settings.rules_file} cannot be used: {error}") from error


@cache  # as the others that come with the package, which stay as they are while a process runs
def _shipped_curriculum() -> Curriculum:
    return curriculum_from(files("mastery_engine").joinpath("curriculum.yaml").read_bytes())


def curriculum(settings: Settings) -> Curriculum:
    """The course of CURRICULUM_FILE, or the shipped one. Raises StartRefused."""
    file = settings.curriculum_file
    if file is None:
        return _shipped_curriculum()
    source = read_setting_file("CURRICULUM_FILE", file)
    try:
        return curriculum_from(source)
    except InvalidInput as error:
        raise StartRefused(f"CURRICULUM_FILE {file} cannot be used: {error}") from error


@cache
def _shipped_profiles() -> tuple[TranslationProfile, ...]:
    return tuple(
        profile_from(file.read_bytes(), file.name)
        for file in sorted(files("mastery_engine").joinpath("doors", "profiles").iterdir(), key=lambda one: one.name)
        if file.name.endswith(PROFILE_ENDINGS)
    )


def translation_profiles(settings: Settings) -> ProfileSet:
    """The profiles of other platforms' messages: those of PROFILES_DIR before the shipped. Raises StartRefused."""
    shipped = _shipped_profiles()
    folder = settings.profiles_dir
    if folder is None:
        return profiles_of([], shipped)
    try:
        own = [
            profile_from(read_setting_file("PROFILES_DIR", file), file.name)
            for file in files_in_setting_folder("PROFILES_DIR", folder)
            if file.name.endswith(PROFILE_ENDINGS)
        ]
        return profiles_of(own, shipped)
    except InvalidInput as error:
        raise StartRefused(f"PROFILES_DIR {folder} cannot be used: {error}") from error
