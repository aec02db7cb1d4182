"""The public heads: made every hour, signed, chained, mailed, and fetched by everybody; and who proves the journal."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone, translation

from mantra.health.checks import proof
from mantra.proof import views
from mantra.proof.prover import Prover
from registry.journal import head, heads, reader, sealing, segments, shipping
from registry.models import JournalHead, JournalSegment, OutboxMessage
from registry.notifications import composing
from tests.cast import Cast
from tests.gateway.program import load, verify_journal
from tests.notifications.conftest import use

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    views.kept.clear()
    views.rate._count = 0
    with translation.override("en"):
        yield


@pytest.fixture
def journal(cast: Cast) -> list[Path]:
    """Return three segments that are shipped: the last one is open."""
    for _segment in range(2):
        cast.get("satu.json", "id=7")
        segments.close()
    cast.get("satu.json", "id=7")
    shipping.ship()
    return reader.segments()


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return load()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def named(document: str) -> list[tuple[str, int, str]]:
    body = json.loads(document.rpartition(" ")[0])
    return [(entry[0], entry[1], entry[5]) for entry in body["segments"]]


def test_each_head_names_what_has_changed(journal: list[Path], cast: Cast) -> None:
    [first] = heads.make_due(NOON)
    assert named(first.document) == [
        (journal[0].name, 4, "closed"), (journal[1].name, 4, "closed"), (journal[2].name, 3, "open"),
    ]  # fmt: skip
    [second] = heads.make_due(NOON + timedelta(hours=1))
    assert named(second.document) == []
    cast.get("satu.json", "id=7")
    shipping.ship()
    [third] = heads.make_due(NOON + timedelta(hours=2))
    assert named(third.document) == [(journal[2].name, 5, "open")]
    assert [each.serial for each in (first, second, third)] == [1, 2, 3]
    body = json.loads(third.document.rpartition(" ")[0])
    assert body["previous"] == sha256(second.document.encode()).hexdigest() == second.digest


def test_many_segments_need_several_heads(journal: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MOST", 2)
    made = heads.make_due(NOON)
    assert [len(named(each.document)) for each in made] == [2, 1]
    found, faults = heads.load_all(heads.stored(), heads.public_keys())
    assert ([each.serial for each in found], faults) == ([1, 2], {})


def test_a_row_that_was_changed_is_in_no_head(journal: list[Path]) -> None:
    JournalSegment.objects.filter(name=journal[0].name).update(lines=2)
    [made] = heads.make_due(NOON)
    assert [entry[0] for entry in named(made.document)] == [path.name for path in journal[1:]]


def test_a_row_that_is_shipped_meanwhile_is_in_the_next_head(
    journal: list[Path], cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ships while a head is made of the row as it was."""
    dump = heads.dump

    def slow(*arguments: Any) -> str:
        document = dump(*arguments)
        cast.get("satu.json", "id=7")
        shipping.ship()
        return document

    monkeypatch.setattr(heads, "dump", slow)
    heads.make_due(NOON)
    row = JournalSegment.objects.get(name=journal[2].name)
    assert (row.lines, row.headed, JournalHead.objects.count()) == (5, 0, 1)
    assert sealing.is_genuine(row)
    monkeypatch.undo()
    [second] = heads.make_due(NOON + timedelta(hours=1))
    assert (journal[2].name, 5, "open") in named(second.document)
    call_command("verify_audit")


def test_a_key_is_replaced(journal: list[Path], settings: Any, tmp_path: Path) -> None:
    """The old key names the new one in a head; who knows the old one only trusts the new one from then on."""
    old, new = settings.HEAD_KEYS[0], os.urandom(32).hex()
    public = heads.public_keys()[0]
    heads.make_due(NOON)
    settings.HEAD_KEYS = [old, new]
    heads.make_due(NOON + timedelta(hours=1))
    settings.HEAD_KEYS = [new]
    heads.make_due(NOON + timedelta(hours=2))
    found, faults = heads.load_all(heads.stored(), [public])
    assert (len(found), faults) == (3, {})
    assert verify_journal(tmp_path, [public])[0] == []
    # Without the announcement the new key is anybody's.
    JournalHead.objects.filter(serial=2).delete()
    _found, faults = heads.load_all(heads.stored(), [public])
    assert faults == {"head 3": "the head cannot be used: it is signed with a key that is not known"}
    broken, _lines = verify_journal(tmp_path, [public])
    assert [line.split(":")[0] for line in broken] == ["BROKEN head-key 3"]


def test_a_digest_that_came_by_mail_proves_that_a_head_was_there(journal: list[Path], tmp_path: Path) -> None:
    [made] = heads.make_due(NOON)
    assert verify_journal(tmp_path, heads.public_keys(), f"--digest=1:{made.digest}")[0] == []
    other = f"--digest=1:{sha256(b'lain').hexdigest()}"
    assert "it is not the one whose digest is known" in verify_journal(tmp_path, heads.public_keys(), other)[0][0]
    JournalHead.objects.all().delete()
    found = verify_journal(tmp_path, heads.public_keys(), f"--digest=1:{made.digest}")[0]
    assert found == ["BROKEN head-missing head 1: the head is missing: its digest is known"]


