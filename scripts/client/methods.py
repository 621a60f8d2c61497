"""The methods of both clients: a method for each call, which says what it sends and nothing more."""

from scripts.client.document import BY_PLACE, EVENT, OTHER_BODIES, PAGED
from scripts.client.operations import Operation, calls
from scripts.client.types import annotation, docstring, python_name, row_of


def client_class(*, sync: bool) -> str:
    """A class with a method for each call."""
    name, base = ("SyncCalls", "Sender") if sync else ("AsyncCalls", "AsyncSender")
    wait = "" if sync else " They are awaited."
    parts = [f"class {name}({base}):", docstring(f"A method for each call, named as its operation id.{wait}"), ""]
    for call in calls():
        parts += [method(call, sync=sync), ""]
        if call.pages:
            parts += [pages_method(call, sync=sync), ""]
    return "\n".join(parts).rstrip()


def signature(call: Operation, arguments: list[tuple[str, str, str | None]]) -> str:
    first = [f"{name}: {kind}" for name, kind, default in arguments if default is None]
    rest = {name: f"{name}: {kind} = {default}" for name, kind, default in arguments if default is not None}
    about = [rest.pop(name) for name in [BY_PLACE.get(call.name, "")] if name]
    return ", ".join(["self", *first, *about, *(["*", *rest.values()] if rest else [])])


def method(call: Operation, *, sync: bool) -> str:
    """The method of a call, which says what it sends and nothing more."""
    arguments = call.arguments()
    given = [f"calls.{call.name.upper()}"]
    path = [
        f"str({one['name']})" if annotation(one["schema"]) != "str" else one["name"] for one in call.parameters("path")
    ]
    query = [f'"{one["name"]}": {python_name(one["name"])}' for one in call.query]
    if path:
        given.append(f"path=({', '.join(path)}{',' if len(path) == 1 else ''})")
    if query:
        given.append(f"query={{{', '.join(query)}}}")
    if call.name in OTHER_BODIES:
        given.append(f"body={OTHER_BODIES[call.name][0]}")
    if call.body is not None:
        outside = {one["name"] for one in call.spec.get("parameters", ())} | {"idempotency_key"}
        fields = [one for one, *_ in arguments if one not in outside or call.body == EVENT]
        fields = [one for one in fields if one != "idempotency_key"]
        kind = "LearningEvent" if call.body == EVENT else call.body
        given.append(f"body={kind}({', '.join(f'{one}={one}' for one in fields)})")
    if call.keyed:
        given.append("key=idempotency_key")
    sent = ", ".join(given)
    if call.accept == "text/event-stream":
        kind = "Iterator" if sync else "AsyncIterator"
        head = f"    def {call.name}({signature(call, arguments)}) -> {kind}[StudentMastery]:"
        doc = f"{call.doc}\n\nThe iterator opens the stream again where it ends; close it to end it."
        return "\n".join([head, docstring(doc, depth=2), f"        return self._stream({sent}, of=StudentMastery)"])
    head = f"    {'' if sync else 'async '}def {call.name}({signature(call, arguments)}) -> {call.returns}:"
    more = [f"``iter_{call.name}`` goes through all pages."] if call.pages else []
    doc = "\n\n".join([call.doc, *more])
    return "\n".join([head, docstring(doc, depth=2), f"        return {'' if sync else 'await '}self._call({sent})"])


def pages_method(call: Operation, *, sync: bool) -> str:
    """The method that goes through all pages of a call."""
    arguments = call.arguments()
    kind = "Pages" if sync else "AsyncPages"
    answer = call.pages or ""
    row = row_of(answer)
    first = [name for name, _, default in arguments if default is None]
    rest = [name for name, _, default in arguments if default is not None and name != "cursor"]
    given = ", ".join([*first, *(f"{name}={name}" for name in rest), "cursor=cursor"])
    doc = f"The ``{PAGED[answer]}`` of ``{call.name}``, from page to page; ``cursor`` is where to start."
    return "\n".join(
        [
            f"    def iter_{call.name}({signature(call, arguments)}) -> {kind}[{row}]:",
            docstring(doc, depth=2),
            f"        def page(cursor: str | None) -> {answer if sync else f'Awaitable[{answer}]'}:",
            f"            return self.{call.name}({given})",
            "",
            f"        return {kind}(page, lambda page: page.{PAGED[answer]}, {row}, cursor)",
        ]
    )
