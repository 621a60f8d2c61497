"""How statements are shown: in one language, and by ids alone."""

import pytest

from mastery_engine.lrs.formats import canonical, ids_alone, in_one_language, merged_definition, preferred_languages
from tests.support.statements import account, small, whole, within

BOTH = {"en-US": "loops", "de": "Schleifen"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("de, en;q=0.5", ["de", "en"]),
        ("en;q=0.5, DE-at;q=0.9, fr;q=0", ["de-at", "en"]),
        ("en;q=x, de", ["de"]),
        ("", []),
        (",;,", []),
    ],
)
def test_languages_are_preferred_by_their_weights(accept: str, wanted: list[str]) -> None:
    assert preferred_languages(accept) == wanted


def test_a_map_is_shown_in_the_language_that_fits_best() -> None:
    assert in_one_language(BOTH, ["de"]) == {"de": "Schleifen"}
    assert in_one_language(BOTH, ["fr", "de-at"]) == {"de": "Schleifen"}
    assert in_one_language(BOTH, ["en-gb"]) == {"en-US": "loops"}
    assert in_one_language(BOTH, ["fr"]) == {"en-US": "loops"}
    assert in_one_language({}, ["de"]) == {}


def test_canonical_has_each_map_in_one_language() -> None:
    shown = canonical(whole(), ["de"])
    assert shown["verb"]["display"] == {"de": "beantwortete"}
    definition = shown["object"]["definition"]
    assert (definition["name"], definition["description"]) == ({"de": "Schleifen"}, {"en": "Which loop?"})
    assert definition["choices"] == [{"id": "a", "description": {"de": "für"}}, {"id": "b"}]
    assert shown["actor"] == whole()["actor"]
    assert canonical(within(whole()), ["de"])["object"]["verb"]["display"] == {"de": "beantwortete"}
    parent = {"id": "https://a.example", "definition": {"name": BOTH}}
    related = canonical(small(context={"contextActivities": {"parent": parent}}), ["de"])
    assert related["context"]["contextActivities"]["parent"][0]["definition"]["name"] == {"de": "Schleifen"}


def test_ids_alone_tell_people_activities_and_verbs_apart_and_no_more() -> None:
    shown = ids_alone(whole())
    assert shown["verb"] == {"id": whole()["verb"]["id"]}
    assert shown["object"] == {"id": whole()["object"]["id"]}
    assert shown["actor"] == {"objectType": "Group", "member": whole()["actor"]["member"]}
    assert shown["context"]["contextActivities"]["grouping"] == [{"id": "https://lms.example/course/1"}]
    assert shown["context"]["team"] == whole()["context"]["team"]
    assert ids_alone(within(whole()))["object"]["object"] == {"id": whole()["object"]["id"]}
    named = small(actor={**account(), "name": "Ada"}, object={**account("bob"), "name": "Bob"})
    assert ids_alone(named) == small(actor=account(), object=account("bob"))


def test_a_definition_has_what_two_statements_say() -> None:
    older = {"name": {"en": "old", "de": "alt"}, "type": "https://a.example"}
    assert merged_definition(older, {"name": {"en": "new"}, "moreInfo": "https://b.example"}) == {
        "name": {"en": "new", "de": "alt"},
        "type": "https://a.example",
        "moreInfo": "https://b.example",
    }