@pytest.mark.parametrize(
    "document",
    ["", "x", "{} ", '{"key":"x"} ' + "0" * 128, "[] 00", '{"v":2} zz', "1 2"],
)
def test_what_is_no_head_is_refused(document: str) -> None:
    with pytest.raises(head.HeadError):
        heads.load(document, heads.public_keys())


def test_a_head_of_another_format_is_refused(journal: list[Path]) -> None:
    body = json.dumps({"v": 3, "key": heads.key_id(heads.public_keys()[0])}).encode()
    signature = heads.signers()[0].sign(b"mantra-head:" + body).hex()
    with pytest.raises(head.HeadError, match="format"):
        heads.load(f"{body.decode()} {signature}\n", heads.public_keys())
    # A signature for another purpose is none of a head.
    other = heads.signers()[0].sign(body).hex()
    with pytest.raises(head.HeadError, match="changed"):
        heads.load(f"{body.decode()} {other}\n", heads.public_keys())


# ------------------------------------------------------------------------------------------ the task


def test_a_head_comes_every_hour(journal: list[Path]) -> None:
    clock = Clock()
    prover = Prover(clock)
    assert [each.serial for each in prover.round()] == [1]
    clock.now += timedelta(minutes=59)
    assert prover.round() == []
    clock.now += timedelta(minutes=1)
    assert [each.serial for each in prover.round()] == [2]
    clock.now -= timedelta(days=400)  # the clock is put back: heads go on
    assert [each.serial for each in prover.round()] == [3]
    assert prover.round() == []
    _found, faults = heads.load_all(heads.stored(), heads.public_keys())
    assert faults == {}


def test_without_a_key_there_is_no_head(journal: list[Path], settings: Any) -> None:
    settings.HEAD_KEYS = []
    assert Prover().round() == []
    [finding] = proof.check()
    assert (finding.state, finding.sentence) == ("unknown", "No key is set: the heads of the journal are not signed.")


def test_two_processes_make_one_head(journal: list[Path]) -> None:
    """The second one has no leadership; and would it have it, the number is there already."""
    clock = Clock()
    first, second = Prover(clock), Prover(clock)
    second._leadership._own_name = "lain:1"
    assert len(first.round()) == 1
    clock.now += timedelta(hours=1)
    assert second.round() == []


def test_what_is_broken_is_seen_in_an_hour_and_alarms(journal: list[Path]) -> None:
    clock = Clock()
    clock.now = timezone.now()
    prover = Prover(clock)
    prover.round()
    assert [each.state for each in proof.check()] == ["well"]
    original = journal[0].read_bytes()
    journal[0].write_bytes(original.replace(b'"status":200', b'"status":404'))
    clock.now += timedelta(hours=1)
    prover.round()
    assert [(each.state, each.sentence) for each in proof.check()][1:] == [
        ("ill", "1 segment is not as it was written")
    ]
    journal[0].write_bytes(original)
    clock.now += timedelta(hours=1)
    prover.round()
    assert [each.state for each in proof.check()] == ["well"]
    journal[1].unlink()
    clock.now += timedelta(hours=1)
    prover.round()
    assert proof.check()[1].sentence == "1 segment is not as it was written"


