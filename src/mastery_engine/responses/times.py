"""Days and moments as they are sent: text, of which the schema says how it is written."""

from typing import Annotated, TypeAlias

from msgspec import Meta

DateText: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date"})]
MomentText: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
