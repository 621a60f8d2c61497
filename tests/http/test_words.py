"""The languages of the pages: each sentence in the catalogues, in full, and which language a reader gets."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from mastery_engine.http.dashboard.words import LANGUAGES, LOCALES, words_of
from scripts.words import PAGES, sentences
from tests.support.calls import STUDENT, Api, event, make_token, serving

OTHERS = sorted(set(LANGUAGES) - {"en"})
PLURALS = {"es": 3, "ar": 6}
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")
NAMES = {"Mastery Engine", "CSV", "JSON"}
SPOKEN = frozenset(("aria-label", "title", "placeholder", "alt", "data-name", "data-change", "data-ended"))


def messages(language: str) -> Iterator[Message]:
    with (LOCALES / language / "pages.po").open("rb") as written:
        yield from (one for one in read_po(written, locale=language) if one.id)


def key(message: Message) -> tuple[str | None, object]:
    return message.context, message.id


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_and_none_is_left_over(language: str) -> None:
    """``python -m scripts.words`` takes up what is new."""
    found = {key(one): one for one in messages(language)}
    assert set(found) == {key(one) for one in sentences() if one.id}
    for one in found.values():
        assert not one.fuzzy, one.id
        texts = one.string if isinstance(one.string, tuple) else (one.string,)
        assert all(text and text.strip() for text in texts), one.id
        if isinstance(one.id, tuple):
            assert len(texts) == PLURALS[language], one.id


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_what_the_sentence_has(language: str) -> None:
    """A form of a plural may leave its number out, as "a day" does; what stands there must be known."""
    for one in messages(language):
        ids = one.id if isinstance(one.id, tuple) else (one.id,)
        texts = one.string if isinstance(one.string, tuple) else (one.string,)
        known = set().union(*(PLACEHOLDER.findall(text) for text in ids))
        for text in texts:
            told = set(PLACEHOLDER.findall(text))
            assert told <= known, one.id
            assert known - told <= ({"num", "count"} if len(texts) > 1 else set()), one.id
            assert not re.search(r"%(?!\(\w+\)s|%)", text.replace("%%", "")) or not known, one.id


SAME = {
    "Open edX",
    "%(student)s in %(cohort)s",
    "%(time)s ms",
    "Webhook",
    "Webhooks",
    "Webhook %(name)s",
}  # or nearly so


@pytest.mark.parametrize("language", OTHERS)
def test_no_translation_is_the_english_sentence(language: str) -> None:
    for one in messages(language):
        ids = one.id if isinstance(one.id, tuple) else (one.id,)
        texts = one.string if isinstance(one.string, tuple) else (one.string,)
        if set(ids) & SAME or not re.search(r"[a-z]{2}", PLACEHOLDER.sub("", ids[0]).lower()):
            continue
        assert not {text.lower() for text in texts} & {text.lower() for text in ids}, one.id
        if language == "ar":
            for text in texts:
                bare = PLACEHOLDER.sub("", text)
                assert re.search(r"[\u0600-\u06ff]", bare) or not re.search(r"\w", bare), one.id
                assert not re.search(r"[,;?]", bare), (one.id, "Arabic has its own comma, semicolon and question mark")
                assert '"' not in bare, one.id


class Words(HTMLParser):
    """What a reader reads of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def handle_data(self, data: str) -> None:
        self.read.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read += [value for name, value in attrs if name in SPOKEN and value]


@pytest.mark.parametrize("path", sorted(PAGES.rglob("*.html")), ids=lambda path: path.name)
def test_no_sentence_of_a_template_is_outside_the_catalogues(path: Path) -> None:
    """All that stands in a template itself is markup: what is said comes from ``_`` and ``trans``."""
    source = re.sub(r"{% trans .*?{% endtrans %}", "", path.read_text(), flags=re.DOTALL)
    source = re.sub(r"{% block live %}(.*?){% endblock %}", r"<main \1>", source)  # attributes of a tag of the base
    text = "".join(
        part.data if isinstance(part, nodes.TemplateData) else "\0"
        for output in Environment(extensions=["jinja2.ext.i18n"]).parse(source).find_all(nodes.Output)
        for part in output.nodes
    )
    reader = Words()
    reader.feed(text)
    said = {part.strip(" \n\0·:,()/") for whole in reader.read for part in whole.split("\0")}
    assert not {part for part in said if re.search(r"[^\W\d]{2}", part)} - NAMES


