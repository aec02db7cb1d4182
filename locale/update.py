"""Brings the Indonesian catalogue up to the sources: new messages in, old ones out, the .mo made anew.

    python locale/update.py            writes locale/id/LC_MESSAGES/django.po and .mo
    python locale/update.py --check    changes nothing; exit status 1 when something is missing or stale

Beside our own rooms it reads the admin theme, which brings no Indonesian, and the words of the drivers'
settings, which know no gettext, and has a few messages of Django. It needs GNU gettext and polib.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "locale/id/LC_MESSAGES/django.po"
ROOMS = ("registry", "dataservices", "proxyservices", "mantra", "templates")
#: Parts of the theme that we have not installed.
UNUSED = ("constance", "guardian", "import_export", "location_field", "simple_history", "forms", "inlines")

#: Messages of Django whose own Indonesian is wrong or uses other words than ours: our catalogue comes first.
DJANGO: tuple[str, ...] = (
    "%(model_name)s with this %(field_labels)s already exists.",
    "Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
    "Password",
    "Password confirmation",
    "Password changed successfully.",
    "Password change",
    "Password change successful",
    "Change password: %s",
    "Change my password",
    "Old password",
    "New password",
    "New password confirmation",
    "No password set.",
    "Enter the same password as before, for verification.",
    "The two password fields didn’t match.",
    "Your old password was entered incorrectly. Please enter it again.",
    "Your password can’t be too similar to your other personal information.",
    "Your password can’t be a commonly used password.",
    "Your password can’t be entirely numeric.",
    "Please enter a correct %(username)s and password. Note that both fields may be case-sensitive.",
    "Please enter the correct %(username)s and password for a staff account. "
    "Note that both fields may be case-sensitive.",
)
#: The same with a plural: (one, many).
DJANGO_PLURALS = (("%(size)d byte", "%(size)d bytes"),)

Key = tuple[str, str | None, str | None]  # msgid, plural, context


def key(entry: polib.POEntry) -> Key:
    return entry.msgid, entry.msgid_plural or None, entry.msgctxt


def extracted() -> dict[Key, polib.POEntry]:
    """Every message in the sources."""
    theme = find_spec("unfold")
    assert theme is not None
    assert theme.origin is not None
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for room in ROOMS:
            shutil.copytree(ROOT / room, work / room, ignore=shutil.ignore_patterns("migrations", "__pycache__"))
        skipped = shutil.ignore_patterns("static", "__pycache__", *UNUSED)
        shutil.copytree(Path(theme.origin).parent, work / "theme", ignore=skipped)
        (work / "locale").mkdir()
        subprocess.run(
            [sys.executable, "-m", "django", "makemessages", "-l", "id", "--no-location", "-v", "0"],
            cwd=work,
            check=True,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        )
        entries = list(polib.pofile(str(work / "locale/id/LC_MESSAGES/django.po")))
    entries += [polib.POEntry(msgid=text) for text in (*settings_help(), *DJANGO)]
    entries += [polib.POEntry(msgid=one, msgid_plural=many) for one, many in DJANGO_PLURALS]
    return {key(entry): entry for entry in entries if not entry.obsolete}


def settings_help() -> Iterator[str]:
    """The labels and help texts of the drivers' settings."""
    sys.path.insert(0, str(ROOT))
    from adapters import ADAPTERS, adapter_class

    for engine in ADAPTERS:
        for setting in adapter_class(engine).settings:
            yield from (text for text in (setting.label, setting.help) if text)


def merged(old: polib.POFile, found: dict[Key, polib.POEntry]) -> polib.POFile:
    """A catalogue of what was found, with the translations that are there."""
    known = {key(entry): entry for entry in old}
    made = polib.POFile(wrapwidth=118)
    made.metadata = {
        "Project-Id-Version": "MANTRA",
        "Language": "id",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=1; plural=0;",
    }
    for identity in sorted(found, key=lambda each: (each[0], each[1] or "", each[2] or "")):
        entry, held = found[identity], known.get(identity)
        fresh = polib.POEntry(msgid=entry.msgid, msgctxt=entry.msgctxt, flags=[f for f in entry.flags if f != "fuzzy"])
        if entry.msgid_plural:
            fresh.msgid_plural = entry.msgid_plural
            fresh.msgstr_plural = {0: held.msgstr_plural.get(0, "") if held else ""}
        else:
            fresh.msgstr = held.msgstr if held else ""
        made.append(fresh)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say what is missing or stale")
    only_check: bool = parser.parse_args().check
    old = polib.pofile(str(CATALOGUE)) if CATALOGUE.exists() else polib.POFile()
    found = extracted()
    fresh = merged(old, found)
    stale = [entry.msgid for entry in old if key(entry) not in found]
    if not only_check:
        CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
        fresh.save(str(CATALOGUE))
        fresh.save_as_mofile(str(CATALOGUE.with_suffix(".mo")))
    missing = [entry.msgid for entry in fresh if not entry.translated()]
    sys.stdout.writelines(f"untranslated: {text!r}\n" for text in missing)
    sys.stdout.writelines(f"no longer used: {text!r}\n" for text in stale)
    return 1 if missing or (only_check and stale) else 0


if __name__ == "__main__":
    raise SystemExit(main())
