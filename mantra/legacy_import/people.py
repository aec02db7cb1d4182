"""Users of 1.99x as ours: their role, their agency, and a password that goes on working where it safely can."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from mantra.legacy_import.old import OldUser
from mantra.legacy_import.translating import names
from mantra.legacy_import.translating.passwords import PasswordKind, password_of
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from registry import roles
from registry.models import Agency, User

#: Roles of 1.99x that have one here. The others had no rights there.
ROLES = {
    "administrator": roles.ADMINISTRATOR,
    "supervisor": roles.SUPERVISOR,
    "provider": roles.PROVIDER,
    "publisher": roles.PUBLISHER,
    "requester": roles.REQUESTER,
}
_FULL_NAME = 150


def user_of(old: OldUser, agency: Agency | None, emails: set[str]) -> tuple[User, str, list[Remark]]:
    """Return a user that is not stored yet, the role, "" for none, and what a person must know.

    ``emails``: the addresses that users have, in lower case; the user's is added.
    """
    said: list[Remark] = []
    role = ROLES.get(old.role, "")
    if not role:
        said.append(remark(Kind.ROLE_WITHOUT_RIGHTS, role=old.role))
    elif agency is None and role not in roles.WITHOUT_AGENCY:
        said.append(remark(Kind.ROLE_NEEDS_AGENCY, role=old.role))
        role = ""
    user = User(
        username=_username(old.username, said), first_name=old.full_name.strip()[:_FULL_NAME], agency=agency,
        is_active=old.active and bool(role), is_staff=bool(role),
    )  # fmt: skip
    if role == roles.ADMINISTRATOR:
        # A dump must not decide who runs the bus: its history holds what signs in there.
        user.is_active = False
        said.append(remark(Kind.ADMINISTRATOR_INACTIVE))
    user.email = _email(old.email, emails, said)
    _set_password(user, old.password, said)
    return user, role, said


def _username(old: str, said: list[Remark]) -> str:
    """Return the name that a user signs in with: the old one, unless no user can have it here."""
    name = names.username_of(old)
    if name != old.strip():
        name = names.username_of(old, list(User.objects.values_list("username", flat=True)))
        said.append(remark(Kind.USERNAME_CHANGED, old=old, new=name))
    return name


def _email(text: str, emails: set[str], said: list[Remark]) -> str:
    """Return the first address of a text that is one and is nobody's else."""
    found = [each for each in text.replace(";", ",").replace(" ", ",").split(",") if each]
    for each in found:
        try:
            validate_email(each)
        except ValidationError:
            continue
        if each.lower() in emails:
            said.append(remark(Kind.EMAIL_TAKEN))
            return ""
        emails.add(each.lower())
        if len(found) > 1:
            said.append(remark(Kind.EMAIL_CUT))
        return each
    if found:
        said.append(remark(Kind.EMAIL_INVALID))
    return ""


def _set_password(user: User, passkey: str, said: list[Remark]) -> None:
    password = password_of(passkey)
    if password.kind == PasswordKind.BCRYPT:
        user.password = password.encoded
        return
    # In base64 it was as good as plain: whoever has a dump knows it.
    user.set_unusable_password()
    said.append(remark(Kind.PASSWORD_RESET))


def store(user: User, role: str, groups: Mapping[str, Group]) -> list[str]:
    """Store a new user with the role. Return what rules it breaks; nothing is stored then."""
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        return error.messages
    user.save()
    user.groups.set([groups[role]] if role else [])
    return []
