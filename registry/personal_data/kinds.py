"""The kinds of personal data, and what is said about a column."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy

#: How sure a finding is: by values that can hardly be anything else, by a clear name, by a name that may mean more.
CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"
#: The classifications of registry.models.Field.
PERSONAL, SPECIFIC = "personal", "specific"

#: What a column can contain, in words for people. Names of kinds are fixed: rules refer to them.
KINDS = {
    "NIK": gettext_lazy("NIK"),
    "KK": gettext_lazy("family card number"),
    "NPWP": gettext_lazy("NPWP"),
    "ID_NUMBER": gettext_lazy("a person's number"),
    "NAME": gettext_lazy("name of a person"),
    "BIRTH_DATE": gettext_lazy("date of birth"),
    "BIRTH_PLACE": gettext_lazy("place of birth"),
    "AGE": gettext_lazy("age"),
    "GENDER": gettext_lazy("sex"),
    "PHONE": gettext_lazy("phone number"),
    "EMAIL": gettext_lazy("e-mail address"),
    "ADDRESS": gettext_lazy("address of a person"),
    "LOCATION": gettext_lazy("place where a person is"),
    "RELIGION": gettext_lazy("religion"),
    "ETHNICITY": gettext_lazy("ethnicity"),
    "NATIONALITY": gettext_lazy("nationality"),
    "MARITAL": gettext_lazy("marital status"),
    "PHOTO": gettext_lazy("photo of a person"),
    "ACCOUNT": gettext_lazy("user name"),
    "VEHICLE": gettext_lazy("vehicle of a person"),
    "HEALTH": gettext_lazy("health"),
    "BIOMETRIC": gettext_lazy("biometric data"),
    "GENETIC": gettext_lazy("genetic data"),
    "CRIMINAL": gettext_lazy("criminal record"),
    "FINANCE": gettext_lazy("personal finances"),
    "SECRET": gettext_lazy("password or another secret"),
}
SPECIFIC_KINDS = frozenset(("HEALTH", "BIOMETRIC", "GENETIC", "CRIMINAL", "FINANCE", "SECRET"))
#: Kinds that identify one person each: no operation with them can be open.
IDENTIFIERS = frozenset(("NIK", "KK", "NPWP"))
PARAMETER_TYPES = {"NIK": "nik", "NPWP": "npwp", "BIRTH_DATE": "date", "AGE": "integer"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in a column. ``reason`` is a sentence in the current language.

    ``kind`` is one of KINDS, ``classification`` PERSONAL or SPECIFIC, ``parameter_type`` a parameter's type for
    searching by the column, ``certainty`` CERTAIN, LIKELY or POSSIBLE.
    """

    kind: str
    classification: str
    parameter_type: str
    certainty: str
    reason: str


#: A kind, how sure it is, and why: ("", "", "") for nothing.
Guess = tuple[str, str, str]
NOTHING: Guess = ("", "", "")
