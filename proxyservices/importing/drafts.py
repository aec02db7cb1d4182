"""Draft operations: what an import makes of a description, and what it skips."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from proxyservices.descriptions.documents import Unusable
from proxyservices.models import Mapping as Placed
from proxyservices.models import ProxyOperation, Upstream
from registry.models import Parameter

#: How many operations one document may bring.
MOST = 300
#: How many parameters one operation may get.
VALUES = 200

#: Names of parameters that stand for a person.
PERSONS = frozenset({"nik", "npwp", "nip", "no_kk", "nokk", "no_ktp"})
_TAIL = re.compile(r"[^A-Za-z0-9_]+")


# ------------------------------------------------------------------------------------ what is made


@dataclass(slots=True)
class Draft:
    """An operation that can be made: values for the models, and what of it is not taken over."""

    code: str
    title: str = ""
    description: str = ""
    style: str = ProxyOperation.Style.REST
    method: str = "GET"
    path: str = ""
    address: str = ""
    credential_kind: str = Upstream.Credential.NONE
    credential_name: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    mappings: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def room(self) -> None:
        """Raises Unusable where no further parameter may be declared."""
        if len(self.parameters) >= VALUES:
            raise Unusable(_("An operation may have %(most)d parameters at most.") % {"most": VALUES})

    def places(self) -> dict[str, str]:
        """Where each parameter's value goes, in words."""
        labels = dict(Placed.Place.choices)
        found = {each["parameter"]: f"{labels[each['place']]}: {each['name']}" for each in self.mappings}
        return {each["name"]: found.get(each["name"], self._own_place(each["name"])) for each in self.parameters}

    def _own_place(self, name: str) -> str:
        if f"{{{name}}}" in self.path:
            return _("path") + f": {{{name}}}"
        return name

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The parameters with their places, for a page."""
        labels, places = dict(Parameter.Type.choices), self.places()
        return [
            {
                **each,
                "label": labels[each.get("type", "text")],
                "place": places[each["name"]],
                "words": ", ".join(each.get("choices", "").splitlines()),
            }
            for each in self.parameters
        ]


@dataclass(slots=True)
class Found:
    """What a description holds: its operations, and what could not be taken over, with reasons."""

    kind: str
    title: str
    drafts: list[Draft] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


class Names:
    """Makes names fit, each once, whatever its capital letters."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {name.lower() for name in taken}

    def once(self, name: str, longest: int = 63) -> str:
        found, number = name[:longest], 1
        while found.lower() in self.taken:
            number += 1
            end = f"_{number}"
            found = name[: longest - len(end)] + end
        self.taken.add(found.lower())
        return found

    def parameter(self, *parts: str) -> str:
        """A parameter's name: the last part, or as many as it takes to tell it from the others."""
        fit = [_TAIL.sub("_", part).strip("_") for part in parts]
        for count in range(1, len(fit) + 1):
            name = _begun("_".join(part for part in fit[-count:] if part))
            if name.lower() not in self.taken:
                break
        return self.once(name)

    def code(self, *parts: str) -> str:
        name = re.sub(r"[^A-Za-z0-9\-]+", "_", "_".join(part for part in parts if part)).strip("_-")
        return self.once(name or "operasi", 100)


def _begun(name: str) -> str:
    return name if name and not name[0].isdigit() else f"p_{name}"


def parameter(values: dict[str, Any], label: str, notes: list[str]) -> dict[str, Any]:
    """The values that the model takes; what it does not take is noted and left out. Raises Unusable."""
    # A description is shown to people: its mark-up and line ends are of no use there.
    values = {**values, "description": " ".join(str(values.get("description", "")).split())[:300]}
    if values["name"].lower() in PERSONS:
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
                raise Unusable("; ".join(error.messages)) from None
            for name in dropped:
                why = " ".join(error.message_dict[name])
                notes.append(_("%(label)s: %(what)s is left out. %(why)s") % {"label": label, "what": name, "why": why})
                values.pop(name, None)
        else:
            return values
    raise Unusable(_("its rules contradict each other"))
