"""Links of derived ids: how they are stored, and what a moment of receipt decides."""

import msgspec

from mastery_engine.domain.people.link import Link, link_at, merged_links, pack_links, unpack_links
from mastery_engine.domain.student import StudentKey
from tests.support.samples import HOUR, NOW

DERIVED = StudentKey("default", "x-abc")
ADA, BOB = Link(NOW, "ada"), Link(NOW + HOUR, "bob")


def test_a_link_has_the_time_at_which_the_log_took_it() -> None:
    assert unpack_links(pack_links(DERIVED, (), "ada"), NOW) == (DERIVED, (ADA,))
    assert unpack_links(pack_links(DERIVED, (ADA,), "bob"), NOW + HOUR) == (DERIVED, (ADA, BOB))
    assert unpack_links(pack_links(DERIVED, (ADA, BOB)), NOW + 9 * HOUR) == (DERIVED, (ADA, BOB))


def test_a_coarse_clock_puts_no_link_before_what_it_came_after() -> None:
    assert unpack_links(pack_links(DERIVED, (ADA,), "bob"), NOW) == (DERIVED, (ADA, Link(NOW + 1, "bob")))
    after = unpack_links(pack_links(DERIVED, (), "ada", NOW + 5), NOW)
    assert after == (DERIVED, (Link(NOW + 6, "ada"),))


def test_links_that_are_gone_name_nobody() -> None:
    packed = pack_links(DERIVED, ())
    assert unpack_links(packed, NOW) is None
    assert b"abc" not in packed


def test_a_later_engine_may_say_more_of_a_link() -> None:
    more = msgspec.json.encode(["default", "x-abc", [[NOW, "ada", "why"]], None, 0, "more"])
    assert unpack_links(more, NOW) == (DERIVED, (ADA,))


def test_links_read_in_any_order_are_the_same() -> None:
    assert merged_links((BOB,), (ADA,)) == merged_links((ADA, BOB), (ADA,)) == (ADA, BOB)


def test_the_first_link_takes_what_came_before_it_and_a_later_one_what_comes_after() -> None:
    links = (ADA, BOB)
    assert [link_at(links, NOW + ahead) for ahead in (-HOUR, 0, 1, HOUR, 2 * HOUR)] == [ADA, ADA, ADA, BOB, BOB]
