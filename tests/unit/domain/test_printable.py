"""What a terminal would obey, or nobody would see, is escaped; the rest stays."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.printable import printable


def test_what_can_be_read_stays() -> None:
    for text in ("loops", "größe", "學生 عربي", "", '"\\'):
        assert printable(text) is text


def test_what_cannot_is_escaped_as_in_json() -> None:
    assert printable("a\nb\t\x1b[2J\x7f\x9b\u202e\u200b") == "a\\nb\\t\\u001b[2J\\u007f\\u009b\\u202e\\u200b"
    assert printable("a\nb\x1b", kept="\n") == "a\nb\\u001b"
    assert printable("«a»", escaped="«»") == "\\u00aba\\u00bb"


@given(st.text())
def test_a_json_document_says_the_same(text: str) -> None:
    document = json.dumps({text: text}, ensure_ascii=False)
    assert json.loads(printable(document)) == {text: text}
    assert printable(document).isprintable()
