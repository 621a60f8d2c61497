"""Baking: a credential inside a picture, and taken out again (Open Badges 3.0, section 5.3).

A PNG holds it in an ``iTXt`` chunk, an SVG in an element: a signed JSON document as its text, a token as an attribute.
"""

import zlib
from collections.abc import Iterator
from struct import pack, unpack
from xml.parsers.expat import ExpatError, ParserCreate  # nosec B407
from xml.sax.saxutils import quoteattr  # nosec B406

from mastery_engine.errors import InvalidInput

KEYWORD = b"openbadgecredential"
PNG = b"\x89PNG\r\n\x1a\n"
SPACE, ELEMENT = "https://purl.imsglobal.org/ob/v3p0", "credential"
MOST_BYTES = 256 * 1024  # of a credential
LARGEST_PICTURE = 8 * 1024 * 1024


class NothingBaked(InvalidInput):
    """The picture holds no credential, or cannot be read."""


def bake_png(picture: bytes, credential: str) -> bytes:
    """The PNG with a credential before its end, in place of one that it has."""
    text = KEYWORD + b"\0\0\0\0\0" + credential.encode()  # not packed; no language, no translated keyword
    chunks = [
        (kind, data) for kind, data in _chunks(picture) if kind != b"iTXt" or not data.startswith(KEYWORD + b"\0")
    ]
    chunks.insert(len(chunks) - 1, (b"iTXt", text))
    return PNG + b"".join(chunk(kind, data) for kind, data in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


def bake_svg(picture: str, credential: str) -> str:
    """The SVG with a credential at the beginning of its content."""
    head, tag, rest = picture.partition("<svg ")
    attributes, end, content = rest.partition(">")
    if credential.lstrip().startswith("{"):
        inside = credential.replace("]]>", "]]]]><![CDATA[>")
        element = f"<openbadges:{ELEMENT}><![CDATA[{inside}]]></openbadges:{ELEMENT}>"
    else:
        element = f"<openbadges:{ELEMENT} verify={quoteattr(credential)}></openbadges:{ELEMENT}>"
    return f'{head}{tag}xmlns:openbadges="{SPACE}" {attributes}{end}{element}{content}'


def is_picture(document: bytes) -> bool:
    return document.startswith(PNG) or document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def taken_out(picture: bytes) -> str:
    """The credential of a picture: a JSON document, or a token. Raises NothingBaked."""
    if len(picture) > LARGEST_PICTURE:
        raise NothingBaked(f"The picture has more than {LARGEST_PICTURE:,} bytes.")
    found = _of_png(picture) if picture.startswith(PNG) else _of_svg(picture)
    if found is None or not found.strip():
        raise NothingBaked("The picture holds no credential of Open Badges 3.0.")
    return found.strip()


def _of_png(picture: bytes) -> str | None:
    for kind, data in _chunks(picture):
        keyword, _, rest = data.partition(b"\0")
        if kind != b"iTXt" or keyword != KEYWORD or len(rest) < 2:
            continue
        packed, (_, _, translated) = rest[0], rest[2:].partition(b"\0")
        text = translated.partition(b"\0")[2]
        if packed:
            unpacker = zlib.decompressobj()
            try:
                text = unpacker.decompress(text, MOST_BYTES)
            except zlib.error as error:
                raise NothingBaked("The credential in the picture cannot be unpacked.") from error
            if not unpacker.eof:
                raise NothingBaked("The credential in the picture is too large.")
        return _decoded(text)
    return None


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at + 12 <= len(picture):
        (length,) = unpack(">I", picture[at : at + 4])
        kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        checksum = picture[at + 8 + length : at + 12 + length]
        if checksum != pack(">I", zlib.crc32(kind + data)):
            raise NothingBaked("The picture is no whole PNG.")
        yield kind, data
        at += 12 + length


def _of_svg(picture: bytes) -> str | None:
    found: list[str] = []
    inside: list[bool] = []
    parser = ParserCreate(namespace_separator=" ")

    def refuse(*_: object) -> None:
        raise NothingBaked("The picture declares entities, which no badge needs.")

    def start(name: str, attributes: dict[str, str]) -> None:
        is_credential = name == f"{SPACE} {ELEMENT}"
        inside.append(is_credential)
        if is_credential and "verify" in attributes:
            found.append(attributes["verify"])

    def text(part: str) -> None:
        if inside and inside[-1]:
            found.append(part)

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: inside.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(picture, True)
    except (ExpatError, ValueError) as error:
        raise NothingBaked("The picture is no whole SVG.") from error
    return "".join(found) or None


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise NothingBaked("The credential in the picture is not written in UTF-8.") from error
