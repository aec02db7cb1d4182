"""Brings the Indonesian catalogue up to the sources: new messages in, old ones out, the .mo made anew.

    python locale/update.py            writes locale/id/LC_MESSAGES/django.po and .mo
    python locale/update.py --check    changes nothing; exit status 1 when something is missing or stale

Beside our own rooms it reads the admin theme and Django REST framework, which bring no Indonesian, and the words of
the drivers' settings, which know no gettext, and has those messages of Django that we word otherwise. It needs GNU
gettext and polib.
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
#: Modules of Django REST framework with messages that callers of the management API get: it brings no Indonesian.
REST_FRAMEWORK = ("exceptions", "fields", "pagination", "relations", "serializers", "validators")

#: Messages of Django whose own Indonesian is wrong or uses other words than ours: our catalogue comes first.
DJANGO: tuple[str, ...] = (
    "This object doesn’t have a change history. It probably wasn’t added via this admin site.",
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
    "%(model_name)s with this %(field_label)s already exists.",
    "This field is required.",
    "This field cannot be null.",
    "This field cannot be blank.",
    "Enter a whole number.",
    "Enter a valid integer.",
    "Enter a number.",
    "Enter a valid value.",
    "Enter a valid date.",
    "Enter a valid time.",
    "Enter a valid date/time.",
    "Enter a valid duration.",
    "Enter a valid UUID.",
    "Enter a valid email address.",
    "Enter a valid JSON.",
    "Enter a list of values.",
    "Enter a complete value.",
    "Value %(value)r is not a valid choice.",
    "“%(value)s” value must be an integer.",
    "Select a valid choice. That choice is not one of the available choices.",
    "Select a valid choice. %(value)s is not one of the available choices.",
    "“%(pk)s” is not a valid value.",
    "(Hidden field %(name)s) %(error)s",
    "ManagementForm data is missing or has been tampered with. Missing fields: %(field_names)s. "
    "You may need to file a bug report if the issue persists.",
    "No file was submitted. Check the encoding type on the form.",
    "Please either submit a file or check the clear checkbox, not both.",
    "The inline value did not match the parent instance.",
    "That page number is not an integer",
    "That page number is less than 1",
    "That page contains no results",
    "Any date",
    "No fields changed.",
    "Changed {fields}.",
    "None",
    "You may edit it again below.",
    "The {name} “{obj}” was changed successfully. You may edit it again below.",
    "Successfully deleted %(count)d %(items)s.",
    "Database error",
    "Change history: %s",
    "Deleting %(class_name)s %(instance)s would require deleting the following protected related objects: "
    "%(related_objects)s",
    "Action:",
    "Site administration",
    "Server error",
    "Server error (500)",
    "Server Error <em>(500)</em>",
    "We’re sorry, but the requested page could not be found.",
    "There’s been an error. It’s been reported to the site administrators via email and should be fixed shortly. "
    "Thanks for your patience.",
    "After you’ve created a user, you’ll be able to edit more user options.",
    "Add another %(verbose_name)s",
    "%(name)s with ID “%(key)s” doesn’t exist. Perhaps it was deleted?",
    "Set password",
    "Set password: %s",
    "Reset password",
    "Password reset",
    "Password reset confirmation",
    "Enter new password",
    "Password reset unsuccessful",
    "Password reset complete",
    "Forgotten your login credentials?",
    "Invalid password format or unknown hashing algorithm.",
    "Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
    "Designates whether the user can log into this admin site.",
    "A user with that username already exists.",
    "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.",
    "Enter a valid username. This value may contain only unaccented lowercase a-z and uppercase A-Z letters, numbers, "
    "and @/./+/-/_ characters.",
)
#: The same with a plural: (one, many).
DJANGO_PLURALS = (
    ("%(size)d byte", "%(size)d bytes"),
    (
        "Ensure this value has at least %(limit_value)d character (it has %(show_value)d).",
        "Ensure this value has at least %(limit_value)d characters (it has %(show_value)d).",
    ),
    (
        "Ensure this value has at most %(limit_value)d character (it has %(show_value)d).",
        "Ensure this value has at most %(limit_value)d characters (it has %(show_value)d).",
    ),
    (
        "Ensure this filename has at most %(max)d character (it has %(length)d).",
        "Ensure this filename has at most %(max)d characters (it has %(length)d).",
    ),
    ("Please submit at most %(num)d form.", "Please submit at most %(num)d forms."),
    ("Please submit at least %(num)d form.", "Please submit at least %(num)d forms."),
    (
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
    ),
    (
        "Your password must contain at least %(min_length)d character.",
        "Your password must contain at least %(min_length)d characters.",
    ),
)

Key = tuple[str, str | None, str | None]  # msgid, plural, context


def key(entry: polib.POEntry) -> Key:
    return entry.msgid, entry.msgid_plural or None, entry.msgctxt


def extracted() -> dict[Key, polib.POEntry]:
    """Every message in the sources."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for room in ROOMS:
            shutil.copytree(ROOT / room, work / room, ignore=shutil.ignore_patterns("migrations", "__pycache__"))
        skipped = shutil.ignore_patterns("static", "__pycache__", *UNUSED)
        shutil.copytree(package("unfold"), work / "theme", ignore=skipped)
        (work / "rest_framework").mkdir()
        for module in REST_FRAMEWORK:
            shutil.copy(package("rest_framework") / f"{module}.py", work / "rest_framework")
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


def package(name: str) -> Path:
    """The folder of an installed package."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


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
