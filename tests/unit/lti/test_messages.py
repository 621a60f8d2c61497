"""What messages of platforms mean, where a whole launch would say it slowly."""

import pytest

from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort, Teacher
from mastery_engine.errors import InvalidInput
from mastery_engine.lti.claims import is_ours
from mastery_engine.lti.grades import scores_url
from mastery_engine.lti.memberships import class_after, members_in, next_page
from mastery_engine.lti.platforms import checked_url, origin_of
from mastery_engine.lti.roles import member_role, role_of

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ([], "learner"),
        ([f"{MEMBERSHIP}#Learner"], "learner"),
        ([f"{MEMBERSHIP}#Mentor"], "learner"),
        ([f"{INSTITUTION}Instructor", f"{MEMBERSHIP}#Learner"], "learner"),  # a teacher who takes a course
        (["Learner"], "learner"),
        (["Instructor"], "instructor"),
        ([f"{MEMBERSHIP}#Instructor", f"{MEMBERSHIP}#Learner"], "instructor"),
        ([f"{MEMBERSHIP}/Instructor#TeachingAssistant"], "instructor"),
        ([f"{MEMBERSHIP}/Learner#Instructor"], "learner"),
        ([f"{MEMBERSHIP}#Administrator"], "instructor"),
        ([f"{SYSTEM}Administrator"], "instructor"),
        ([f"{SYSTEM}SysAdmin"], "instructor"),
        ([f"{INSTITUTION}Administrator"], "instructor"),
        (["https://evil.example/membership#Instructor"], "learner"),
    ],
)
def test_the_context_decides_what_a_role_is(roles: list[str], role: str) -> None:
    assert role_of(roles) == role


def test_members_learn_or_teach_or_are_nobody() -> None:
    assert member_role([f"{MEMBERSHIP}#Learner"]) == "learner"
    assert member_role([f"{MEMBERSHIP}/Instructor#TeachingAssistant"]) == "instructor"
    assert member_role([f"{MEMBERSHIP}#Mentor"]) is None
    assert member_role([f"{SYSTEM}Administrator"]) is None
    rows = [{"user_id": "1"}, {"user_id": ""}, {"user_id": 3}, None, {"user_id": "a\nb"}, {"roles": []}]
    rows += [{"user_id": ".."}, {"user_id": "\u200b"}, {"user_id": "\ud800"}, {"user_id": "x" * 300}]
    found = members_in({"members": rows})
    assert found is not None
    assert [one.sub for one in found] == ["1"]
    assert members_in({"members": {}}) is None
    assert members_in([]) is None


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ('<https://lms.example/m?page=2>; rel="next"', "https://lms.example/m?page=2"),
        ("<https://lms.example/m?page=2>; rel=next", "https://lms.example/m?page=2"),
        ("</m?a=1,2>;rel=next", "https://lms.example/m?a=1,2"),
        (
            '<https://lms.example/d>; rel="differences", <?p=3>; title="a, b"; rel="last next"',
            "https://lms.example/m?p=3",
        ),
        ('<https://lms.example/d>; rel="differences"', None),
        ('<https://evil.example/m?page=2>; rel="next"', None),  # a token goes along
        ('<http://lms.example/m?page=2>; rel="next"', None),
        ("", None),
        ("<", None),
    ],
)
def test_the_next_page_is_the_servers_own(link: str, found: str | None) -> None:
    assert next_page(link, "https://lms.example/m") == found


def test_a_roster_changes_those_whom_it_brought() -> None:
    before = Cohort("Class", put=("a", "b", "hand"), out=("c", "z"), teachers=(Teacher("t", ("t",)),))
    after = class_after(before, ["a", "c"], [Teacher("u", ("u",))], ["b", "t", "joined"], ["joined", "else"])
    assert (after.put, after.out) == (("a", "c", "hand"), ("b", "joined", "z"))
    assert [one.student_id for one in after.teachers] == ["u"]
    assert class_after(after, ["a", "c"], [Teacher("u", ("u",))], [], []) == after
    assert class_after(NO_COHORT, [], [], ["nobody"], []) == NO_COHORT


def test_origins_are_those_of_browsers() -> None:
    assert origin_of("https://LMS.example:443/a?b#c") == "https://lms.example"
    assert origin_of("http://127.0.0.1:8080/x") == "http://127.0.0.1:8080"
    for other in (
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "https://*.example",
        "https://x;y/",
        "http://[::1",
        "",
    ):
        assert origin_of(other) is None, other
    assert is_ours("https://m.example/lti/launch", "https://m.example")
    for other in ("https://m.example.evil/lti", "https://m.example:444/", "https://evil@m.evil/", "http://m.example/"):
        assert not is_ours(other, "https://m.example"), other


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "https://user:pw@a.example/", "https://a.example/#x", "https://a. b/"]
)
def test_an_address_of_a_platform_is_a_plain_one(url: str) -> None:
    with pytest.raises(InvalidInput, match="auth_url"):
        checked_url(url, "auth_url")


def test_scores_go_below_a_line_item_whose_query_stays() -> None:
    assert scores_url("https://lms.example/items/1/lineitem?type_id=1") == (
        "https://lms.example/items/1/lineitem/scores?type_id=1"
    )
    assert scores_url("https://lms.example/items/1/") == "https://lms.example/items/1/scores"
