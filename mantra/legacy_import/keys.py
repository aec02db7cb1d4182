"""Keys of 1.99x with their applications and grants, written many at a time: there are thousands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.legacy_import import orders
from mantra.legacy_import.ledger import Ledger
from mantra.legacy_import.models import ImportedRow, OldTable, Outcome
from mantra.legacy_import.old import OldOrder
from mantra.legacy_import.old_programs import OldPrograms, remarks_on
from mantra.legacy_import.orders import Holding
from mantra.legacy_import.placing import rules
from mantra.legacy_import.translating import names
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from registry import secrets
from registry.models import AccessKey, Application, Grant, GrantTerms, Operation, User
from registry.models.changes import together

#: Orders that are written in one transaction.
CHUNK = 200


def take(
    ledger: Ledger,
    old: Iterable[OldOrder],
    operations: Mapping[int, Operation],
    users: Mapping[str, User],
    programs: OldPrograms,
    keep: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> None:
    """Make applications, keys and grants of the orders. ``operations``: by old id; ``users``: by name in lower case.

    ``keep`` is called within each transaction, ``progress`` after it with the lines of the ledger.
    """
    new: list[OldOrder] = []
    for order in old:
        before = ledger.before(OldTable.ORDERS, order.id)
        if before is None or (before.ref is None and before.outcome in (Outcome.REFUSED, Outcome.PERSON)):
            # What was missing, such as the operation or the user's agency, may be here now.
            new.append(order)
            continue
        state = _state(order)
        needs = programs.needs(order.key) if before.ref is not None and order.active else {}
        if before.parts == state | _as_texts(needs) or not before.parts:
            ledger.repeat(before)
        elif needs and before.parts.items() >= state.items():
            _switch_on(ledger, order, before, needs)
        elif not order.active and before.ref is not None:
            _close(ledger, order, before.ref, state)
        else:
            new.append(order)
    taking = _Taking(ledger, operations, users, programs)
    for _chunk in taking.all_of(orders.plan(new, operations, users), keep):
        progress(len(ledger.lines))


def _state(order: OldOrder) -> dict[str, str]:
    """Return what is compared with the next run."""
    return {"active": str(order.active), "key": secrets.key_digest(order.key)}


def _as_texts(needs: Mapping[str, bool]) -> dict[str, str]:
    return {name: str(is_on) for name, is_on in needs.items()}


def _switch_on(ledger: Ledger, order: OldOrder, before: ImportedRow, needs: Mapping[str, bool]) -> None:
    """Switch on what the last run did not know that a key needs. What was switched off here since stays off."""
    new = {name: is_on for name, is_on in needs.items() if name not in before.parts}
    key = AccessKey.objects.filter(digest=secrets.key_digest(order.key), revoked_at=None).first()
    if key is not None and new:
        for name, is_on in new.items():
            setattr(key, name, is_on)
        key.save()
    # The line of the last run is not stored again: this run's is made of it.
    before.remarks = [*before.remarks, *([each.kind.value, {}] for each in remarks_on(new))]
    before.parts = before.parts | _as_texts(new)
    before.outcome = Outcome.CHANGED if before.outcome == Outcome.TAKEN else before.outcome
    ledger.repeat(before)


def _close(ledger: Ledger, order: OldOrder, ref: int, state: dict[str, str]) -> None:
    """Revoke the grant of an order that was closed there since the last run."""
    with transaction.atomic(), together():
        grant = Grant.objects.filter(pk=ref).first()
        if grant is not None and grant.state != Grant.State.REVOKED:
            grant.set_state(Grant.State.REVOKED)
    ledger.add(OldTable.ORDERS, order.id, [remark(Kind.ORDER_CLOSED)], grant, state, Outcome.OMITTED)


class _Taking:
    def __init__(
        self, ledger: Ledger, operations: Mapping[int, Operation], users: Mapping[str, User], programs: OldPrograms
    ) -> None:
        self.ledger, self.operations, self.users, self.programs = ledger, operations, users, programs
        #: Digests of keys that are here, with their application.
        self.keys = dict(AccessKey.objects.values_list("digest", "application_id"))
        self.said: dict[int, list[Remark]] = {}

    def all_of(self, plan: orders.Plan, keep: Callable[[], None]) -> Iterator[None]:
        """Take all orders, and yield after each transaction."""
        for order in plan.closed:
            self._add(order, [remark(Kind.ORDER_CLOSED)], Outcome.OMITTED)
        for order in plan.orphans:
            self._add(order, [remark(Kind.ORDER_ORPHANED)], Outcome.REFUSED)
        for old_id in plan.repeated:
            self.ledger.add(OldTable.ORDERS, old_id, [remark(Kind.ORDER_REPEATED)], outcome=Outcome.MERGED)
        for order in plan.unusable:
            self.said.setdefault(order.id, []).append(remark(Kind.KEY_UNUSABLE))
        for order in plan.foreign:
            self.said.setdefault(order.id, []).append(remark(Kind.KEY_OF_OTHERS))
        for start in range(0, len(plan.holdings), 20):
            with transaction.atomic(), together():
                for holding in plan.holdings[start : start + 20]:
                    self._holding(holding)
                keep()
            yield

    def _add(
        self, order: OldOrder, said: list[Remark], outcome: Outcome | None = None, grant: Grant | None = None
    ) -> None:
        needs = self.programs.needs(order.key) if grant is not None and orders.is_usable(order.key) else {}
        said = [*said, *self.said.get(order.id, ()), *remarks_on(needs)]
        self.ledger.add(OldTable.ORDERS, order.id, said, grant, _state(order) | _as_texts(needs), outcome)

    def _holding(self, holding: Holding) -> None:
        user = self.users[holding.username]
        if user.agency is None:
            for order in holding.orders:
                self._add(order, [remark(Kind.USER_WITHOUT_AGENCY)], Outcome.PERSON)
            return
        try:
            application = self._application(holding, user)
        except ValidationError as error:
            for order in holding.orders:
                self._add(order, rules(error.messages))
            return
        grants = self._grants(application, holding)
        self._keys(application, holding)
        shared = [remark(Kind.KEY_SHARED)] if holding.shared_key else []
        for order in holding.orders:
            self._add(order, shared, None, grants[order.operation_id])

    def _application(self, holding: Holding, user: User) -> Application:
        """Return the application of a user, or that of a key which opens several operations, made if need be."""
        assert user.agency is not None
        agency = user.agency
        title = (user.get_full_name() or user.username)[:200]
        if holding.shared_key:
            digest = secrets.key_digest(holding.shared_key)
            if digest in self.keys:
                return Application.objects.select_related("agency").get(pk=self.keys[digest])
            title = _("%(name)s: one key for several operations") % {"name": title[:150]}
        code = names.code_of(user.username)
        there = Application.objects.select_related("agency").filter(agency=agency, code__iexact=code).first()
        if there is not None and not holding.shared_key:
            return there
        taken = list(Application.objects.filter(agency=agency).values_list("code", flat=True))
        application = Application(agency=agency, code=names.code_of(user.username, taken), title=title)
        application.full_clean()
        application.save()
        return application

    def _grants(self, application: Application, holding: Holding) -> dict[int, Grant]:
        """Return the grant for each operation of a holding, by its old id. One that is there stays as it is."""
        wanted = {old_id: self.operations[old_id].pk for old_id in holding.operations}
        there = {
            grant.operation_id: grant
            for grant in Grant.objects.filter(application=application).select_related(
                "application__agency", "operation__service__agency"
            )
        }
        purpose = _("Access of MANTRA 1.99x")
        new = [
            Grant(application=application, operation=self.operations[old_id], purpose=purpose)
            for old_id in {pk: old_id for old_id, pk in wanted.items()}.values() if wanted[old_id] not in there
        ]  # fmt: skip
        Grant.objects.bulk_create(new)
        now = timezone.now()
        GrantTerms.objects.bulk_create([GrantTerms(grant_ref=grant.pk, since=now, purpose=purpose) for grant in new])
        there |= {grant.operation_id: grant for grant in new}
        return {old_id: there[pk] for old_id, pk in wanted.items()}

    def _keys(self, application: Application, holding: Holding) -> None:
        new: list[AccessKey] = []
        for order in holding.orders:
            digest = secrets.key_digest(order.key)
            if not orders.is_usable(order.key):
                continue
            if digest in self.keys:
                if self.keys[digest] != application.pk:
                    self.said.setdefault(order.id, []).append(remark(Kind.KEY_OF_OTHERS))
                continue
            self.keys[digest] = application.pk
            key = AccessKey(application=application, digest=digest, public=secrets.public_part(order.key))
            key.operation = None if holding.shared_key else self.operations[order.operation_id]
            for name, is_on in self.programs.needs(order.key).items():
                setattr(key, name, is_on)
            new.append(key)
        AccessKey.objects.bulk_create(new)
