"""The demo's people and lists are always the same, and differ in what is said of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from mantra.demo import recipients, residents
from mantra.demo.files import RECIPIENTS, RESIDENTS
from mantra.reconciliation import runs
from mantra.reconciliation.models import Reconciliation
from mantra.reconciliation.worker import Task
from mantra.verification import tries
from registry import faults
from registry.models import Agency, User
from registry.roles import PROVIDER, REQUESTER
from registry.snapshot import holder
from tests.cast import call

ROOT = Path(__file__).parents[2]


def test_the_list_in_the_repository_is_the_one_that_is_made() -> None:
    assert (ROOT / "demo/penerima_bansos.csv").read_bytes().decode() == recipients.as_csv()


def test_each_resident_has_an_identifier_of_their_own_with_the_birth_date() -> None:
    people = [residents.resident(number) for number in range(1, residents.NUMBER + 1)]
    assert len({each.nik for each in people}) == residents.NUMBER
    for each in people[::991]:
        day = int(each.nik[6:8]) - (40 if each.sex == "P" else 0)
        assert (day, int(each.nik[8:10]), int(each.nik[10:12])) == (
            each.birth_date.day, each.birth_date.month, each.birth_date.year % 100,
        )  # fmt: skip


def test_the_list_has_every_kind_of_difference() -> None:
    register = {each.nik: each for each in map(residents.resident, range(1, residents.NUMBER + 1))}
    kinds = Counter(kind for kind, _entry in recipients.entries())
    assert kinds == {kind: count for kind, (count, _make) in recipients.KINDS.items()}
    assert sum(kinds.values()) == 1_000
    for kind, (nik, name, born) in recipients.entries():
        one = register.get(nik)
        assert (one is None) == (kind in ("unknown", "mistyped NIK")), kind
        if one is not None and kind in ("same", "twice", "other date form", "without date"):
            assert name == one.name
        if one is not None and kind in ("same", "twice", "titled", "other name", "reordered", "slipped"):
            assert born == one.birth_date.isoformat()
    repeated = Counter(nik for _kind, (nik, _name, _born) in recipients.entries())
    assert sum(count - 1 for count in repeated.values()) == recipients.KINDS["twice"][0]


@pytest.fixture
def demo(db: None, tmp_path: Path, settings: Any) -> None:
    """The demo's definitions and files, as ./run loads them."""
    settings.SOURCE_FILE_DIRS = [str(tmp_path)]
    settings.UPSTREAM_NETWORKS = ["127.0.0.0/8"]
    for file in (RESIDENTS, RECIPIENTS):
        file.create()
    call_command("apply_definitions", str(ROOT / "demo/demo.yaml"), "--reason", "uji")
    call_command("demo_data", "--matching")
    holder.refresh()


def test_the_list_is_verified_as_its_kinds_say(demo: None) -> None:
    """Each kind of row of the list gets the response that the guide promises."""
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in recipients.KINDS}
    tries.store = tries.Memory()
    for kind, (nik, name, born) in recipients.entries():
        query = urlencode({"nik": nik, "nama": name, "tanggal_lahir": born})
        reply = call(f"/rest/dukcapil/kependudukan/verifikasi_penduduk.json?{query}", accesskey="eeeeeeeeee")
        if reply.status == 200:
            row = reply.json()["data"][0]
            outcomes[kind]["agrees" if row["sesuai"] else "differs" if row["ditemukan"] else "not found"] += 1
        else:
            outcomes[kind][str(reply.json()["code"])] += 1
    everything = {kind: count for kind, (count, _make) in recipients.KINDS.items()}
    for kind in (
        "same",
        "twice",
        "titled",
        "other date form",
        "reordered",
        "without date",
        "without name",
    ):
        assert outcomes[kind] == {"agrees": everything[kind]}, kind
    for kind in ("other name", "other date", "other person"):
        assert outcomes[kind] == {"differs": everything[kind]}, kind
    assert outcomes["unknown"] == {"not found": everything["unknown"]}
    assert outcomes["mistyped NIK"] == {str(faults.PARAMETER_INVALID.code): everything["mistyped NIK"]}
    # A common first name beside an initial is too little; a slip may make another name.
    assert outcomes["abbreviated"] == {"agrees": 26, "differs": 4}
    assert outcomes["slipped"]["agrees"] >= 25


def test_the_two_lists_differ_as_the_table_says(demo: None) -> None:
    user = User.objects.create(username="petugas", agency=Agency.objects.get(code="dinsos"))
    user.groups.add(*Group.objects.filter(name__in=(PROVIDER, REQUESTER)))
    made = Reconciliation.objects.get()
    made.responsible = user
    made.save()
    run = runs.start(made, user)
    assert run is not None
    Task().round()
    run.refresh_from_db()
    kinds = recipients.TABLE_KINDS
    assert (run.state, run.problem) == ("done", "")
    assert run.only_left == kinds["only here"]
    assert run.different == kinds["other name"] + kinds["other address"]
    assert run.left_repeated == 2 * kinds["twice"]
    assert run.equal == kinds["same"] - kinds["twice"]
    assert run.only_right == residents.NUMBER // 4 - kinds["same"] - kinds["other name"] - kinds["other address"]
