"""Who is in a statement, and the statement without them."""

from typing import Any

from mastery_engine.doors.xapi.agents import identity_of
from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.people import actors_of, agent_key, others_of, with_people
from tests.support.statements import account, small, whole, within


def names(agents: Any) -> list[str | None]:
    return [agent.get("account", {}).get("name") for agent in agents if identity_of(agent) is not None]


def without(statement: Any, name: str) -> Any:
    def change(agent: Object) -> Object | None:
        return None if agent.get("account", {}).get("name") == name else agent

    return with_people(statement, change)


def test_who_acts_and_who_else_is_named() -> None:
    assert names(actors_of(whole())) == ["ada", None]
    assert names(others_of(whole())) == [None, None, "eve", "kim"]
    assert names(actors_of(within(whole()))) == ["eve"]
    assert names(others_of(within(whole()))) == ["ada", None, None, None, "eve", "kim"]
    assert names(actors_of(small(object=account("bob")))) == ["ada", "bob"]


def test_people_are_told_apart_by_their_identifiers() -> None:
    keys = {agent_key(account()), agent_key(account("bob")), agent_key({"mbox": "mailto:ada@b.example"})}
    assert len(keys | {agent_key({"openid": "mailto:ada@b.example"})}) == 4
    assert agent_key({"mbox_sha1sum": "AB" * 20}) == agent_key({"mbox_sha1sum": "ab" * 20})
    assert agent_key({"objectType": "Group", "member": []}) is None


def test_a_statement_is_nothing_without_its_actor_or_its_object() -> None:
    assert without(small(), "ada") is None
    assert without(small(object=account("bob")), "bob") is None
    assert without(within(small("bob")), "bob") is None
    assert without(small(), "bob") == small()


def test_from_a_group_and_a_context_one_person_goes_and_the_others_stay() -> None:
    assert without(whole(), "ada") == {
        **whole(),
        "actor": {**whole()["actor"], "member": [whole()["actor"]["member"][1]]},
    }
    context = whole()["context"]
    assert without(whole(), "eve") == {**whole(), "context": {**context, "contextAgents": []}}
    assert without(whole(), "kim") == {**whole(), "context": {**context, "contextGroups": []}}
    alone = small(context={"instructor": account("eve"), "team": {"objectType": "Group", "member": [account("kim")]}})
    assert without(alone, "eve") == small(context={"team": alone["context"]["team"]})
    assert without(alone, "kim") == small(context={"instructor": alone["context"]["instructor"]})
    inner = without(within(whole()), "ada")
    assert inner["object"]["actor"]["member"] == [whole()["actor"]["member"][1]]
    class_of = {"objectType": "Group", **account("class"), "member": [account("ada")]}
    class_of["objectType"] = "Group"
    assert without(small(actor=class_of), "ada") == small(actor={**class_of, "member": []})


def test_facets_are_of_one_tenant_and_hold_no_names() -> None:
    facets = Facets("default").of_statement(whole())
    assert not facets & Facets("school-1").of_statement(whole())
    assert {len(facet) for facet in facets} == {16}
    assert Facets("default").of("verb", whole()["verb"]["id"]) in facets
    assert Facets("default").of("agent", agent_key(account("ada")) or "") in facets
    assert Facets("default").of("agent", agent_key(account("eve")) or "") not in facets
    assert Facets("default").of("related agent", agent_key(account("eve")) or "") in facets
    assert Facets("default").of("related agent", agent_key(account("sender")) or "") in facets
    assert Facets("default").of("related activity", "https://lms.example/course/1") in facets
    assert Facets("default").of("registration", whole()["context"]["registration"]) in facets
    inner = Facets("default").of_statement(within(whole()))
    assert Facets("default").of("related activity", whole()["object"]["id"]) in inner
