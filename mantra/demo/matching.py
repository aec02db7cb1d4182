"""The demo's reconciliation: the recipients of rice of a district, and the population register."""

from __future__ import annotations

from mantra.demo.recipients import DISTRICT
from mantra.reconciliation.models import Reconciliation, Side
from mantra.reconciliation.pairs import Pair
from registry.models import Agency, Application, Operation

CODE = "penerima-beras"
PAIRS = (
    Pair("nik", "nik", key=True, rule="exact"),
    Pair("nama", "nama", rule="name"),
    Pair("alamat", "alamat", rule="address"),
)


def create() -> Reconciliation:
    """Make the reconciliation of the demo's definitions, which are there, unless it exists. Return it."""
    agency = Agency.objects.get(code="dinsos")
    found, made = Reconciliation.objects.get_or_create(
        agency=agency, code=CODE,
        defaults={"title": "Penerima beras dan data penduduk", "pairs": [pair.stored() for pair in PAIRS]},
    )  # fmt: skip
    if made:
        found.full_clean()
        arguments = {"kecamatan": DISTRICT}
        found.sides.create(
            place=Side.Place.LEFT, kind=Side.Kind.OPERATION, as_own=True, operation=_operation(agency, "penerima"),
            arguments=arguments,
        )  # fmt: skip
        found.sides.create(
            place=Side.Place.RIGHT, kind=Side.Kind.OPERATION, arguments=arguments,
            application=Application.objects.get(agency=agency, code="bansos"),
            operation=_operation(Agency.objects.get(code="dukcapil"), "penduduk_by_kecamatan"),
        )  # fmt: skip
    return found


def _operation(agency: Agency, code: str) -> Operation:
    operation: Operation = Operation.objects.get(service__agency=agency, code=code)
    return operation
