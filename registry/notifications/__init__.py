"""Messages to people: in the admin (the bell) and by e-mail, through an outbox.

notify() and mail() write rows in the caller's transaction: a message exists only if its event happened. A worker
process sends the e-mail. Free text and personal data are in no message, which says what happened and where to read it.
"""

from registry.models import Event, Way
from registry.notifications.kinds import KINDS, Month
from registry.notifications.names import operation_name
from registry.notifications.smtp import is_configured as mail_is_configured
from registry.notifications.writing import first_time, mail, notify, seen, wanting

__all__ = [
    "KINDS",
    "Event",
    "Month",
    "Way",
    "first_time",
    "mail",
    "mail_is_configured",
    "notify",
    "operation_name",
    "seen",
    "wanting",
]
