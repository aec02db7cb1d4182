"""Texts for people use the glossary's words: the admin's sentences, both languages, and the documents.

``python -m tests.test_words`` lists every banned word with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import polib
import pytest

from registry import faults
from tests.admin.visible import texts

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "locale" / "id" / "LC_MESSAGES" / "django.po"
#: The faults up to this one have the texts of MANTRA 1.99x, which callers compare.
LAST_LEGACY_FAULT = 10018
DOCUMENTS = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# fmt: off
#: Banned in English: a regular expression for whole words → what to write.
ENGLISH = {
    r"told": "said, stated, reported",
    r"asked": "requested, called, sent to",
    r"faces?": "protocol, protocol handler",
    r"books?": "registry",
    r"pictures?": "snapshot (of the registry), image",
    r"doors?": "outbound HTTP client, entry point",
    r"keepers?": "administrator, operator, the team that runs it",
    r"leave": "grant; keep empty; stay",
    r"(?:turned|turns|turn) away": "refused",
    r"let in": "admitted",
    r"parted by": "separated by",
    r"stand(?:s|ing)? in": "is served instead",
    r"for ever": "never expires; without end",
    r"let go of": "released",
    r"whose": "name the owner",
    r"inside": "in, within",
    r"described": "has a description, explained",
    r"moody": "scripted",
    r"whoever|somebody": "name the actor",
    r"so many|a while": "a number with its unit",
    r"(?:row|time|size|connect|read) caps?": "row limit, timeout, size limit",
    r"as[- ]is|as it is:|style as it is": "pass-through",
    r"(?:hand|hands|handed|handing) (?:on|back)": "forward, return",
    r"(?:put|puts) aside": "ejected",
    r"(?:is|are|be) left alone": "the circuit is open",
    r"resting|rests": "the circuit is open",
    r"breaker (?:is )?(?:half-)?open": "circuit open, circuit half-open",
    r"try panel|try-it console|console": "try-out",
    r"look(?:s|ed)? inside": "schema browser",
    r"broken off|breaks off|broke off": "aborted",
    r"one on a line": "one per line",
    r"last good answers?": "stale response",
    r"anew": "again",
    r"lately": "recently",
    r"taken over": "imported",
    r"sends? on to": "redirects to",
    r"of this name": "with this name",
    r"handed out": "issued, returned",
    r"calls itself": "is typed as",
    r"came about": "failed, succeeded",
    r"takes? (?:it|them) away": "remove",
    r"is settled": "cannot be changed",
    r"leads? nowhere": "there is nothing at",
    r"may stand in": "allowed in",
    r"i have kept": "I have saved",
}
#: Banned in Indonesian.
INDONESIAN = {
    r"tembolok": "cache",
    r"gladi": "uji banding",
    r"bita|gigabita|megabita": "byte",
    r"md|µd": "ms, µs",
    r"konsep": "draf",
    r"antarmuka": "protokol",
    r"(?<!kata )sandi": "kata sandi",
    r"sambungan(?:nya)?": "koneksi",
    r"keadaan": "status",
    r"jawaban(?:nya)?": "respons",
    r"permintaan akses": "permohonan akses",
    r"pengguna layanan": "aplikasi pemanggil",
    r"sistem sumber": "layanan tujuan",
    r"pengelola bus|operator bus": "administrator server",
    r"surel": "email",
    r"porta(?:-?nya)?": "port",
    r"registri": "data induk",
    r"diistirahatkan|beristirahat": "pemutus sirkuit terbuka",
    r"disisihkan": "dikeluarkan sementara",
    r"menjawab|dijawab": "merespons, respons",
    r"badan (?:json|permintaan)": "isi JSON, isi permintaan",
    r"gaya": "cara meneruskan",
    r"laman": "halaman",
    r"terurai": "ditemukan di DNS",
    r"pengelola jaringan": "administrator jaringan",
}
#: Banned in Indonesian, and right in English.
INDONESIAN_ALONE = {
    r"(?<!/)bus": "MANTRA, server MANTRA",
    r"gaya(?:nya)?": "cara meneruskan",
    r"larik": "array",
    r"peramban": "browser",
    r"(?-i:anda)": "Anda",
    r"aksi": "tindakan",
    r"silah?kan|harap|mohon": "the verb alone",
    r"galat": "kesalahan",
    r"basis data": "database",
    r"kuki": "cookie",
    r"bidang": "isian, kolom",
    r"tampilan \(view\)": "view",
    r"menyunting|mengedit": "mengubah",
    r"konsumen|requester": "pemanfaat data",
    r"provider": "penyedia data",
    r"supervisor": "pengawas",
    r"mengambang": "bilangan pecahan (float)",
    r"mengenali orang": "mengidentifikasi orang",
    r"\d+ buah": "4 data",
    r"password": "kata sandi",
    r"upstream": "layanan tujuan",
}

#: Exact phrases in which the ordinary word is meant. Keep it nearly empty: reword first.
ALLOWED = (
    "Record picture",  # a message of the admin's theme, not ours to word
    "Government Service Bus",
    "penyedia (provider)",  # the words of a fault's party
    "administrator server (bus)",
)
# fmt: on


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<![\w.-])(?:{word})(?![\w-])" for word in words), re.IGNORECASE)


BANNED = _any_of((*ENGLISH, *INDONESIAN))
BANNED_IN_INDONESIAN = _any_of((*ENGLISH, *INDONESIAN, *INDONESIAN_ALONE))

#: Words that an English sentence or label has and an Indonesian one has not.
ENGLISH_WORDS = frozenset(
    "a about above after again all already also although and another any are as at back be because been before below "  # noqa: SIM905
    "between both but by can cannot close could day days did do does done down during each either else empty enter "
    "error every few find first for found from had has have help here hide how if in into invalid is it its last less "
    "let like loading longer many may might missing month months more most must name neither never new next no nobody "
    "none nor not nothing of off on once one only open or other our out over own page password please previous "
    "required results row rows same save search select several shall should show sign since so some such than that the "
    "their them then there these they this those to today too type under unknown until up used user users value values "
    "very view was we week well were what when where whether which while who whose why will with within without would "
    "year years yes yesterday yet you your".split()
)
#: What is English on purpose: the name of a language, and the words of MANTRA 1.99x that callers compare.
MEANT = ("English", "The request contains an invalid SOAP body")


def english(text: str) -> list[str]:
    """Return the English words in a text that is to be Indonesian, in order. Capitals alone are code."""
    for phrase in MEANT:
        text = text.replace(phrase, " ")
    text = re.sub(r"{\w*}", " ", text)  # a name that is replaced by a value
    words = re.findall(r"(?<![\w./:_-])[A-Za-z]+(?![\w/:=_-])", text)
    return [word for word in words if word.lower() in ENGLISH_WORDS and not word.isupper()]


def banned(text: str, indonesian: bool = False) -> list[str]:
    """Return the banned words in a text, in order."""
    words = BANNED_IN_INDONESIAN if indonesian else BANNED
    for phrase in ALLOWED:
        text = text.replace(phrase, " ")
    return [" ".join(match[0].split()) for match in words.finditer(re.sub(r"\s+", " ", text))]


def advice(word: str) -> str:
    """Return what to write in the place of a banned word."""
    words = (ENGLISH | INDONESIAN | INDONESIAN_ALONE).items()
    return next(instead for pattern, instead in words if re.fullmatch(pattern, word, re.IGNORECASE))


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number of the first line, text) of each paragraph, list item or table row."""
    start, lines = 0, list[str]()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if path.name == "glossary.md" and line.startswith("|"):
            line = line.rpartition("|")[0].rpartition("|")[0]  # its last column lists what not to write
        if not line.strip() or re.match(r"\s*([|#*+-]|\d+\.) ?", line):
            if lines:
                yield start, " ".join(lines)
            start, lines = number, []
        lines.append(line)
        start = start if len(lines) > 1 else number
    if lines:
        yield start, " ".join(lines)


