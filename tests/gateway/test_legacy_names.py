"""Names that an installation of 1.99x has and no code or placeholder can be: old callers go on using them (F15)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError

from mantra.definitions.export import export
from registry.models import AccessKey, Agency, Field, Operation, Parameter, Service
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.definitions.test_apply import fine, problems

KEY = "aaaaaaaaaa"
FORM = "application/x-www-form-urlencoded"
LONG = "nama_kolom_yang_sangat_panjang_sekali_dan_tidak_muat_di_enam_puluh_tiga_huruf"
ODD = ["kode-wil", "a.b", "1tmt", "Ünï", "harga (Rp)", "unit/kerja", "a=b", LONG]
STYLES = ["/{0}=x&tahun=1", "?{0}=x&tahun=1", "/{0}/x/tahun/1", "/x/1", "POST"]


@pytest.fixture
def old(cast: Cast) -> Cast:
    """An operation with a parameter that 1.99x named otherwise."""
    parameters: tuple[dict[str, Any], ...] = ({"name": "kode_wilayah", "legacy_name": "kode-wil"}, {"name": "tahun"})
    cast.operation("wilayah", "SELECT :kode_wilayah AS kode, :tahun AS tahun", parameters=parameters)
    AccessKey.import_legacy(cast.application, KEY, cast.operations["wilayah"])
    holder.refresh()
    return cast


def rows(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = reply.json()["response"]["data"]
    return found


def ask(address: str, style: str, name: str = "") -> Reply:
    sent = quote(name, safe="")
    if style == "POST":
        return call(address, "POST", f"{sent}=x&tahun=1", accesskey=KEY, content_type=FORM)
    return call(address + style.format(sent), accesskey=KEY)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ODD)
def test_a_parameter_is_found_under_its_old_name(old: Cast, name: str, style: str) -> None:
    Parameter.objects.filter(name="kode_wilayah").update(legacy_name=name)
    holder.refresh()
    for sent in (name, name.upper(), name.replace(".", "_"), "kode_wilayah"):
        reply = ask("/json/prov/data/wilayah", style, sent)
        assert rows(reply) == {"wilayah": {"0": {"kode": "x", "tahun": "1"}}}, sent


def test_other_protocols_know_the_name_only(old: Cast) -> None:
    assert old.get("wilayah", "kode_wilayah=x&tahun=1").status == 200
    assert old.get("wilayah", "kode-wil=x&tahun=1").json()["code"] == 11103


def test_the_last_value_counts_under_either_name(old: Cast) -> None:
    for query, kode in (("kode-wil=1&kode_wilayah=2", "2"), ("kode_wilayah=1&kode-wil=2", "2")):
        assert rows(call(f"/json/prov/data/wilayah?{query}&tahun=1", accesskey=KEY))["wilayah"]["0"]["kode"] == kode


@pytest.mark.parametrize("name", ["_wilayah", "Wilayah Ünï", "wil.a'yah, lama", "w" * 128])
def test_an_address_is_found_under_its_old_names(old: Cast, name: str) -> None:
    Agency.objects.filter(code="prov").update(legacy_name=f"a{name[1:]}")
    Service.objects.filter(code="data").update(legacy_name=f"s{name[1:]}")
    Operation.objects.filter(code="wilayah").update(legacy_name=name)
    holder.refresh()
    seen = name.translate(str.maketrans(" .-:", "____"))
    address = f"a{name[1:]}/s{name[1:]}/{name}"
    for path in (quote(f"/mantra/json/{address}"), quote(f"/json/{address.upper()}"), "/json/prov/data/wilayah"):
        found = rows(call(f"{path}/x/1", accesskey=KEY))
        assert list(found.values()) == [{"0": {"kode": "x", "tahun": "1"}}]
    assert list(rows(call(quote(f"/json/{address}") + "/x/1", accesskey=KEY))) == [seen]
    assert call(quote(f"/rest/{address}"), accesskey=old.key).json()["code"] == 10002


def test_an_address_without_old_names_is_unknown_under_a_new_one(old: Cast) -> None:
    Operation.objects.filter(code="wilayah").update(legacy_name="_wilayah")
    holder.refresh()
    assert call("/json/prov/data/_lain/x/1", accesskey=KEY).json()["response"]["code"] == 10002
    assert call("/json/prov/lain/_wilayah/x/1", accesskey=KEY).json()["response"]["code"] == 10002


def test_a_key_in_the_path_before_old_names(old: Cast) -> None:
    Agency.objects.filter(code="prov").update(legacy_name="_prov")
    AccessKey.objects.filter(public__startswith="aa").update(in_path=True)
    holder.refresh()
    for address in (f"/api/{KEY}/_prov/data/wilayah/x/1", f"/api/_prov/data/wilayah/{KEY}/x/1"):
        reply = call(address)
        assert reply.body.startswith(b"<?xml")
        assert "<kode>x</kode>" in reply.text


# -------------------------------------------------------------------------------- which names may be


@pytest.mark.parametrize("other", ["KODE_WILAYAH", "kode_wilayah", "tahun"])
def test_parameters_that_cannot_be_told_apart_are_refused(other: str) -> None:
    with pytest.raises(ValidationError):
        Parameter.check_list(
            None, [Parameter(name="kode_wilayah"), Parameter(name="tahun"), Parameter(name="b", legacy_name=other)]
        )
    with pytest.raises(ValidationError):
        Parameter.check_list(None, [Parameter(name="a", legacy_name="a.b"), Parameter(name="b", legacy_name="A_B")])
    Parameter.check_list(None, [Parameter(name="a_b", legacy_name="a.b"), Parameter(name="b")])


def test_a_name_of_an_address_that_another_row_has_is_refused(old: Cast) -> None:
    Operation.objects.filter(code="satu").update(legacy_name="_satu")
    operation = Operation.objects.get(code="wilayah")
    for name in ("SATU", "_Satu"):
        operation.legacy_name = name
        with pytest.raises(ValidationError) as error:
            operation.full_clean()
        assert list(error.value.message_dict) == ["legacy_name"]
    for name in ("wilayah", "_lain"):
        operation.legacy_name = name
        operation.full_clean()
    other = Operation(service=old.service, kind="data", code="baru")
    other.full_clean()
    Operation.objects.filter(code="satu").update(legacy_name="baru")
    with pytest.raises(ValidationError):
        other.full_clean()


@pytest.mark.parametrize("name", ["a/b", "a\nb", "a\x00b", "x" * 129])
def test_a_name_that_no_address_can_hold_is_refused(old: Cast, name: str) -> None:
    for row in (old.provider, old.service, old.operations["wilayah"]):
        row.legacy_name = name
        with pytest.raises(ValidationError):
            row.full_clean()


BUNDLE = """
agencies: [{code: prov, name: Penyedia, legacy_name: _prov}]
services:
  - agency: prov
    code: data
    title: Data uji
    legacy_name: da.ta
    operations:
      - code: wilayah
        kind: data
        source: uji
        legacy_name: _wilayah
        sql: SELECT :kode_wilayah AS kode, :tahun AS tahun
        parameters: [{name: kode_wilayah, legacy_name: LEGACY}, {name: tahun}]
"""


def test_a_bundle_has_the_old_names(old: Cast) -> None:
    fine(BUNDLE.replace("LEGACY", "kode.wil"))
    assert Agency.objects.get(code="prov").legacy_name == "_prov"
    assert Parameter.objects.get(name="kode_wilayah").legacy_name == "kode.wil"
    holder.refresh()
    assert ask("/json/_prov/da.ta/_wilayah", STYLES[0], "kode.wil").json()["response"]["status"] == 1
    text = export()
    for line in ("legacy_name: _prov", "legacy_name: da.ta", "legacy_name: _wilayah", "legacy_name: kode.wil"):
        assert line in text
    counted = Field(operation=Operation.objects.get(code="terbuka"), name="jumlah", classification="public")
    counted.save()  # what is open must be public, and a bundle makes the first version of what has none
    assert not fine(export()).changes
    assert "parameters" in str(problems(BUNDLE.replace("LEGACY", "Tahun")))
