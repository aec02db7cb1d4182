"""Make an administrator: the first one of a new bus, or one more."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from registry.models import User
from registry.tenancy import ADMINISTRATOR


class Command(BaseCommand):
    help = "Make an administrator. Without --password-file a random password is printed, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", default="")
        parser.add_argument("--password-file", metavar="FILE", help="the file whose first line is the password")

    def handle(self, *args: Any, **options: Any) -> None:
        username, chosen = options["username"], options["password_file"]
        if User.objects.filter(username=username).exists():
            raise CommandError(f"There is a user {username} already.")
        password = _first_line(chosen) if chosen else secrets.token_urlsafe(18)
        user = User(username=username, email=options["email"], is_staff=True, is_superuser=True)
        user.set_password(password)
        try:
            user.full_clean()
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        with transaction.atomic():
            user.save()
            user.groups.add(Group.objects.get_or_create(name=ADMINISTRATOR)[0])
        self.stderr.write(f"Administrator {username} was made." + ("" if chosen else " The password, shown this once:"))
        if not chosen:
            self.stdout.write(password)


def _first_line(name: str) -> str:
    try:
        lines = Path(name).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"The file {name} cannot be read.") from None
    if not lines or not lines[0]:
        raise CommandError(f"The file {name} holds no password.")
    return lines[0]
