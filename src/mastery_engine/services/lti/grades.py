"""Scores for a platform's gradebook (Assignment and Grade Services 2.0): one call each, for whoever queues them."""

from collections.abc import Mapping

from mastery_engine.domain.moments import Micros
from mastery_engine.lti.contexts import ContextRecord
from mastery_engine.lti.grades import (
    LINE_ITEM_SCOPE,
    LINE_ITEM_TYPE,
    LINE_ITEMS_TYPE,
    SCORE_SCOPE,
    SCORE_TYPE,
    TAG,
    line_item_body,
    score_body,
    scores_url,
)
from mastery_engine.lti.messages import with_query
from mastery_engine.lti.platforms import LtiPlatform, origin_of
from mastery_engine.services.lti.calls import PlatformCalls, PlatformFault, json_in


class GradeCalls:
    """Sends scores, and makes a line item where a class has none. ``LtiPlatforms.find`` gives the platform."""

    def __init__(self, calls: PlatformCalls) -> None:
        self._calls = calls

    async def send_score(
        self, platform: LtiPlatform, line_item: str, sub: str, per_cent: int, timestamp: str, now: Micros
    ) -> None:
        """Send one score; a repeat of the same changes nothing there, and an older ``timestamp`` is refused there.

        ``timestamp`` is RFC 3339 with a fraction of a second, and rises for a person. Raises PlatformFault, whose
        ``status`` is the platform's answer (404 and 403: the column or the person is gone; 409: a newer score is
        there), and Unavailable.
        """
        await self._calls.call(
            platform,
            [SCORE_SCOPE],
            "POST",
            scores_url(line_item),
            now,
            body=score_body(sub, per_cent, timestamp),
            content_type=SCORE_TYPE,
        )

    async def made_line_item(self, platform: LtiPlatform, context: ContextRecord, now: Micros) -> str | None:
        """The column of our own in a context's gradebook, made where it is not there yet; None if that is not allowed.

        Raises PlatformFault and Unavailable.
        """
        url = context.line_items_url
        if url is None or LINE_ITEM_SCOPE not in context.scopes:
            return None
        found = await self._calls.call(
            platform, [LINE_ITEM_SCOPE], "GET", with_query(url, {"tag": TAG}), now, accept=LINE_ITEMS_TYPE
        )
        listed = json_in(found)
        for row in listed if isinstance(listed, list) else []:
            if isinstance(row, Mapping) and row.get("tag") == TAG:
                return _own(row.get("id"), url)
        made = await self._calls.call(
            platform,
            [LINE_ITEM_SCOPE],
            "POST",
            url,
            now,
            accept=LINE_ITEM_TYPE,
            body=line_item_body("Mastery"),
            content_type=LINE_ITEM_TYPE,
        )
        row = json_in(made)
        return _own(row.get("id") if isinstance(row, Mapping) else None, url)


def _own(line_item: object, url: str) -> str:
    """The address of a line item, which is at the server of the list: scores go there with a token."""
    if not isinstance(line_item, str) or len(line_item) > 2_000 or origin_of(line_item) != origin_of(url):
        raise PlatformFault("The platform's line item has no address of its own server.")
    return line_item