def in_document(path: Path) -> list[str]:
    found = []
    for number, text in paragraphs(path):
        words = banned(text, path.name.endswith(".id.md") or path.parent.name == "id")
        found += [f"{path.name}:{number}: {word!r} (write: {advice(word)})" for word in words]
    return found


def in_catalogue(path: Path) -> list[str]:
    """Return the banned words of the catalogue: messages and translations."""
    found = []
    for entry in polib.pofile(str(path)):
        if entry.obsolete:
            continue
        english_texts = (entry.msgid, entry.msgid_plural)
        for text in (*english_texts, entry.msgstr, *entry.msgstr_plural.values()):
            words = banned(text, indonesian=text not in english_texts)
            found += [f"{entry.msgid[:60]!r}: {word!r} (write: {advice(word)})" for word in words]
    return found


def test_the_words_are_found() -> None:
    assert banned("It is told in the book, which stands\nin for it.") == ["told", "book", "stands in"]
    assert banned("Kata sandi, a workbook, tersandi, an insider, asking.") == []
    assert banned("Sandi, row caps and Gladi") == ["Sandi", "row caps", "Gladi"]
    assert [advice(word) for word in banned("Sandi, row caps and Gladi")] == [
        "kata sandi", "row limit, timeout, size limit", "uji banding",
    ]  # fmt: skip


def test_english_is_told_from_indonesian() -> None:
    assert english("This page yielded no results.") == ["This", "page", "no", "results"]
    assert english("Data tidak ditemukan: FETCH NEXT ROWS, bkn/simpeg/all, English") == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_uses_a_banned_word(path: Path) -> None:
    found = in_document(path)
    assert not found, "\n".join(found)


def test_no_sentence_of_the_admin_uses_a_banned_word() -> None:
    found = in_catalogue(CATALOGUE)
    assert not found, f"{len(found)} places:\n" + "\n".join(found)


def test_no_fault_uses_a_banned_word() -> None:
    found = {}
    for code, kind in faults.TABLE.items():
        if code > LAST_LEGACY_FAULT:
            found[code] = [*banned(kind.en), *banned(kind.id, indonesian=True), *english(kind.id)]
    assert {code: words for code, words in found.items() if words} == {}


#: What a template has beside the text of its page: its tags, and what they translate.
TEMPLATE_TAGS = re.compile(
    r"{% blocktrans(?:late)? .*?{% endblocktrans(?:late)? %}|{% comment %}.*?{% endcomment %}|{#.*?#}|{%.*?%}|{{.*?}}",
    re.DOTALL,
)


def untranslated(template: str) -> list[str]:
    """Return the English texts of a template that are not marked for translation."""
    return [text for text in texts(TEMPLATE_TAGS.sub("", template)) if english(text)]


def test_no_template_says_something_that_is_not_translated() -> None:
    assert untranslated('<p>{% translate "All of them" %}</p><b title="Not this">{{ name }}</b>') == ["Not this"]
    assert untranslated("{% blocktranslate %}All of them{% endblocktranslate %}<p>and more</p>") == ["and more"]
    templates = sorted((ROOT / "templates").rglob("*.html"))
    assert {path.name: found for path in templates if (found := untranslated(path.read_text()))} == {}


if __name__ == "__main__":
    for document in DOCUMENTS:
        print(*in_document(document), sep="\n", end="\n" if in_document(document) else "")
    print(*in_catalogue(CATALOGUE), sep="\n")
