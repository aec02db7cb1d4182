from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from mantra import well_known
from mantra.access_requests.views import request_access
from mantra.catalogue import views as catalogue_views
from mantra.gateway.signatures import response_keys
from mantra.gateway.signatures.views import published_keys
from mantra.health import board as health_board
from mantra.help import views as help_views
from mantra.home import server
from mantra.tryout import answers, explain, refused, views

# There is one way to sign in and one page of the password.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[assignment]
handler429 = "mantra.people.sign_in.too_many_requests"

urlpatterns = [
    path("", catalogue_views.start_page),
    path(".well-known/mantra/", include("mantra.proof.urls")),
    path("account/", include("mantra.people.urls")),
    path("admin/try/<int:operation_id>/", admin.site.admin_view(views.try_operation), name="try_operation"),
    path(
        "admin/explain/<int:operation_id>/",
        admin.site.admin_view(explain.explain_operation),
        name="explain_operation",
    ),
    path("admin/compare/<int:operation_id>/", admin.site.admin_view(answers.compare_answers), name="compare_answers"),
    path("admin/why/", admin.site.admin_view(refused.why_refused), name="why_refused"),
    path("admin/health/", admin.site.admin_view(health_board.board), name="health_board"),
    path("admin/server/", admin.site.admin_view(server.server), name="server"),
    path("admin/statistics/", include("mantra.statistics.urls")),
    path("admin/publish/", include("mantra.wizard.urls")),
    path("admin/verify/", include("mantra.verification.urls")),
    path("admin/exports/", include("mantra.exports.urls")),
    path("admin/reconciliations/", include("mantra.reconciliation.urls")),
    path("admin/moving-in/", include("mantra.legacy_import.pages.urls")),
    path("admin/containment/", include("mantra.containment.urls")),
    path("admin/subject-access/", include("mantra.subject_access.urls")),
    path("admin/keys/", include("mantra.key_use.urls")),
    path("admin/jobs/", include("mantra.jobs.urls")),
    path("admin/notifications/", include("mantra.notifications.urls")),
    path("admin/", admin.site.urls),
    path("catalog/", include("mantra.contracts.urls")),
    path("catalog/<str:agency>/<str:service>/<str:operation>/request", request_access, name="request_access"),
    path("catalog/", include("mantra.catalogue.urls")),
    path(response_keys.PATH, published_keys, name="response_keys"),
    path("help/", help_views.index, name="help"),
    path("help/<str:name>/", help_views.page, name="help_guide"),
    path("manage/api/v1/", include("mantra.api.urls")),
    path(".well-known/oauth-authorization-server", well_known.authorization_server),
    path("i18n/", include("django.conf.urls.i18n")),
]
