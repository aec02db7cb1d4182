"""The code that the pages show is run as it is: each way to call an operation, in each language that is here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mantra.client_code.languages import LANGUAGES
from registry import faults
from tests.cast import Cast, ends_of
from tests.client_code.running import NIK, ODD, PRINTED, REFUSED, Running, running

HERE = Path(__file__).parent
#: The tests' own virtual environment is no place in which a caller's program runs.
PATH = ":".join(each for each in os.environ["PATH"].split(":") if "venv" not in each and "shims" not in each)
#: Language → the file in which a program is saved, and the command that runs it.
COMMANDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "curl": ("call.sh", ("bash", "call.sh")),
    "php": ("call.php", ("php", "call.php")),
    "php_legacy": ("call.php", ("php", "call.php")),
    "php_soap": ("call.php", ("php", "-d", "soap.wsdl_cache_enabled=0", "call.php")),
    "python": ("call.py", ("python3", "call.py")),
    "javascript": ("call.mjs", ("node", "call.mjs")),
    "go": ("main.go", ("go", "run", "main.go")),
    "r": ("call.R", ("Rscript", "call.R")),
    "csharp": ("MantraCall.cs", ("sh", "-c", "mcs -r:System.Net.Http MantraCall.cs && mono MantraCall.exe")),
}
#: Languages with large tools, which ./test does not install: see docs/client-code.md.
LARGE = frozenset(("csharp", "go", "r"))
CHOSEN = os.environ.get("CLIENT_LANGUAGES", "").split()

Code = dict[str, dict[str, str]]
#: Operation → a program's exit status, and what it printed.
Outcomes = dict[str, tuple[int, str]]


@pytest.fixture
def bus(cast: Cast) -> Iterator[Running]:
    with running(cast) as made:
        yield made


@pytest.fixture
def code(bus: Running) -> Code:
    """Operation → language → code."""
    return {operation: bus.code(operation) for operation in (*PRINTED, REFUSED)}


def run(bus: Running, code: Code, language: str, folder: Path, key: str | None = None) -> Outcomes:
    """Run the programs of a language, each from a folder of its own."""
    file, words = COMMANDS[language]
    programs = {operation: texts[language] for operation, texts in code.items() if language in texts}
    adapter = bus.adapter()

    def outcome(operation: str) -> tuple[int, str]:
        place = folder / language / operation
        place.mkdir(parents=True)
        (place / file).write_text(programs[operation])
        (place / "adapter.php").write_bytes(adapter)
        return bus.run(words, place, PATH, bus.cast.key if key is None else key)

    with ThreadPoolExecutor(2) as threads:
        return dict(zip(programs, threads.map(outcome, programs), strict=True))


def run_java(bus: Running, code: Code, folder: Path) -> Outcomes:
    """Compile and run the programs in Java together: a JVM takes long to start."""
    place = folder / "java"
    place.mkdir()
    names = {operation: f"Call_{operation}" for operation in code}
    for operation, name in names.items():
        (place / f"{name}.java").write_text(code[operation]["java"].replace("class MantraCall", f"class {name}"))
    shutil.copy(HERE / "Run.java", place)
    compiler = (
        "javac",
        "-J-XX:TieredStopAtLevel=1",
        "-proc:none",
        "Run.java",
        *(f"{name}.java" for name in names.values()),
    )
    status, printed = bus.run(compiler, place, PATH, "")
    assert status == 0, printed
    words = ("java", "-XX:TieredStopAtLevel=1", "Run", *names.values())
    status, printed = bus.run(words, place, PATH, bus.cast.key)
    assert status == 0, printed
    parts = re.split(r"^=== Call_(\w+) (\d)\n", printed, flags=re.M)[1:]
    return {parts[n]: (int(parts[n + 1]), parts[n + 2]) for n in range(0, len(parts), 3)}


def check(bus: Running, language: str, outcomes: Outcomes) -> None:
    """Each program printed what it should, what it sent arrived, and the one without a grant says why."""
    status, printed = outcomes.pop(REFUSED)
    assert status != 0 or language == "curl", printed
    (found,) = set(re.findall(r"(?:X-Request-Id|request_id)\W+([0-9a-f]{32})", printed))
    assert [end["status"] for end in ends_of(found)] == [403]
    if language == "php_legacy":
        assert "10002: Fungsi operasi tidak terdaftar" in printed
    else:
        assert "403" in printed
        assert faults.GRANT_MISSING.id[:30] in printed
    for operation, (status, printed) in outcomes.items():
        assert status == 0, printed
        assert all(text in printed for text in PRINTED[operation]), (operation, printed)
    # .NET takes characters that change the direction of writing out of an address.
    sent = ODD.replace("\u202e", "") if language == "csharp" else ODD
    assert bus.echoed() == [{"teks": [sent], "ya": ["false"]}]
    assert bus.written() == [ODD]


def test_every_program_runs(bus: Running, code: Code, tmp_path: Path) -> None:
    assert {language.code for language in LANGUAGES} == {*COMMANDS, "java", "power_query"}
    for language in COMMANDS:
        if language in CHOSEN or language not in LARGE:
            check(bus, language, run(bus, code, language, tmp_path))
    check(bus, "java", run_java(bus, code, tmp_path))
    # Without a key they say what is missing, and call nobody.
    chosen = {"cari_nik": code["cari_nik"]}
    for language in ("curl", "php", "php_legacy", "python"):
        ((status, printed),) = run(bus, chosen, language, tmp_path / "keyless", key="").values()
        assert status != 0, printed
        assert "MANTRA_ACCESS_KEY" in printed


def test_no_program_has_a_key_or_sends_a_persons_number_in_an_address(bus: Running, code: Code) -> None:
    for language, text in code["cari_nik"].items():
        assert NIK in text, language
        assert bus.cast.key not in text, language
        assert not re.search(rf"\?[^\n]*{NIK}|--get|GET", text), language
