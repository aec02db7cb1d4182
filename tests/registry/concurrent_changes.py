"""Many writers at once and one reader of the change log, on the database of MANTRA_DATABASE_URL, which is empty.

    python -m tests.registry.concurrent_changes

Prints a JSON object: what went wrong, by what was tried.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import django

django.setup()

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from dataservices.models import DataOperation, DataSource
from registry import deletion
from registry.models import AccessKey, Agency, Application, Grant, Operation, Service, User
from registry.snapshot import holder
from registry.snapshot.loader import Loader

WRITERS, ROUNDS, ROWS = 4, 12, 8


class RolledBack(Exception):
    pass


def make_tables() -> None:
    with connection.schema_editor() as editor:
        for model in apps.get_models():
            if not model._meta.proxy:
                editor.create_model(model)


def fill() -> None:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    source = DataSource.objects.create(agency=agency, code="uji", engine="sqlite", database="uji.sqlite3")
    service = Service.objects.create(agency=agency, code="data", title="Data")
    for number in range(ROWS):
        operation = DataOperation.objects.create(
            service=service, code=f"op{number}", source=source, sql="SELECT 1", state="published"
        )
        application = Application.objects.create(agency=agency, code=f"app{number}", title="Aplikasi")
        AccessKey.issue(application)
        Grant.objects.create(application=application, operation=operation, purpose="uji")


def _toggle_key(pick: random.Random) -> None:
    key = AccessKey.objects.order_by("pk")[pick.randrange(ROWS)]
    key.revoked_at = None if key.revoked_at else key.created_at
    key.save(update_fields=["revoked_at"])


def _toggle_application(pick: random.Random) -> None:
    rows = Application.objects.filter(code=f"app{pick.randrange(ROWS)}")
    rows.update(active=pick.random() < 0.7)


def _edit_operation(pick: random.Random) -> None:
    row = DataOperation.objects.get(code=f"op{pick.randrange(ROWS)}")
    row.title, row.state = f"Judul {pick.random()}", pick.choice(["published", "draft", "retired"])
    row.save()


def _replace_grant(pick: random.Random) -> None:
    number = pick.randrange(ROWS)
    operation, application = Operation.objects.get(code=f"op{number}"), Application.objects.get(code=f"app{number}")
    Grant.objects.filter(operation=operation, application=application).delete()
    # Another writer may have created it meanwhile.
    with suppress(RolledBack, IntegrityError), transaction.atomic():
        Grant.objects.create(operation=operation, application=application, purpose="uji", quota=f"{number + 1}/day")
        if pick.random() < 0.3:
            raise RolledBack


CHANGES: list[Callable[[random.Random], None]] = [_toggle_key, _toggle_application, _edit_operation, _replace_grant]


def write(seed: int, failures: list[str]) -> None:
    pick = random.Random(seed)
    try:
        for _round in range(ROUNDS):
            with suppress(RolledBack), transaction.atomic():
                for change in pick.sample(CHANGES, pick.randint(1, 3)):
                    change(pick)
                if pick.random() < 0.2:
                    raise RolledBack
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def lost() -> list[Any]:
    """What the followed snapshot holds otherwise than one that is read anew."""
    followed, anew = holder.refresh(), Loader()
    anew.poll()
    while anew.step():
        pass
    assert anew.snapshot is not None
    found: list[Any] = [
        name for name in ("keys", "grants", "services") if getattr(followed, name) != getattr(anew.snapshot, name)
    ]
    told = [
        {place: (each.id, each.revision, each.state, each.title) for place, each in one.operations.items()}
        for one in (followed, anew.snapshot)
    ]
    return found + (["operations"] if told[0] != told[1] else [])


def storm() -> list[Any]:
    failures: list[str] = []
    holder.refresh()
    writers = [threading.Thread(target=write, args=(seed, failures)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        holder.refresh()
    return failures + lost()


def late_commit() -> list[Any]:
    """A transaction that began first and commits last, with another one begun in between."""
    Application.objects.update(active=True)
    AccessKey.objects.update(revoked_at=None)
    holder.refresh()
    first, second = AccessKey.objects.order_by("pk")[:2]
    begun, seen_between = threading.Event(), []

    def revoke_second() -> None:
        begun.set()
        second.revoke()
        connection.close()

    with transaction.atomic():
        first.revoke()
        other = threading.Thread(target=revoke_second)
        other.start()
        begun.wait(10)
        reader = threading.Thread(target=lambda: (seen_between.append(holder.refresh()), connection.close()))
        reader.start()
        reader.join(10)
    other.join(10)
    held = holder.refresh().keys
    wrong = ["not both are shut out"] if {first.digest, second.digest} & held.keys() else []
    return wrong + ([] if first.digest in seen_between[0].keys else ["seen before the commit"])


def issued_at_once() -> list[Any]:
    """More active keys than an application may have, after several threads issued one each at the same time."""
    application = Application.objects.create(agency=Agency.objects.get(), code="baru", title="Aplikasi")
    start, wrong = threading.Barrier(WRITERS), []

    def issue() -> None:
        try:
            start.wait(10)
            AccessKey.issue(application)
        except ValidationError:
            pass
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=issue) for _thread in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    active = AccessKey.active().filter(application=application).count()
    return wrong + ([] if active == AccessKey.MAX_ACTIVE else [f"{active} active keys"])


def deletion_meanwhile() -> list[Any]:
    """An application is deleted while a key for it is issued that nobody else sees yet."""
    user = User.objects.create(username="pengelola", is_superuser=True)
    application = Application.objects.create(agency=Agency.objects.get(), code="dihapus", title="Baru")
    begun, outcome = threading.Event(), []

    def delete() -> None:
        begun.set()
        try:
            deletion.delete(user, application)
            outcome.append("deleted")
        except (deletion.InUse, IntegrityError) as error:
            outcome.append(type(error).__name__)
        connection.close()

    with transaction.atomic():
        AccessKey.issue(Application.objects.get(pk=application.pk))
        other = threading.Thread(target=delete)
        other.start()
        begun.wait(10)
    other.join(10)
    kept = AccessKey.objects.filter(application__code="dihapus").count() == 1
    return [] if outcome == ["InUse"] and kept else [*outcome, "the key is gone" if not kept else ""]


def main() -> None:
    make_tables()
    fill()
    outcomes = {
        "storm": storm(),
        "late_commit": late_commit(),
        "issued_at_once": issued_at_once(),
        "deletion": deletion_meanwhile(),
    }
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
