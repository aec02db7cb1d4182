"""Changes of definitions, from the journal's lines (registry/change_journal.py writes them) into the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from django.db.models import Exists, OuterRef

from registry.calls import REQUEST_ID_LENGTH
from registry.models import ChangeRecord, GrantTerms
from registry.models.change_records import FIELDS, NAME

#: The kinds of the two lines.
CHANGE, COMMITTED = "change", "changed"
#: The most rows of a statement.
_CHUNK = 500


def of_line(line: dict[str, Any], segment: str) -> ChangeRecord:
    """Return the record of a line. Raises KeyError, TypeError or ValueError for one of another version."""
    if len(line["id"]) > REQUEST_ID_LENGTH:
        raise ValueError
    agency, other = [*list(line.get("of", ())), "", ""][:2]
    return ChangeRecord(
        change_id=line["id"], at=datetime.fromtimestamp(line["at"], UTC), user=line["user"], origin=line["by"],
        client_ip=_address(line["ip"]), action=line["what"], kind=line["kind"], ref=line.get("ref"),
        name=line.get("name", "")[:NAME], agency=agency, other_agency=other, fields=", ".join(line["fields"])[:FIELDS],
        rows=line.get("n", 1), version=line.get("version") or None, revision=line.get("revision"), segment=segment,
    )  # fmt: skip


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def store(rows: Sequence[ChangeRecord], committed: Iterable[str]) -> None:
    """Write records, and note which changes were committed. A record that is there already stays as it is."""
    for start in range(0, len(rows), _CHUNK):
        ChangeRecord.objects.bulk_create(rows[start : start + _CHUNK], ignore_conflicts=True)
    ids = list(committed)
    for start in range(0, len(ids), _CHUNK):
        ChangeRecord.objects.filter(change_id__in=ids[start : start + _CHUNK]).update(committed=True)


def prune(before: datetime) -> None:
    """Delete the records from before a moment, and the terms of grants that no call since then was made under.

    The journal and its archive keep their lines as long as others.
    """
    ChangeRecord.objects.filter(at__lt=before).delete()
    newer = GrantTerms.objects.filter(grant_ref=OuterRef("grant_ref"), since__gt=OuterRef("since"), since__lte=before)
    ended = GrantTerms.objects.filter(Exists(newer)).order_by("pk").values_list("pk", flat=True)
    while keys := list(ended[:_CHUNK]):
        GrantTerms.objects.filter(pk__in=keys).delete()
