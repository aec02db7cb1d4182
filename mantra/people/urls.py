"""The addresses of signing in. The names are those that django-allauth knows; what is not here is not offered."""

from allauth.mfa.webauthn.views import login_webauthn
from allauth.socialaccount.providers.openid_connect.views import callback, login
from django.urls import path, re_path
from django.views.generic import RedirectView

from mantra.people import factors, own_sessions, sign_in

urlpatterns = [
    path("login/", sign_in.SignIn.as_view(), name="account_login"),
    path("invitation/<str:token>/", sign_in.accept_invitation, name="invitation"),
    path("password/", sign_in.ChangePassword.as_view(), name="account_change_password"),
    path("password/forgotten/", sign_in.AskReset.as_view(), name="account_reset_password"),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        sign_in.Reset.as_view(),
        name="account_reset_password_from_key",
    ),
    path("confirm/", factors.ConfirmPassword.as_view(), name="account_reauthenticate"),
    path("sessions/", own_sessions.own_sessions, name="own_sessions"),
    path("second-factor/", factors.Factors.as_view(), name="mfa_index"),
    path("second-factor/code/", factors.Code.as_view(), name="mfa_authenticate"),
    path("second-factor/confirm/", factors.ConfirmCode.as_view(), name="mfa_reauthenticate"),
    path("second-factor/app/", factors.Activate.as_view(), name="mfa_activate_totp"),
    path("second-factor/app/remove/", factors.Deactivate.as_view(), name="mfa_deactivate_totp"),
    path("second-factor/recovery-codes/", factors.RecoveryCodes.as_view(), name="mfa_view_recovery_codes"),
    path("second-factor/recovery-codes/new/", factors.NewRecoveryCodes.as_view(), name="mfa_generate_recovery_codes"),
    path("second-factor/passkeys/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("second-factor/passkeys/add/", factors.AddPasskey.as_view(), name="mfa_add_webauthn"),
    path("second-factor/passkeys/confirm/", factors.ConfirmPasskey.as_view(), name="mfa_reauthenticate_webauthn"),
    path("second-factor/passkeys/login/", login_webauthn, name="mfa_login_webauthn"),
    path("second-factor/passkeys/<int:pk>/remove/", factors.RemovePasskey.as_view(), name="mfa_remove_webauthn"),
    path("sso/<slug:provider_id>/login/", login, name="openid_connect_login"),
    path("sso/<slug:provider_id>/callback/", callback, name="openid_connect_callback"),
]
