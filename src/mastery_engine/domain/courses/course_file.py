"""Reading a course from YAML, as ``course put`` takes it: an error names the line."""

import re
from typing import Any

import msgspec
import yaml

from mastery_engine.domain.courses.course import NO_COURSE, CourseChange, Outline
from mastery_engine.domain.courses.curriculum import Node, curriculum_at
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.yaml_faults import not_yaml
from mastery_engine.errors import InvalidInput

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def course_change_from(source: bytes) -> CourseChange:
    """The change in a YAML document (JSON is YAML too). Raises InvalidInput, which names the line."""
    root = _root(source)
    _check_once(root, set())
    curricula = [pair for pair in root.value if pair[0].value == "curriculum"]
    root.value = [pair for pair in root.value if pair[0].value != "curriculum"]
    outline = Outline(curriculum_at(curricula[0][1]).modules) if curricula else msgspec.UNSET
    try:
        change = msgspec.convert(_plain(root), CourseChange)
    except yaml.YAMLError as error:
        raise InvalidInput(not_yaml(error, source)) from error
    except (msgspec.ValidationError, ValueError) as error:
        fault = malformed(error, kind=CourseChange)
        raise at_line(root, fault) from error
    try:
        NO_COURSE.changed(change)
    except InvalidInput as error:
        raise at_line(root, error) from error
    return msgspec.structs.replace(change, curriculum=outline)


def _root(source: bytes) -> yaml.MappingNode:
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(not_yaml(error, source)) from error
    if not isinstance(root, yaml.MappingNode):
        known = ", ".join(CourseChange.__struct_fields__)
        raise InvalidInput(f"line 1: A course is expected here, with any of the fields {known}.")
    return root


def _check_once(node: Node, checked: set[int]) -> None:
    """Raises InvalidInput where an object gives a field twice. What is ``checked`` (aliases repeat it) is passed by."""
    if isinstance(node, yaml.ScalarNode) or id(node) in checked:
        return
    checked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _check_once(entry, checked)
        return
    given: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in given:
            raise InvalidInput(f"line {key.start_mark.line + 1}: The field {name!r} is given twice.")
        given.add(name)
        _check_once(value, checked)


def _plain(root: Node) -> Any:
    constructor = yaml.constructor.SafeConstructor()
    return constructor.construct_document(root)


def at_line_of(source: bytes, fault: InvalidInput) -> InvalidInput:
    """A fault that was found later, with the line of a document that ``course_change_from`` has read."""
    return at_line(_root(source), fault)


def at_line(root: Node, fault: InvalidInput) -> InvalidInput:
    """The fault with the line of the field that it names, or of the nearest one around it."""
    node = root
    for name, place in _STEP.findall(fault.field or ""):
        inner = _entry(node, int(place)) if place else _value(node, name)
        if inner is None:
            break
        node = inner
    return InvalidInput(f"line {node.start_mark.line + 1}: {fault.message}", field=fault.field)


def _entry(node: Node, place: int) -> Node | None:
    return node.value[place] if isinstance(node, yaml.SequenceNode) and place < len(node.value) else None


def _value(node: Node, name: str) -> Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)
