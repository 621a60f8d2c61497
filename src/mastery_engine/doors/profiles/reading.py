"""Reading a profile from YAML: an error names the file and the line, and says what to do. See docs/profiles.md."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import yaml

from mastery_engine.domain.events.kinds import KINDS
from mastery_engine.domain.yaml_faults import not_yaml
from mastery_engine.doors.caliper.door import CALIPER
from mastery_engine.doors.canvas.door import CANVAS_EVENTS
from mastery_engine.doors.door import Door
from mastery_engine.doors.openedx.door import OPENEDX
from mastery_engine.doors.profiles.paths import (
    Condition,
    Path,
    Source,
    at_path,
    begins_with,
    constant,
    entry_where,
    first_of,
    is_one_of,
    is_present,
    joined,
    matched,
    path_of,
)
from mastery_engine.doors.profiles.profile import DONE, EventRule, Rule, ScorePlaces, TranslationProfile, kinds_of
from mastery_engine.doors.xapi.door import XAPI
from mastery_engine.errors import InvalidInput

Node: TypeAlias = yaml.Node
Fields: TypeAlias = Mapping[str, Node]

DOORS: Mapping[str, Door] = {door.name: door for door in (XAPI, CALIPER, CANVAS_EVENTS, OPENEDX)}
SCORE_PARTS = ("raw", "min", "max", "scaled", "success")
TOP = ("profile", "door", "title", "recognise", "learner", "course", "score", "scaled_from", "event_ids", "rules")
IN_A_RULE = ("rule", "when", "learner", "events", "ignore")
IN_A_SOURCE = ("path", "where", "then", "all", "pattern", "join", "between", "value")
BESIDE_AN_EVENT = ("each", "score")
PROFILE_ENDINGS = (".yaml", ".yml")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PREFIX = re.compile(r"[a-z0-9]{1,20}")


def profile_from(source: bytes, file: str) -> TranslationProfile:
    """The profile in a YAML document, ready for work. Raises InvalidInput, which names the file and the line."""
    return _Reader(file).profile(source)


class _Reader:
    """Reads one file, whose name its errors begin with."""

    def __init__(self, file: str) -> None:
        self._file = file

    def profile(self, source: bytes) -> TranslationProfile:
        try:
            root = yaml.compose(source, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise InvalidInput(f"{self._file}, {not_yaml(error, source)}") from error
        if root is None:
            raise InvalidInput(f"{self._file}: The file is empty: a profile begins with profile and door.")
        fields = self._fields(root, "A profile", TOP)
        for name in ("profile", "door", "rules"):
            if name not in fields:
                self._fail(root, f"A profile needs {name}: add it.")
        name = self._text(fields["profile"])
        if not _NAME.fullmatch(name):
            self._fail(fields["profile"], "A profile's name has 1 to 40 characters of a-z, 0-9, - and _.")
        door = DOORS.get(self._text(fields["door"]))
        if door is None:
            self._fail(fields["door"], f"The door is one of {', '.join(DOORS)}.")
        places = self._score(fields, door, None)
        rules = [self._rule(node, door, places) for node in self._entries(fields["rules"], "rules")]
        if not rules:
            self._fail(fields["rules"], "A profile has at least one rule.")
        names = [rule.name for rule in rules]
        for rule, node in zip(rules, self._entries(fields["rules"], "rules"), strict=True):
            if names.count(rule.name) > 1:
                self._fail(node, f"Two rules are called {rule.name!r}: give each its own name.")
        ids_as = self._text(fields["event_ids"]) if "event_ids" in fields else None
        if ids_as is not None and not _PREFIX.fullmatch(ids_as):
            self._fail(fields["event_ids"], "event_ids is what the ids begin with: 1 to 20 characters of a-z and 0-9.")
        return TranslationProfile(
            name=name,
            door=door,
            title=self._text(fields["title"]) if "title" in fields else name,
            origin=self._file,
            recognised=tuple(self._recognised(fields.get("recognise"), door)),
            learner=self._source(fields["learner"]) if "learner" in fields else _sources(door.learner),
            course=self._source(fields["course"]) if "course" in fields else constant(None),
            ids_as=ids_as,
            rules=kinds_of(rules),
            other_rules=tuple([rule for rule in rules if rule.kinds is None]),
            size=len(rules),
        )

    def _recognised(self, node: Node | None, door: Door) -> Iterator[Condition]:
        for one in [] if node is None else self._entries(node, "recognise"):
            conditions, kinds = self._conditions(one, door)
            if kinds is not None:
                conditions = [*conditions, is_one_of(door.kind, kinds)]
            yield _all(conditions)

    def _rule(self, node: Node, door: Door, places: ScorePlaces) -> Rule:
        fields = self._fields(node, "A rule", IN_A_RULE)
        if "rule" not in fields:
            self._fail(node, "A rule begins with its name: rule: quiz-attempt.")
        if ("events" in fields) is ("ignore" in fields):
            self._fail(node, "A rule has either events, or ignore with the reason.")
        conditions, kinds = self._conditions(fields["when"], door) if "when" in fields else ([], None)
        events = self._entries(fields["events"], "events") if "events" in fields else []
        if "events" in fields and not events:
            self._fail(fields["events"], "events lists at least one event.")
        return Rule(
            name=self._text(fields["rule"]),
            conditions=tuple(conditions),
            kinds=kinds,
            events=tuple([self._event(event, door, places) for event in events]),
            ignore=self._text(fields["ignore"]) if "ignore" in fields else None,
            learner=self._source(fields["learner"]) if "learner" in fields else None,
        )

    def _event(self, node: Node, door: Door, places: ScorePlaces) -> EventRule:
        fields = self._fields(node, "An event", (*KINDS, *BESIDE_AN_EVENT))
        kinds = [name for name in fields if name in KINDS]
        if len(kinds) != 1:
            self._fail(node, f"An event is of one kind: one of {', '.join(KINDS)}.")
        kind = kinds[0]
        known = [*KINDS[kind].__struct_fields__, *([DONE] if kind == "completion" else [])]
        data = self._fields(fields[kind], f"A {kind} event", known) if _is_given(fields[kind]) else {}
        each = None
        if "each" in fields:
            each = self._path(fields["each"])
        return EventRule(
            event_type=kind,
            fields=tuple([(name, self._source(source)) for name, source in data.items()]),
            score=self._score(fields, door, places),
            each=each,
        )

    def _score(self, around: Fields, door: Door, places: ScorePlaces | None) -> ScorePlaces:
        """Where a score stands: as ``score`` says, else as around it, else as the door has it."""
        given = self._fields(around["score"], "A score", SCORE_PARTS) if "score" in around else None
        begins = self._scaled_from(around.get("scaled_from"), places)
        if given is not None:
            raw, least, most, scaled, success = [
                self._source(given[part]) if part in given else constant(None) for part in SCORE_PARTS
            ]
        elif places is not None:
            return places
        else:
            raw, least, most, scaled, success = [_sources(door.score[part]) for part in SCORE_PARTS]
        return ScorePlaces(raw, least, most, scaled, success, begins)

    def _scaled_from(self, node: Node | None, places: ScorePlaces | None) -> float:
        if node is None:
            return 0.0 if places is None else places.scaled_from
        text = self._text(node)
        if text not in ("0", "-1"):
            self._fail(node, "scaled_from is what a scaled score begins at: 0 or -1.")
        return float(text)

    def _conditions(self, node: Node, door: Door) -> tuple[list[Condition], frozenset[str] | None]:
        """The conditions of ``when``, and the kinds of messages that they name, if they do."""
        conditions: list[Condition] = []
        kinds: frozenset[str] | None = None
        for key, wanted in self._fields(node, "when", None).items():
            path = self._named_path(node, door.short.get(key, key))
            if isinstance(wanted, yaml.MappingNode):
                conditions.append(self._condition(wanted, path))
            elif path == door.kind:
                kinds = frozenset(self._texts(wanted))
            else:
                conditions.append(is_one_of(path, frozenset(self._values(wanted))))
        return conditions, kinds

    def _condition(self, node: Node, path: Path) -> Condition:
        fields = self._fields(node, "A condition", ("present", "begins"))
        if len(fields) != 1:
            self._fail(node, "A condition is one of present: true, present: false and begins: TEXT.")
        if "begins" in fields:
            return begins_with(path, self._text(fields["begins"]))
        (wanted,) = self._values(fields["present"])
        if not isinstance(wanted, bool):
            self._fail(fields["present"], "present is true or false.")
        return is_present(path, wanted=wanted)

    def _source(self, node: Node) -> Source:
        if isinstance(node, yaml.ScalarNode):
            return at_path(self._path(node))
        if isinstance(node, yaml.SequenceNode):
            if not node.value:
                self._fail(node, "A list of places has at least one.")
            return first_of([self._source(entry) for entry in node.value])
        fields = self._fields(node, "A place", IN_A_SOURCE)
        ways = [name for name in ("path", "join", "value") if name in fields]
        if len(ways) != 1:
            self._fail(node, "A place has one of path, join and value.")
        for name in ("where", "then", "all"):
            if name in fields and ways != ["path"]:
                self._fail(fields[name], f"{name} goes with path.")
        source = _MAKERS[ways[0]](self, fields)
        return matched(source, self._pattern(fields["pattern"])) if "pattern" in fields else source

    def _at_path(self, fields: Fields) -> Source:
        path = self._path(fields["path"])
        takes_all = "all" in fields and self._flag(fields["all"])
        if "where" not in fields and "then" not in fields and not takes_all:
            return at_path(path)
        conditions = self._where(fields["where"]) if "where" in fields else []
        then = self._path(fields["then"]) if "then" in fields else ()
        return entry_where(path, conditions, then, all_of_them=takes_all)

    def _where(self, node: Node) -> list[Condition]:
        conditions = []
        for key, wanted in self._fields(node, "where", None).items():
            path = self._named_path(node, key)
            if isinstance(wanted, yaml.MappingNode):
                conditions.append(self._condition(wanted, path))
            else:
                conditions.append(is_one_of(path, frozenset(self._values(wanted))))
        return conditions

    def _joined(self, fields: Fields) -> Source:
        between = self._text(fields["between"], may_be_empty=True) if "between" in fields else ""
        return joined([self._source(entry) for entry in self._entries(fields["join"], "join")], between)

    def _constant(self, fields: Fields) -> Source:
        (value,) = self._values(fields["value"])
        return constant(value)

    def _pattern(self, node: Node) -> re.Pattern[str]:
        try:
            pattern = re.compile(self._text(node))
        except (re.error, OverflowError, RecursionError) as error:
            self._fail(node, f"The pattern is no regular expression: {error}.")
        if pattern.groups > 1:
            self._fail(node, "A pattern has one group at most, which is what counts; write others as (?:…).")
        return pattern

    def _path(self, node: Node) -> Path:
        return self._named_path(node, self._text(node))

    def _named_path(self, node: Node, text: str) -> Path:
        path = path_of(text)
        if path is None:
            self._fail(node, f"{text!r} is no path: names with dots between them; one that holds dots stands in [ ].")
        return path

    def _flag(self, node: Node) -> bool:
        (flag,) = self._values(node)
        if not isinstance(flag, bool):
            self._fail(node, "true or false is expected here.")
        return flag

    def _texts(self, node: Node) -> list[str]:
        return [self._text(entry) for entry in (node.value if isinstance(node, yaml.SequenceNode) else [node])]

    def _values(self, node: Node) -> list[Any]:
        """A text, number or boolean, or a list of them."""
        entries = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = []
        for entry in entries:
            if not isinstance(entry, yaml.ScalarNode):
                self._fail(entry, "A text, a number, true or false is expected here.")
            try:
                values.append(yaml.constructor.SafeConstructor().construct_document(entry))
            except (yaml.YAMLError, ValueError):
                self._fail(entry, f"{entry.value[:100]!r} is no text, number, true or false.")
        return values

    def _text(self, node: Node, *, may_be_empty: bool = False) -> str:
        if not isinstance(node, yaml.ScalarNode) or (not may_be_empty and not node.value.strip()):
            self._fail(node, "A text is expected here.")
        return str(node.value) if may_be_empty else str(node.value).strip()

    def _entries(self, node: Node, what: str) -> Sequence[Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} is a list: begin each entry with a dash.")
        entries: Sequence[Node] = node.value
        return entries

    def _fields(self, node: Node, what: str, known: Sequence[str] | None) -> dict[str, Node]:
        """The named parts of a mapping, of which each is known and given once."""
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} has named parts: name, colon, content.")
        fields: dict[str, Node] = {}
        for key, content in node.value:
            name = self._text(key)
            if known is not None and name not in known:
                self._fail(key, f"{what} has no {name!r}; it may have {', '.join(known)}.")
            if name in fields:
                self._fail(key, f"{name!r} is given twice.")
            fields[name] = content
        return fields

    def _fail(self, node: Node, message: str) -> NoReturn:
        raise InvalidInput(f"{self._file}, line {node.start_mark.line + 1}: {message}")


_MAKERS: Mapping[str, Callable[[_Reader, Fields], Source]] = {
    "path": _Reader._at_path,
    "join": _Reader._joined,
    "value": _Reader._constant,
}


def _sources(paths: Sequence[str]) -> Source:
    """The first of a door's own places that has something."""
    return first_of([at_path(tuple(path.split("."))) for path in paths]) if paths else constant(None)


def _all(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    return lambda message: all(condition(message) for condition in conditions)


def _is_given(node: Node) -> bool:
    """Whether anything stands after a kind: a kind alone has no data of its own."""
    return not (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null")
