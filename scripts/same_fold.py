"""Old and new code fold the same random events to the same documents: ``python -m scripts.same_fold COMMIT [EVENTS]``.

The code of the commit is laid into a folder of its own. Each side folds the events in a process of its own, batch by
batch, and tells a checksum of each batch's documents, results and cold ids; the first batch that differs is shown.
They are compared by what they hold, not by how it is packed, which changed with format 3. What is meant to differ is
left out by name: see ``LEFT_OUT``.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

ROOT = Path(__file__).parents[1]
PINNED = "cdd41a6"  # the last one before updates left unchanged advice out
EVENTS = 1_000_000
STUDENTS, BATCH, RETENTION_DAYS = 60, 200, 40
DAY, START = 86_400_000_000, 20_000 * 86_400_000_000
TOPICS = ["variables", "loops", "functions", "Basics", "io", "knitting", "grüße", "recursion"]
LEVELS = ["beginner", "intermediate", "advanced"]
LEFT_OUT = {"advised", "advice"}  # of what was sent, and of an update: whether it says again what is unchanged
ID_BYTES = 6  # of an id, which documents held 8 of before format 3
# What classes hold by meaning, where some of it is packed now and was not before, or the other way round.
HELD = {
    "Student": (
        *("evidence", "history", "seen", "sent", "outbox", "latest", "received", "updated", "floor"),
        *("knowledge", "cohorts", "guidance", "answers", "causes"),
    ),
    "Guidance": ("spells", "habits", "advice", "path", "dismissed", "basis", "made_by"),
    "Advice": ("day", "level", "components", "items"),
    "Seen": (),  # ids are compared by their days, wherever they stand: see ``_ids``
    "TopicProgress": ("at", "event_id", "completed", "total", "difficulty"),
    "Block": ("counts", "quizzes", "seconds", "asked"),
}


def data_of(chance: Random, today: str) -> tuple[str, dict[str, Any]]:
    """A random kind and its data."""
    topic, total = chance.choice(TOPICS), chance.randint(1, 20)
    attempt = {"attempt_id": f"a-{chance.randrange(40)}"} if chance.random() < 0.15 else {}
    share = round(chance.random(), 3)
    match chance.randrange(12):
        case 0 | 1:
            part = {"total_exercises": total, "completed_exercises": chance.randint(0, total)}
            return "completion", {**part, "difficulty": chance.choice(LEVELS), "topic": topic}
        case 2 | 3:
            right = chance.randint(0, total) if chance.random() < 0.8 else round(total * share, 2)
            return "quiz", {"total_questions": total, "correct_answers": right, "topic": topic, **attempt}
        case 4:
            three = dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), share)
            return "quality", {**three, **attempt}
        case 5:
            named = {"current_streak": chance.randrange(9), "days_since_last_activity": chance.randrange(4)}
            return "consistency", named if chance.random() < 0.7 else {"activity_dates": [today]}
        case 6 | 7 | 8:
            skills = chance.sample(TOPICS, chance.randrange(3))
            said = {"correct": chance.random() < 0.6} if chance.random() < 0.8 else {"score": share}
            return "answer", {"item_id": f"i-{chance.randrange(50)}", "skills": skills, **said, **attempt}
        case 9:
            outcome = chance.choice(["success", "error", "error"])
            return "execution", {"outcome": outcome, "topic": topic, "error_type": "TypeError", "duration": 90.0}
        case 10:
            return "help", {"topic": topic, "message": "I'm stuck"}
        case _:
            if chance.random() < 0.5:
                return "recommendation.dismissed", {"recommendation_id": f"r-{chance.randrange(9)}"}
            return "mastery.calculation.requested", {"components": {"quiz": share}}


def fold(source: Path, events: int) -> None:
    """Fold by the code below ``source``; prints a checksum a batch."""
    sys.path.insert(0, str(source))
    import msgspec

    import mastery_engine
    from mastery_engine.domain.events.event import Logged, decode
    from mastery_engine.domain.rules import Rules
    from mastery_engine.domain.student import NOBODY, pack, unpack
    from mastery_engine.domain.transition import aged, apply_all, needs_cold
    from mastery_engine.lab.folded import course

    assert source in Path(mastery_engine.__file__).parents, mastery_engine.__file__
    chance, rules, curriculum = Random(1), Rules(retention_days=RETENTION_DAYS), course()
    documents: dict[str, bytes] = {f"s-{number}": pack(NOBODY) for number in range(STUDENTS)}
    cold: dict[str, Any] = {name: {} for name in documents}
    now, offset = START, 0
    for number in count():
        if offset >= events:
            return
        now += int(chance.expovariate(1 / DAY))
        named: dict[str, list[Any]] = {}
        for place in range(BATCH):
            student = f"s-{int(STUDENTS * chance.random() ** 3)}"  # of some so many events that their ids become cold
            at = now - (chance.randrange(30 * DAY) if chance.random() < 0.1 else chance.randrange(1000))
            kind, data = data_of(chance, msgspec.json.decode(msgspec.json.encode(_date(now))))
            event_id = f"e-{offset + place - (chance.randrange(4_000) if chance.random() < 0.05 else 0)}"
            value = {"event_type": kind, "data": data, "student_id": student, "timestamp": at // 1000}
            event = decode(msgspec.json.encode(value | {"event_id": event_id}), received=now)
            named.setdefault(student, []).append(Logged(event, 0, offset + place))
        students = {name: unpack(documents[name]) for name in named}
        turns = [
            (students[name], own, cold[name] if needs_cold(students[name], own) else None)
            for name, own in named.items()
        ]
        profiled = [chance.random() < 0.97 for _ in turns]
        offset += BATCH
        done = apply_all(turns, now, rules, settled={0: offset - 2 * BATCH}, curriculum=curriculum, profiled=profiled)
        told: list[Any] = []
        for name, after in zip(named, done, strict=True):
            documents[name] = pack(after.student)
            cold[name] = cold[name] if after.cold is None else after.cold
            held = (after.student.seen.recent, cold[name])
            told += [_plain(after.student), _ids(held, now // DAY - RETENTION_DAYS - 1), len(after.new)]
        if number % 50 == 49:
            for name, packed in list(documents.items()):
                left = aged(unpack(packed), cold[name], now, rules)
                documents[name], cold[name] = (pack(NOBODY), {}) if left is None else (pack(left.student), left.cold)
        print(f"{crc32(repr(told).encode()):08x}", flush=True)


def _date(now: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(now / 1e6, UTC).date()


def _plain(value: Any) -> Any:
    """A document as lists of names and values, without what is left out."""
    held = HELD.get(type(value).__name__)
    if held is None and hasattr(value, "__struct_fields__"):
        held = [name for name in value.__struct_fields__ if name not in LEFT_OUT]
    if held is not None:
        return [(name, _of(name, getattr(value, name))) for name in held]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return [(key, _plain(one)) for key, one in value.items()]
    return value


def _of(name: str, value: Any) -> Any:
    if name == "habits":
        if isinstance(value, bytes):
            from mastery_engine.domain.advice.habits import blocks_of

            value = {block.number: block for block in blocks_of(value)}
        return [(number, _plain(block)) for number, block in sorted(value.items())]
    return _plain(value)


def _ids(held: Sequence[dict[int, bytes]], floor: int) -> Any:
    """Ids by their days from ``floor`` on, of each the first ``ID_BYTES``: in the document and beside it."""
    from mastery_engine.domain import ids

    size = getattr(ids, "SEEN_BYTES", ids.ID_BYTES)
    return sorted(
        (day, packed[start : start + ID_BYTES])
        for by_day in held
        for day, packed in by_day.items()
        if day >= floor
        for start in range(0, len(packed), size)
    )


def main() -> None:
    """Compare, or, with ``--fold``, be one of the two sides."""
    if sys.argv[1:2] == ["--fold"]:
        fold(Path(sys.argv[2]), int(sys.argv[3]))
        return
    commit, events = (*sys.argv[1:], *(PINNED, str(EVENTS))[len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        sides = [
            subprocess.Popen(
                [sys.executable, __file__, "--fold", str(source), events], stdout=subprocess.PIPE, text=True
            )
            for source in (Path(folder, "src"), ROOT / "src")
        ]
        same = 0
        for old, new in zip(*(side.stdout or () for side in sides), strict=False):
            if old != new:
                for side in sides:
                    side.kill()
                sys.exit(f"Batch {same} differs: {old.strip()} by {commit}, {new.strip()} now.")
            same += 1
        if any(side.wait() for side in sides) or same * BATCH < int(events):
            sys.exit(f"A side ended after {same} batches.")
    print(f"{same * BATCH:,} events are folded to the same documents by {commit} and now.")


if __name__ == "__main__":
    main()
