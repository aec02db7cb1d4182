"""Users: made by administrators only, with one role each, and nobody lifts himself up."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.urls import reverse

from registry.models import Agency, User
from tests.admin.conftest import SignIn, make_user

ADD = "/admin/registry/user/add/"
NEW = {"email": "baru@contoh.go.id", "first_name": "Baru"}
PASSWORD = {"password1": "sandi-yang-panjang-9", "password2": "sandi-yang-panjang-9"}


def errors(response: Any) -> dict[str, Any]:
    form = response.context["adminform"].form if "adminform" in response.context else response.context["form"]
    return dict(form.errors)


def change(user: User) -> str:
    return reverse("admin:registry_user_change", args=(user.pk,))


def test_it_works(sign_in: SignIn, stranger: Agency) -> None:
    admin = sign_in("Administrator")
    response = admin.post(ADD, {**NEW, "role": "Provider", "agency": stranger.pk})
    assert response.status_code == 200
    assert response.context["invited"].email == NEW["email"]
    made = User.objects.get(username=NEW["email"])
    assert [group.name for group in made.groups.all()] == ["Provider"]
    assert (made.agency, made.is_staff, made.is_superuser) == (stranger, True, False)
    assert not made.has_usable_password()
    admin.post(change(made), {**NEW, "username": "baru", "is_active": "on", "role": "Supervisor", "agency": ""})
    made = User.objects.get(pk=made.pk)
    assert [group.name for group in made.groups.all()] == ["Supervisor"]
    assert made.agency is None


def test_a_password_set_by_hand_must_be_good(sign_in: SignIn, stranger: Agency) -> None:
    user = make_user("Provider", stranger, "lama")
    admin, address = sign_in("Administrator"), reverse("admin:auth_user_password_change", args=(user.pk,))
    for password in ("", "pendek", "1234567890"):
        response = admin.post(address, {"password1": password, "password2": password, "usable_password": "true"})
        assert set(errors(response)) & {"password1", "password2"}
    assert admin.post(address, {**PASSWORD, "usable_password": "true"}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(PASSWORD["password1"])
    assert user.must_change_password


def test_a_role_is_needed_and_most_roles_need_an_agency(sign_in: SignIn, stranger: Agency) -> None:
    admin = sign_in("Administrator")
    assert "role" in errors(admin.post(ADD, {**NEW, "agency": stranger.pk}))
    assert "role" in errors(admin.post(ADD, {**NEW, "agency": stranger.pk, "role": "Dewa"}))
    for role in ("Head", "Provider", "Publisher", "Requester"):
        assert "agency" in errors(admin.post(ADD, {**NEW, "role": role}))
    admin.post(ADD, {**NEW, "role": "Administrator"})
    assert User.objects.get(username=NEW["email"]).groups.get().name == "Administrator"


def test_the_form_sets_no_superuser_and_no_rights_of_its_own(sign_in: SignIn, stranger: Agency) -> None:
    admin = sign_in("Administrator")
    more = {"is_superuser": "on", "is_staff": "", "groups": "1", "user_permissions": "1"}
    admin.post(ADD, {**NEW, "role": "Requester", "agency": stranger.pk, **more})
    made = User.objects.get(username=NEW["email"])
    assert not made.is_superuser
    assert made.groups.count() == 1
    assert not made.user_permissions.exists()


def test_others_cannot_touch_users(sign_in: SignIn, stranger: Agency) -> None:
    for role in ("Head", "Provider", "Publisher", "Requester", "Supervisor"):
        client = sign_in(role, stranger)
        own = User.objects.get(username=f"{role.lower()}-asing")
        assert client.post(ADD, {**NEW, "role": "Administrator"}).status_code == 403
        assert client.post(change(own), {"username": "x", "role": "Administrator"}).status_code == 403
        assert client.post(change(own).replace("change", "password"), {"password1": "x"}).status_code == 403
        assert [group.name for group in User.objects.get(pk=own.pk).groups.all()] == [role]


def test_an_administrator_cannot_take_over_a_superuser(sign_in: SignIn) -> None:
    root = make_user("Administrator", username="root", is_superuser=True)
    client = sign_in("Administrator")
    assert client.post(change(root), {"username": "root", "role": "Requester"}).status_code == 403
    assert client.post(reverse("admin:auth_user_password_change", args=(root.pk,)), PASSWORD).status_code == 403
    assert sign_in("Administrator", username="root").get(change(root)).status_code == 200


def test_users_are_switched_off_not_deleted(sign_in: SignIn, stranger: Agency) -> None:
    user = make_user("Provider", stranger, "lama")
    client = sign_in("Administrator")
    assert client.post(reverse("admin:registry_user_delete", args=(user.pk,)), {"post": "yes"}).status_code == 403
    client.post(change(user), {**NEW, "username": "lama", "role": "Provider", "agency": stranger.pk})
    assert not User.objects.get(pk=user.pk).is_active


def test_no_page_of_groups_is_left(sign_in: SignIn) -> None:
    assert sign_in("Administrator", username="root", is_superuser=True).get("/admin/auth/group/").status_code == 404


def test_roles_are_named_in_the_readers_language(sign_in: SignIn, stranger: Agency) -> None:
    make_user("Publisher", stranger)
    admin = sign_in("Administrator")
    assert "Pengelola proksi" in admin.get(reverse("admin:registry_user_changelist")).content.decode()
    assert "Penyedia data: Mengelola layanan" in admin.get(ADD).content.decode()


def test_neither_log_nor_page_holds_a_password(sign_in: SignIn, stranger: Agency) -> None:
    user = make_user("Provider", stranger, "lama")
    address = reverse("admin:auth_user_password_change", args=(user.pk,))
    sign_in("Administrator").post(address, {**PASSWORD, "usable_password": "true"})
    entry = LogEntry.objects.get()
    assert PASSWORD["password1"] not in entry.change_message + entry.object_repr
    page = sign_in("Supervisor").get(change(user)).content.decode()
    user.refresh_from_db()
    # Django's own widget shows as much of it.
    assert user.password.rpartition("$")[2][:6] not in page