def test_plurals_and_numbers_are_those_of_the_language() -> None:
    arabic, spanish = words_of("ar"), words_of("es")
    forms = [
        arabic.ngettext("%(count)s student", "%(count)s students", count) % {"count": count}
        for count in (0, 1, 2, 3, 11, 100)
    ]
    assert forms == ["لا طلاب", "طالب واحد", "طالبان", "3 طلاب", "11 طالبًا", "100 طالب"]
    assert [spanish.ngettext("A quiz", "%(num)s quizzes", number) % {"num": number} for number in (1, 5)] == [
        "Un cuestionario",
        "5 cuestionarios",
    ]
    assert spanish.signed_points(-0.025) == "−2,5"
    assert words_of("en").percent(0.59999) == "59%"
    assert spanish.percent_needed(0.6001).replace("\N{NO-BREAK SPACE}", " ") == "61 %"
    assert (spanish.day("2026-01-14"), words_of("en").day("2026-01-14")) == (
        "miércoles 14 de enero",
        "Wednesday, 14 January",
    )


async def language(
    api: Api, *, cookie: str = "", accept: str = "", path: str = f"/dashboard/students/{STUDENT}"
) -> str:
    token = make_token("student", subject=STUDENT)
    chosen = f"; mastery_language={cookie}" if cookie else ""
    headers = {"Cookie": f"mastery_session={token}{chosen}"} | ({"Accept-Language": accept} if accept else {})
    page = (await api.client.get(path, headers=headers)).text
    lang, direction = re.findall(r'<html lang="(\w+)" dir="(\w+)">', page)[0]
    assert (direction == "rtl") == (lang == "ar")
    return str(lang)


async def test_who_reads_chooses_else_their_profile_else_their_browser_else_the_course(api: Api) -> None:
    await api.learn(event("quiz"))
    assert await language(api) == "en"
    await api.call("PUT", "/courses/default", {"language": "ar-EG"})
    assert await language(api) == "ar"
    assert await language(api, accept="fr-FR, es;q=0.8, en;q=0.3") == "es"
    assert await language(api, accept="xx") == "ar"
    await api.call("PUT", f"/students/{STUDENT}/profile", {"language": "en-GB"})
    assert await language(api, accept="es") == "en"
    assert await language(api, accept="es", cookie="ar") == "ar"
    assert await language(api, cookie="<x>", accept="es") == "en"


@pytest.mark.parametrize(
    ("back", "led_to"),
    [
        ("/dashboard/compare?student=a", "/dashboard/compare?student=a"),
        ("/badges/default.abc", "/badges/default.abc"),
        ("//evil.test", "/dashboard"),
        ("/dashboards", "/dashboard"),
        ("/docs", "/dashboard"),
        ("", "/dashboard"),
    ],
)
async def test_a_choice_of_language_stays_and_leads_back(api: Api, back: str, led_to: str) -> None:
    answer = await api.client.post("/dashboard/language", data={"language": "es", "back": back})
    assert (answer.status_code, answer.headers["location"]) == (303, led_to)
    in_frames, plain = answer.headers.get_list("set-cookie")
    assert in_frames.startswith("mastery_language=es; Path=/; HttpOnly; Max-Age=")
    assert in_frames.endswith("SameSite=None; Secure; Partitioned")
    assert plain.startswith("mastery_language_plain=es; Path=/;"), "where nothing is encrypted, as in development"
    api.client.cookies.clear()
    refused = await api.client.post("/dashboard/language", data={"language": "tlh"})
    assert "set-cookie" not in refused.headers


async def test_every_page_is_in_the_language_that_was_chosen(tmp_path: Path) -> None:
    headers = {"Cookie": "mastery_language=ar", "Accept-Language": "es", "Accept": "text/html,*/*;q=0.8"}
    async with serving(tmp_path, public_url="https://school.example") as api:
        for path in ("/badges/default.abc", "/dashboard/nothing", "/nothing", "/lti/launch"):
            answer = await api.client.get(path, headers=headers)
            assert answer.status_code in (403, 404), path
            assert '<html lang="ar" dir="rtl">' in answer.text, path
            assert answer.headers["vary"].endswith("Accept-Language, Cookie"), path


def test_a_name_that_runs_the_other_way_turns_no_sentence() -> None:
    """What is written in the other direction is isolated (Unicode, UAX 9); the rest is left as it is."""
    arabic, english = words_of("ar"), words_of("en")
    sentence = "Stuck on “%(topic)s”"
    assert arabic.gettext(sentence) % {"topic": "Loops (for)"} == "متعثر في «\u2068Loops (for)\u2069»"
    assert arabic.gettext(sentence) % {"topic": "الحلقات"} == "متعثر في «الحلقات»"
    assert english.gettext(sentence) % {"topic": "الحلقات"} == "Stuck on “\u2068الحلقات\u2069”"
    assert english.gettext(sentence) % {"topic": "Loops"} == "Stuck on “Loops”"


async def test_a_refusal_is_said_in_the_language_of_the_reader(api: Api) -> None:
    headers = {"Cookie": f"mastery_session={make_token('teacher')}", "Accept-Language": "es"}
    page = (await api.client.get("/dashboard", headers=headers)).text
    assert "No te corresponde ver esto." in page
    assert "Esta clave no nombra a ningún estudiante" in page
