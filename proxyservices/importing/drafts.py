"""The result of an import before it is confirmed: drafts of operations, and the operations that were skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from proxyservices.descriptions.documents import DescriptionError
from proxyservices.models import ParameterMapping, ProxyOperation, ServerSettings
from registry.models import Parameter

#: The most operations of one document.
MAX_OPERATIONS = 300

#: Names of parameters that identify a person.
SUBJECT_NAMES = frozenset({"nik", "npwp", "nip", "no_kk", "nokk", "no_ktp"})
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(slots=True)
class Draft:
    """An operation that can be created: values for the models, and notes on the parts that are omitted."""

    code: str
    title: str = ""
    description: str = ""
    style: str = ProxyOperation.Style.REST
    method: str = "GET"
    path: str = ""
    records_path: str = ""
    address: str = ""
    credential_kind: str = ServerSettings.Credential.NONE
    credential_name: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    mappings: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def check_parameter_limit(self) -> None:
        """Raise DescriptionError if no further parameter may be declared."""
        most = settings.ROW_LIMITS["parameters"]
        if len(self.parameters) >= most:
            raise DescriptionError(_("An operation can have at most %(most)d parameters.") % {"most": most})

    def locations(self) -> dict[str, str]:
        """Return the location of each parameter's value, for people."""
        labels = dict(ParameterMapping.Location.choices)
        mapped = {each["parameter"]: f"{labels[each['location']]}: {each['name']}" for each in self.mappings}
        return {each["name"]: mapped.get(each["name"], self._unmapped(each["name"])) for each in self.parameters}

    def _unmapped(self, name: str) -> str:
        if f"{{{name}}}" in self.path:
            return _("path") + f": {{{name}}}"
        return name

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The parameters with their locations, for the page."""
        labels, locations = dict(Parameter.Type.choices), self.locations()
        return [
            {
                **each,
                "label": labels[each.get("type", "text")],
                "location": locations[each["name"]],
                "words": ", ".join(each.get("choices", "").splitlines()),
            }
            for each in self.parameters
        ]


@dataclass(slots=True)
class ImportPreview:
    """The operations of a description, and the names of the skipped ones with reasons."""

    kind: str
    title: str
    drafts: list[Draft] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


class NameAllocator:
    """Allocates valid names, each once; names that differ in case only count as equal."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {name.lower() for name in taken}

    def unique(self, name: str, max_length: int = 63) -> str:
        """Return the name, cut to ``max_length``, with a number at its end if it is taken."""
        unique, number = name[:max_length], 1
        while unique.lower() in self.taken:
            number += 1
            suffix = f"_{number}"
            unique = name[: max_length - len(suffix)] + suffix
        self.taken.add(unique.lower())
        return unique

    def parameter(self, *parts: str) -> str:
        """Return a parameter's name: the last part, or as many parts as make it unique."""
        valid = [_NOT_IN_NAMES.sub("_", part).strip("_") for part in parts]
        for count in range(1, len(valid) + 1):
            name = _with_valid_start("_".join(part for part in valid[-count:] if part))
            if name.lower() not in self.taken:
                break
        return self.unique(name)

    def code(self, *parts: str) -> str:
        """Return an operation's code."""
        name = re.sub(r"[^A-Za-z0-9\-]+", "_", "_".join(part for part in parts if part)).strip("_-")
        name = name.removesuffix("Response") + "_response" if name.endswith("Response") else name
        return self.unique(name or "operasi", 100)


def _with_valid_start(name: str) -> str:
    return name if name and not name[0].isdigit() else f"p_{name}"


def parameter(values: dict[str, Any], label: str, notes: list[str]) -> dict[str, Any]:
    """Return the values that the model accepts; the others are dropped with a note. Raises DescriptionError."""
    # The description is one line of text on pages: line ends are of no use there.
    values = {**values, "description": " ".join(str(values.get("description", "")).split())[:300]}
    if values["name"].lower() in SUBJECT_NAMES:
        values["subject"] = True
    for _attempt in range(4):
        try:
            Parameter(**values).full_clean(exclude=["operation"], validate_unique=False, validate_constraints=False)
        except ValidationError as error:
            dropped = [name for name in error.message_dict if name in ("default", "pattern", "min", "max")]
            if "choices" in error.message_dict:
                values["type"] = Parameter.Type.TEXT
                dropped.append("choices")
            if not dropped:
                raise DescriptionError("; ".join(error.messages)) from None
            for name in dropped:
                why = " ".join(error.message_dict[name])
                notes.append(
                    _("%(label)s: %(what)s is not imported. %(why)s") % {"label": label, "what": name, "why": why}
                )
                values.pop(name, None)
        else:
            return values
    raise DescriptionError(_("its rules contradict each other"))
