"""Assignment and Grade Services 2.0: addresses and bodies of scores and line items."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
LINE_ITEM_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"
LINE_ITEM_TYPE = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEMS_TYPE = "application/vnd.ims.lis.v2.lineitemcontainer+json"
MOST = 100  # points of each of our scores
TAG = "mastery"


def scores_url(line_item: str) -> str:
    """Where scores of a line item are sent: its address may have a query, which stays (AGS 2.0, 3.3)."""
    parts = urlsplit(line_item)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/scores", parts.query, ""))


def score_body(sub: str, per_cent: int, timestamp: str) -> dict[str, Any]:
    """A score for a gradebook. ``timestamp`` (RFC 3339, with a fraction of a second) rises with each for a person."""
    return {
        "userId": sub,
        "scoreGiven": per_cent,
        "scoreMaximum": MOST,
        "timestamp": timestamp,
        "activityProgress": "InProgress",
        "gradingProgress": "FullyGraded",
    }


def may_score(scopes: Sequence[str]) -> bool:
    """Whether a platform lets this tool send scores."""
    return SCORE_SCOPE in scopes


def line_item_body(title: str) -> dict[str, Any]:
    """A line item of our own, for a class in which no launched link has one."""
    return {"label": title, "scoreMaximum": MOST, "tag": TAG, "resourceId": TAG}