def test_all_segments_are_read_again_and_again(journal: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the older ones in each hour: here one."""
    clock = Clock()
    prover = Prover(clock)
    prover.round()
    monkeypatch.setattr("mantra.proof.prover.OLDER_BYTES", 0)
    journal[2].write_bytes(journal[2].read_bytes().replace(b'"status":200', b'"status":404'))
    broken = []
    for _hour in range(4):
        clock.now += timedelta(hours=1)
        broken.append(prover.round()[-1].broken)
    assert broken == [0, 0, 1, 1]


def test_a_gap_in_the_heads_is_seen(journal: list[Path]) -> None:
    for hour in range(5):
        heads.make_due(timezone.now() - timedelta(hours=5 - hour))
    assert [each.state for each in proof.check()] == ["well"]
    row = JournalHead.objects.get(serial=3)
    row.delete()
    assert [each.sentence for each in proof.check()][1:] == ["A head was changed, or is missing."]
    row.save(force_insert=True)
    assert [each.state for each in proof.check()] == ["well"]
    JournalHead.objects.filter(serial=2).update(document=row.document)
    assert [each.sentence for each in proof.check()][1:] == ["A head was changed, or is missing."]


def test_heads_that_stop_are_seen(journal: list[Path]) -> None:
    heads.make_due(timezone.now() - timedelta(hours=3))
    [finding] = proof.check()
    assert (finding.state, finding.advice) == ("ill", "See whether the worker runs, and its log.")


def test_heads_are_kept_as_long_as_the_archive(journal: list[Path]) -> None:
    heads.make_due(NOON)
    days = settings.JOURNAL_DAYS + settings.ARCHIVE_DAYS
    heads.prune(NOON + timedelta(days=days))
    assert JournalHead.objects.count() == 1
    heads.prune(NOON + timedelta(days=days, seconds=1))
    assert JournalHead.objects.count() == 0


def test_a_task_of_the_worker(journal: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from registry import worker_tasks

    found = dict(worker_tasks.made())
    assert isinstance(found["heads"], Prover)
    monkeypatch.setattr("mantra.proof.prover.ROUND", 0.01)
    stop, made = threading.Event(), threading.Event()
    monkeypatch.setattr(found["heads"], "round", lambda: (made.set(), stop.set()))
    found["heads"].run(stop)
    assert made.is_set()


# ----------------------------------------------------------------------------------------- for others


def test_the_digest_is_mailed(journal: list[Path], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HEAD_MAIL = ["bukti@bssn.go.id", "bukan alamat"]
    assert Prover(lambda: NOON - timedelta(days=1)).round()
    assert not OutboxMessage.objects.exists()  # there is no mail server yet
    use(1, monkeypatch)
    settings.BASE_URL = "https://bus.contoh.go.id"
    [made] = Prover(Clock()).round()
    [row] = OutboxMessage.objects.all()
    message, address = composing.compose(row)
    text = message.get_content()
    assert (address, row.user) == ("bukti@bssn.go.id", None)
    assert made.digest in text and "https://bus.contoh.go.id/.well-known/mantra/heads/2" in text


def test_everybody_may_fetch_heads(journal: list[Path], client: Client) -> None:
    heads.make_due(NOON)
    heads.make_due(NOON + timedelta(hours=1))
    first, latest = client.get("/.well-known/mantra/heads/1"), client.get("/.well-known/mantra/heads/latest")
    assert first.content.decode() == JournalHead.objects.get(serial=1).document
    assert latest.content.decode() == JournalHead.objects.get(serial=2).document
    assert first["Cache-Control"] == "public, max-age=31536000"
    assert latest["Cache-Control"] == "public, max-age=60"
    keys = client.get("/.well-known/mantra/heads/keys").json()
    assert keys == {"keys": [{"id": heads.key_id(key), "ed25519": key} for key in heads.public_keys()]}
    program = client.get("/.well-known/mantra/verify_journal.py")
    assert program.content == (Path(settings.BASE_DIR) / "deploy" / "verify_journal.py").read_bytes()
    for missing in ("3", "99999999999999999999", "0", "x"):
        assert client.get(f"/.well-known/mantra/heads/{missing}").status_code == 404
    assert client.post("/.well-known/mantra/heads/1").status_code == 405
    text = first.content.decode() + latest.content.decode()
    for secret in ("kons", "127.0.0.1", settings.JOURNAL_KEY.decode(), settings.HEAD_KEYS[0]):
        assert secret not in text


def test_a_head_is_read_once(journal: list[Path], client: Client, django_assert_num_queries: Any) -> None:
    heads.make_due(NOON)
    client.get("/.well-known/mantra/heads/1")
    with django_assert_num_queries(0):
        client.get("/.well-known/mantra/heads/1")


def test_a_flood_is_refused(journal: list[Path], client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(views, "rate", views._Rate(lambda: now[0]))
    statuses = [client.get("/.well-known/mantra/heads/keys").status_code for _ in range(views.PER_SECOND + 1)]
    assert statuses == [200] * views.PER_SECOND + [429]
    now[0] += 1
    assert client.get("/.well-known/mantra/heads/keys").status_code == 200


def test_heads_can_be_kept_from_others(journal: list[Path], client: Client, settings: Any) -> None:
    heads.make_due(NOON)
    settings.HEADS_PUBLIC = False
    for path in ("heads/1", "heads/latest", "heads/keys", "verify_journal.py"):
        assert client.get(f"/.well-known/mantra/{path}").status_code == 404


# ------------------------------------------------------------------------------------------- Ed25519


def test_the_program_knows_the_vectors_of_rfc_8032(program: ModuleType) -> None:
    """Section 7.1, tests 1 to 3."""
    vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for public, message, signature in vectors:
        assert program.is_signed(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
        assert not program.is_signed(bytes.fromhex(public), bytes.fromhex(message) + b"x", bytes.fromhex(signature))


def test_the_program_agrees_with_the_library(program: ModuleType) -> None:
    for number in range(60):
        key = Ed25519PrivateKey.generate()
        public, message = key.public_key().public_bytes_raw(), os.urandom(number * 7)
        signature = key.sign(message)
        assert program.is_signed(public, message, signature)
        place, bit = number % 64, 1 << number % 8
        damaged = bytes(each ^ bit if at == place else each for at, each in enumerate(signature))
        assert not program.is_signed(public, message, damaged)
        other = bytes(each ^ bit if at == place % 32 else each for at, each in enumerate(public))
        assert not program.is_signed(other, message, signature)
        # The same signature with another spelling of its number is none (RFC 8032, 5.1.7).
        again = (int.from_bytes(signature[32:], "little") + program.L).to_bytes(32, "little")
        assert not program.is_signed(public, message, signature[:32] + again)
    assert not program.is_signed(b"\xff" * 32, b"", b"\0" * 64)
    assert not program.is_signed(public, message, signature[:-1])
