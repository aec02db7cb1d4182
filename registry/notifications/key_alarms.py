"""Keys that are used from networks from which they were not used lately, as shipping has marked them."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from registry.models import AccessKey, Event, KeyNetwork
from registry.notifications.recipients import members
from registry.notifications.writing import first_time, notify

#: The most keys that one round looks at.
BATCH = 200


def report(now: datetime) -> int:
    """Notify the agencies of keys that were used from new networks, of each key once a day. Return the number of keys.

    What comes later on that day waits for the next one: a key that moves about makes one message a day.
    """
    marked = KeyNetwork.objects.filter(is_new=True, first_at__lte=now).order_by("first_at", "pk")
    day = timezone.localdate(now)
    keys = list(dict.fromkeys(marked.values_list("key", flat=True)[: BATCH * 10]))[:BATCH]
    return sum(_report(key, str(day)) for key in keys)


@transaction.atomic
def _report(pk: int, day: str) -> bool:
    key = AccessKey.objects.select_related("application__agency").filter(pk=pk).first()
    if key is None or not first_time(f"{Event.KEY_NEW_NETWORK}:{pk}:{day}"):
        return False
    new = KeyNetwork.objects.select_for_update().filter(key=key, is_new=True)
    found = list(new.order_by("-first_at", "-pk").values_list("pk", "network"))
    KeyNetwork.objects.filter(pk__in=[each for each, _network in found]).update(is_new=False)
    if not found or not key.is_active:  # nobody needs to act on a key that opens nothing any more
        return False
    notify(
        Event.KEY_NEW_NETWORK,
        members(key.application.agency, "registry.change_application"),
        about=key,
        application=str(key.application),
        key=key.public,
        network=found[0][1],
        networks=len(found),
    )
    return True
