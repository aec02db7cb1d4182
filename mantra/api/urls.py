"""The paths under /manage/api/v1/."""

from django.contrib.auth.decorators import user_passes_test
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import DefaultRouter

from mantra.api import access_requests, alarms, containment, subject_access, views
from mantra.api.authentication import may_read_description

router = DefaultRouter()
router.include_format_suffixes = False
router.include_root_view = False
router.register("agencies", views.Agencies)
router.register("users", views.Users)
router.register("sources", views.Sources)
router.register("backends", views.Backends)
router.register("uploaded-tables", views.UploadedTables)
router.register("services", views.Services)
router.register("operations", views.Operations)
router.register("publish-requests", views.PublishRequests)
router.register("access-requests", access_requests.AccessRequests)
router.register("applications", views.Applications)
router.register("keys", views.Keys)
router.register("client-certificates", views.ClientCertificates)
router.register("grants", views.Grants)
router.register("stops", containment.Stops)
router.register("incidents", containment.Incidents)
router.register("alarm-rules", alarms.AlarmRules)
router.register("alarms", alarms.Alarms)
router.register("calls", views.Calls)
router.register("changes", views.Changes)
router.register("subject-access", subject_access.SubjectAccess, basename="subject-access")

#: A page for people: they are sent to the sign-in.
docs = SpectacularSwaggerView.as_view(url_name="manage-api:schema")

app_name = "manage-api"
urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", user_passes_test(may_read_description)(docs), name="docs"),
    path("", include(router.urls)),
]
