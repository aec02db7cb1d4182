"""Every setting of the bus, read from the environment. docs/operations.md explains each one.

A setting NAME may also be set as NAME_FILE, the path of a file with the value, as Docker and Kubernetes pass secrets.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class _Env(environ.FileAwareEnv):
    """The environment, without the line break at the end of a secret's file."""

    def get_value(self, *args: Any, **kwargs: Any) -> Any:
        value = super().get_value(*args, **kwargs)
        return value.strip() if isinstance(value, str) else value


env = _Env()

# ------------------------------------------------------------------------------------- the installation

#: The folder of the data that must not be lost: the journal, and by default the database and file sources.
VAR_DIR = Path(env("MANTRA_VAR_DIR", default=str(BASE_DIR / "var")))
DEBUG = env.bool("MANTRA_DEBUG", default=False)
ALLOWED_HOSTS = env.list("MANTRA_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
#: The URL by which callers reach the bus, such as https://bus.contoh.go.id; "" means the request's.
BASE_URL = env("MANTRA_BASE_URL", default="").rstrip("/")
#: The number of our own proxies before the bus: only their X-Forwarded-For entries are trusted.
TRUSTED_PROXIES = env.int("MANTRA_TRUSTED_PROXIES", default=0)

#: The folder with fullchain.pem, the bus's own certificate, whose end is watched; "": nginx or another proxy has it.
TLS_DIR = env("MANTRA_TLS_DIR", default="")

#: True: /status/ shows everybody whether the bus and the public services work.
STATUS_PAGE = env.bool("MANTRA_STATUS_PAGE", default=False)

# --------------------------------------------------------------------------------------- secrets

SECRET_KEY = env("MANTRA_SECRET_KEY")
#: Earlier ones: their sessions and links are still taken.
SECRET_KEY_FALLBACKS = [key for key in env("MANTRA_SECRET_KEY_FALLBACKS", default="").split(",") if key]
#: Fernet keys for stored passwords, the newest first.
FIELD_KEYS = [key.strip() for key in env.list("MANTRA_FIELD_KEYS")]
#: Peppers of the access keys' digests as number:secret, the newest first.
KEY_PEPPERS: list[tuple[int, bytes]] = []
for _pepper in env.list("MANTRA_KEY_PEPPERS"):
    _number, _colon, _secret = _pepper.strip().partition(":")  # a file ends with a line break, which is no part of it
    if not _number.isdigit() or len(_secret) < 16:
        raise ImproperlyConfigured(
            "MANTRA_KEY_PEPPERS must have the form number:secret with at least 16 characters each."
        )
    KEY_PEPPERS.append((int(_number), _secret.encode()))
#: Seeds of the Ed25519 keys with which responses are signed, the newest first; it signs, others stay published.
RESPONSE_KEYS: list[bytes] = []
for _seed in filter(None, env("MANTRA_RESPONSE_KEYS", default="").split(",")):
    if not re.fullmatch("[0-9a-fA-F]{64}", _seed):
        raise ImproperlyConfigured("MANTRA_RESPONSE_KEYS must be seeds of 64 hexadecimal digits each.")
    RESPONSE_KEYS.append(bytes.fromhex(_seed))
#: The key of the journal's chain.
JOURNAL_KEY = env("MANTRA_JOURNAL_KEY").encode()
#: Ed25519 keys as 64 hex characters, the newest first: the first signs the journal's heads. Without one there are none.
HEAD_KEYS = env.list("MANTRA_HEAD_KEYS", default=[])

#: The key of hashes in place of masked values. Empty: it is made of the first of FIELD_KEYS, and changes with that.
MASK_KEY = env("MANTRA_MASK_KEY", default="").encode()

# -------------------------------------------------------------------------------------- calls

#: What a monitoring system must send to read /metrics; "": there are no metrics. And the folder of the counts.
METRICS_TOKEN = env("MANTRA_METRICS_TOKEN", default="")
METRICS_DIR = Path(env("MANTRA_METRICS_DIR", default=str(VAR_DIR / "metrics")))
JOURNAL = env.bool("MANTRA_JOURNAL", default=True)
JOURNAL_DIR = Path(env("MANTRA_JOURNAL_DIR", default=str(VAR_DIR / "journal")))
#: The folder in which nonces of signed requests are remembered, where no Redis/Valkey is.
NONCE_DIR = VAR_DIR / "nonces"
#: The secret by which the bus knows its nginx; "": it knows none.
NGINX_SECRET = env("MANTRA_NGINX_SECRET", default="")
#: The secret that nginx has before or after a change of it.
NGINX_SECRET_FALLBACK = env("MANTRA_NGINX_SECRET_FALLBACK", default="")
#: True: nginx may take calls over the fast lane. And the folder that it shares with the bus for that.
FAST_LANE = env.bool("MANTRA_FAST_LANE", default=True)
FAST_LANE_DIR = Path(env("MANTRA_FAST_LANE_DIR", default=str(VAR_DIR / "fast-lane")))
#: Days for which shipped segments are kept as evidence, and records in the call history.
JOURNAL_DAYS = env.int("MANTRA_JOURNAL_DAYS", default=90)
HISTORY_DAYS = env.int("MANTRA_HISTORY_DAYS", default=365)
#: The folder of old segments, as gzip, and the days for which they are kept there; 0 days: none are kept.
JOURNAL_ARCHIVE_DIR = Path(env("MANTRA_JOURNAL_ARCHIVE_DIR", default=str(VAR_DIR / "journal-archive")))
ARCHIVE_DAYS = env.int("MANTRA_ARCHIVE_DAYS", default=1826)
#: Days after which the content of segments and records is erased, such as addresses and hashes of persons: the facts of
#: a call stay, and prove themselves. 0: content stays as long as they do.
CONTENT_DAYS = env.int("MANTRA_CONTENT_DAYS", default=0)
#: True: everybody may fetch the journal's heads. And who gets the digest of each by e-mail.
HEADS_PUBLIC = env.bool("MANTRA_HEADS_PUBLIC", default=True)
HEAD_MAIL = env.list("MANTRA_HEAD_MAIL", default=[])
#: Days for which roll-ups are kept.
STATISTICS_DAYS = env.int("MANTRA_STATISTICS_DAYS", default=1826)
#: True: wait for the disk with every line of the journal, so that a power cut loses none.
AUDIT_FSYNC = env.bool("AUDIT_FSYNC", default=False)
#: Seconds between two checks of a worker process for a changed registry.
SNAPSHOT_SECONDS = env.float("MANTRA_SNAPSHOT_SECONDS", default=0.3)
#: Seconds between two comparisons of the snapshot with all rows of the registry, a few rows at a time.
SNAPSHOT_COMPARE_SECONDS = env.float("MANTRA_SNAPSHOT_COMPARE_SECONDS", default=300)
#: Seconds for which a call waits for a connection of its source's pool.
POOL_SECONDS = env.float("MANTRA_POOL_SECONDS", default=2.0)
#: Threads of a worker process (gunicorn). One source may use at most half of them.
WEB_THREADS = env.int("WEB_THREADS", default=16)
#: A caller is waited for so many seconds in one response, and for what its bytes take at so many bytes a second.
WEB_CALLER_SECONDS = env.float("WEB_CALLER_SECONDS", default=15.0)
WEB_CALLER_RATE = env.int("WEB_CALLER_RATE", default=32768)
#: The most bytes of a row, and of a page, of a data operation's response.
ROW_BYTES = env.int("MANTRA_ROW_MIB", default=32) * 1024 * 1024
MAX_BODY_BYTES = env.int("MANTRA_MAX_BODY_BYTES", default=1_000_000)
#: The most rows of a kind: of the bus, of an agency, of an application (keys), of an operation (from parameters on), of
#: a backend (its servers), of a user (tokens, exports). An agency's grants are those for its operations, its
#: access requests those of its applications.
ROW_LIMITS = {
    "agencies": env.int("MANTRA_MAX_AGENCIES", default=5_000),
    "services": env.int("MANTRA_MAX_SERVICES", default=500),
    "operations": env.int("MANTRA_MAX_OPERATIONS", default=2_000),
    "sources": env.int("MANTRA_MAX_SOURCES", default=200),
    "backends": env.int("MANTRA_MAX_BACKENDS", default=2_000),
    "uploaded_tables": env.int("MANTRA_MAX_UPLOADED_TABLES", default=100),
    "applications": env.int("MANTRA_MAX_APPLICATIONS", default=500),
    "grants": env.int("MANTRA_MAX_GRANTS", default=10_000),
    "keys": env.int("MANTRA_MAX_KEYS", default=1_000),
    "certificates": env.int("MANTRA_MAX_CERTIFICATES", default=20),
    "revoked_tokens": env.int("MANTRA_MAX_REVOKED_TOKENS", default=1_000),
    "parameters": env.int("MANTRA_MAX_PARAMETERS", default=200),
    "fields": env.int("MANTRA_MAX_FIELDS", default=500),
    "backend_servers": env.int("MANTRA_MAX_BACKEND_SERVERS", default=20),
    "mappings": env.int("MANTRA_MAX_MAPPINGS", default=200),
    "verified_fields": env.int("MANTRA_MAX_VERIFIED_FIELDS", default=50),
    "descriptions": env.int("MANTRA_MAX_DESCRIPTIONS", default=50),
    "tokens": env.int("MANTRA_MAX_TOKENS", default=20),
    "versions": env.int("MANTRA_MAX_VERSIONS", default=500),
    "access_requests": env.int("MANTRA_MAX_ACCESS_REQUESTS", default=10_000),
    "saved_filters": env.int("MANTRA_MAX_SAVED_FILTERS", default=50),
    "exports": env.int("MANTRA_MAX_EXPORTS", default=20),
    "reconciliations": env.int("MANTRA_MAX_RECONCILIATIONS", default=200),
    "syncs": env.int("MANTRA_MAX_SYNCS", default=200),
    "stops": env.int("MANTRA_MAX_STOPS", default=1_000),
    "incidents": env.int("MANTRA_MAX_INCIDENTS", default=2_000),
}
#: Seconds for which an access token of an application is valid.
ACCESS_TOKEN_SECONDS = env.int("MANTRA_ACCESS_TOKEN_SECONDS", default=3_600)
#: The most days for which an API token is valid.
MAX_TOKEN_DAYS = env.int("MANTRA_MAX_TOKEN_DAYS", default=366)
#: When a second person of the agency must approve what is published of personal data: available (if the agency has
#: somebody else who may), required (always) or off.
SECOND_PERSON = env("MANTRA_SECOND_PERSON", default="available")
#: When a second person of the offering agency must confirm a grant with specific personal data: as above.
SECOND_PERSON_GRANTS = env("MANTRA_SECOND_PERSON_GRANTS", default="available")
#: Days after which an access request without a decision, or without an answer, falls away.
REQUEST_DAYS = env.int("MANTRA_REQUEST_DAYS", default=60)
#: The folder of agreement files, which only the bus reads; and the most bytes of one.
FILES_DIR = Path(env("MANTRA_FILES_DIR", default=str(VAR_DIR / "files")))
MAX_AGREEMENT_BYTES = env.int("MANTRA_MAX_AGREEMENT_MIB", default=5) * 1024 * 1024
#: The folder of exports, which only the bus reads; the most bytes of one, and the hours for which it is kept.
EXPORT_DIR = Path(env("MANTRA_EXPORT_DIR", default=str(VAR_DIR / "exports")))
MAX_EXPORT_BYTES = env.int("MANTRA_MAX_EXPORT_MIB", default=512) * 1024 * 1024
EXPORT_HOURS = env.int("MANTRA_EXPORT_HOURS", default=72)
#: The most rows of a list that is reconciled with another one, and the days for which the rows of a result are kept.
MAX_RECONCILED_ROWS = env.int("MANTRA_MAX_RECONCILED_ROWS", default=2_000_000)
RECONCILIATION_DAYS = env.int("MANTRA_RECONCILIATION_DAYS", default=30)
#: The folder of jobs, which only the bus reads; the most bytes and rows of a job's file, and the hours for which a job
#: and its results are kept after its end, or while it waits for its owner.
JOB_DIR = Path(env("MANTRA_JOB_DIR", default=str(VAR_DIR / "jobs")))
MAX_JOB_BYTES = env.int("MANTRA_MAX_JOB_MIB", default=200) * 1024 * 1024
MAX_JOB_ROWS = env.int("MANTRA_MAX_JOB_ROWS", default=1_000_000)
JOB_HOURS = env.int("MANTRA_JOB_HOURS", default=72)
#: The most bytes of an uploaded dump of MANTRA 1.99x.
MAX_LEGACY_DUMP_BYTES = env.int("MANTRA_MAX_LEGACY_DUMP_MIB", default=512) * 1024 * 1024
#: The most unfinished jobs of an application, the most bytes of all files of the jobs of an agency, and the jobs that
#: the worker runs at a time.
MAX_JOBS = env.int("MANTRA_MAX_JOBS", default=5)
AGENCY_JOB_BYTES = env.int("MANTRA_AGENCY_JOBS_MIB", default=4096) * 1024 * 1024
JOBS_AT_ONCE = env.int("MANTRA_JOBS_AT_ONCE", default=2)
#: The most bytes of an agency's SQL, and of its service descriptions, each in total.
AGENCY_TEXT_BYTES = env.int("MANTRA_AGENCY_TEXT_MIB", default=64) * 1024 * 1024
#: The folders in which MANTRA 1.99x was installed: its addresses are served with and without them.
LEGACY_FOLDERS = env.list("MANTRA_LEGACY_FOLDERS", default=["mantra"])
#: The store that counts quotas: memory:// (one process) or redis://….
QUOTA_STORE = env("MANTRA_QUOTA_STORE", default="memory://")
#: Calls are allowed or refused while that store is unavailable: allow or refuse.
QUOTA_STORE_DOWN = env("MANTRA_QUOTA_STORE_DOWN", default="allow")
#: Folders of file sources (SQLite). Each agency's files are in a subfolder with its code as name. No other file can be
#: a source.
SOURCE_FILE_DIRS = env.list("MANTRA_SOURCE_FILE_DIRS", default=[str(VAR_DIR / "sources")])
#: The folder of uploaded tables, with a folder for each source. All web containers must share it.
UPLOAD_DIR = Path(env("MANTRA_UPLOAD_DIR", default=str(VAR_DIR / "uploads")))
#: The most bytes of an uploaded file, and of its content when it is unpacked; the most rows and columns of a table.
MAX_UPLOAD_BYTES = env.int("MANTRA_MAX_UPLOAD_MIB", default=64) * 1024 * 1024
MAX_UNPACKED_BYTES = env.int("MANTRA_MAX_UNPACKED_MIB", default=1024) * 1024 * 1024
MAX_UPLOAD_ROWS = env.int("MANTRA_MAX_UPLOAD_ROWS", default=1_048_576)
MAX_UPLOAD_COLUMNS = env.int("MANTRA_MAX_UPLOAD_COLUMNS", default=300)
#: Memory and computing time of the process that reads an uploaded file.
UPLOAD_MEMORY_BYTES = env.int("MANTRA_UPLOAD_MEMORY_MIB", default=1536) * 1024 * 1024
UPLOAD_SECONDS = env.int("MANTRA_UPLOAD_SECONDS", default=120)
#: The versions of an uploaded table that are kept, and the most bytes that all uploads of a source may have.
UPLOAD_VERSIONS = env.int("MANTRA_UPLOAD_VERSIONS", default=5)
MAX_UPLOADS_BYTES = env.int("MANTRA_MAX_UPLOADS_MIB", default=4096) * 1024 * 1024
#: Networks of permitted upstreams; those with "!" are denied. Empty: all networks but special ones such as loopback and
#: link-local, which need an entry of their own.
UPSTREAM_NETWORKS = [entry.strip() for entry in env("MANTRA_UPSTREAM_NETWORKS", default="").split(",") if entry.strip()]
for _entry in UPSTREAM_NETWORKS:
    try:
        ipaddress.ip_network(_entry.removeprefix("!").strip(), strict=False)
    except ValueError:
        raise ImproperlyConfigured(
            "MANTRA_UPSTREAM_NETWORKS must list networks such as 10.0.0.0/8, with ! before denied ones."
        ) from None

#: True: the description of the management API needs no sign-in.
API_DOCS_OPEN = env.bool("MANTRA_API_DOCS_OPEN", default=False)

# ------------------------------------------------------------------------------------- notifications

#: The mail server that takes the bus's e-mail; "": none, people are notified in the admin only.
SMTP_HOST = env("MANTRA_SMTP_HOST", default="")
#: How the connection is encrypted: starttls (usually port 587), tls (usually 465) or off.
SMTP_TLS = env("MANTRA_SMTP_TLS", default="starttls")
SMTP_PORT = env.int("MANTRA_SMTP_PORT", default={"tls": 465, "off": 25}.get(SMTP_TLS, 587))
#: The certificates of an authority of one's own, as PEM; "": those of the system.
SMTP_CA_FILE = env("MANTRA_SMTP_CA_FILE", default="")
SMTP_USER = env("MANTRA_SMTP_USER", default="")
SMTP_PASSWORD = env("MANTRA_SMTP_PASSWORD", default="")
#: The sender: an address, or a name with the address in angle brackets.
SMTP_FROM = env("MANTRA_SMTP_FROM", default="MANTRA <mantra@localhost>")
#: Seconds for which the bus waits for a response of the mail server.
SMTP_SECONDS = env.float("MANTRA_SMTP_SECONDS", default=20.0)
#: The most e-mails that are sent in a minute.
SMTP_PER_MINUTE = env.int("MANTRA_SMTP_PER_MINUTE", default=60)
#: The most e-mails that wait for the mail server. Beyond them, people are notified in the admin only.
MAX_OUTBOX = env.int("MANTRA_MAX_OUTBOX", default=20_000)
#: Days for which an e-mail is tried, and for which notifications and the outbox are kept.
MAIL_DAYS = env.int("MANTRA_MAIL_DAYS", default=3)
NOTIFICATION_DAYS = env.int("MANTRA_NOTIFICATION_DAYS", default=90)
#: The hour of the daily digest, in MANTRA_TIME_ZONE.
DIGEST_HOUR = env.int("MANTRA_DIGEST_HOUR", default=7)

# ---------------------------------------------------------------------------------------- Django

INSTALLED_APPS = [
    "mantra",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "registry",
    "dataservices",
    "proxyservices",
    "mantra.verification",
    "mantra.jobs",
    "mantra.reconciliation",
    "mantra.synchronization",
    "mantra.legacy_import",
]

MIDDLEWARE = [
    "mantra.content_policy.ContentPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "mantra.language.LanguageMiddleware",
    "mantra.body_limit.BodyLimitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mantra.recorded_changes.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "mantra.people.gate.SignInGate",
]

#: The most bytes of a request to the admin or the management API, and of a bundle; the most fields of a form.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MANTRA_MAX_ADMIN_BODY_BYTES", default=8_000_000)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
MAX_BUNDLE_BYTES = env.int("MANTRA_MAX_BUNDLE_MIB", default=32) * 1024 * 1024

ROOT_URLCONF = "mantra.urls"
WSGI_APPLICATION = "mantra.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mantra.notifications.bell.bell",
            ],
            # The form of dates, which no template chooses for itself.
            "builtins": ["registry.templatetags.moments"],
        },
    },
]

DATABASES = {"default": env.db("MANTRA_DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'mantra.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        # Readers and the one writer do not wait for each other. A writer takes the lock when its transaction begins.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "transaction_mode": "IMMEDIATE",
    }

elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A server that is away is noticed: connecting ends, and so does a connection whose packets nobody acknowledges.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }

#: What all worker processes must know of attempts to sign in and of codes that were used.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "people_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

AUTH_USER_MODEL = "registry.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "registry.people.old_passwords.OldPasswordHasher",  # of users who came from MANTRA 1.99x
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"

# -------------------------------------------------------------------------------------- people who sign in

#: Days for which an invitation is valid, and hours for which a link to reset a password is.
INVITATION_DAYS = env.int("MANTRA_INVITATION_DAYS", default=7)
PASSWORD_RESET_TIMEOUT = env.int("MANTRA_PASSWORD_RESET_HOURS", default=2) * 3600
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "mantra.people.backend.Backend"]

# A name is locked for the address from which it was tried too often, not for other addresses: one hostile address
# locks nobody else out. The limits of allauth below stop many addresses that try one name, and one that tries many.
AXES_FAILURE_LIMIT = env.int("MANTRA_SIGN_IN_FAILURES", default=5)
AXES_COOLOFF_TIME = timedelta(minutes=env.int("MANTRA_SIGN_IN_LOCK_MINUTES", default=15))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "registry.people.lockout.name_of"
AXES_CLIENT_IP_CALLABLE = "registry.people.lockout.address_of"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

ACCOUNT_ADAPTER = "mantra.people.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}  # mantra.people.backend finds users by their e-mail address too
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation proves the address
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,50/h/key", "reset_password": "10/m/ip,5/h/key"}
ACCOUNT_FORMS = {
    "login": "mantra.people.forms.SignInForm",
    "reset_password": "mantra.people.forms.AskResetForm",
    "reset_password_from_key": "mantra.people.forms.ResetForm",
    "change_password": "mantra.people.forms.ChangePasswordForm",
    "reauthenticate": "mantra.people.forms.ConfirmPasswordForm",
}
MFA_ADAPTER = "mantra.people.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "MANTRA"
MFA_TOTP_TOLERANCE = 1  # telephones' clocks differ by some seconds
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "mantra.people.forms.CodeForm",
    "reauthenticate": "mantra.people.forms.ConfirmCodeForm",
    "activate_totp": "mantra.people.forms.ActivateForm",
    "add_webauthn": "mantra.people.forms.AddPasskeyForm",
}

#: Single sign-on: the address of an OpenID Connect provider, the bus's client there, and the name on the button.
OIDC_URL = env("MANTRA_OIDC_URL", default="").rstrip("/")
_oidc = {
    "provider_id": "sso",
    "name": env("MANTRA_OIDC_NAME", default="SSO"),
    "client_id": env("MANTRA_OIDC_CLIENT_ID", default=""),
    "secret": env("MANTRA_OIDC_CLIENT_SECRET", default=""),
    "settings": {"server_url": OIDC_URL, "oauth_pkce_enabled": True},
}
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_oidc] if OIDC_URL else []}}
SOCIALACCOUNT_ADAPTER = "mantra.people.adapters.SingleSignOnAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "id"
LANGUAGES = [("id", "Bahasa Indonesia"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "mantra.formats"
TIME_ZONE = env("MANTRA_TIME_ZONE", default="Asia/Jakarta")
USE_TZ = True

STATIC_URL = "/static/"
#: The pictures of the documentation are shown in the guides.
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static", ("mantra/docs", BASE_DIR / "docs" / "img")]
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
#: Serve static files from their packages: no collectstatic is needed before the first start.
WHITENOISE_USE_FINDERS = env.bool("MANTRA_STATIC_FROM_PACKAGES", default=True)
WHITENOISE_AUTOREFRESH = False

# Behind TLS, as in production, browsers send cookies by TLS only.
_secure = env.bool("MANTRA_HTTPS", default=False)
SESSION_COOKIE_SECURE = _secure
CSRF_COOKIE_SECURE = _secure
SECURE_HSTS_SECONDS = 31_536_000 if _secure else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _secure and env.bool("MANTRA_HSTS_SUBDOMAINS", default=False)
SECURE_SSL_REDIRECT = _secure and env.bool("MANTRA_HTTPS_REDIRECT", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _secure and TRUSTED_PROXIES else None
CSRF_TRUSTED_ORIGINS = env.list("MANTRA_CSRF_TRUSTED_ORIGINS", default=[BASE_URL] if BASE_URL else [])
SESSION_COOKIE_AGE = 8 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
#: What check --deploy need not say: the reason for each is a decision of the operator.
SILENCED_SYSTEM_CHECKS = [
    *(["security.W004", "security.W012", "security.W016"] if not _secure else []),  # no TLS, as on one machine
    *(["security.W005"] if not SECURE_HSTS_INCLUDE_SUBDOMAINS else []),  # names below the bus's may be other systems
    *(["security.W008"] if not SECURE_SSL_REDIRECT else []),  # nginx redirects, which also knows of 1.99x addresses
    "axes.W002",  # the form for signing in says that a name is locked, in place of the middleware
    "security.W021",  # browsers' preload lists have whole domains, such as the ministry's
]

#: Whether calls are traced; the collector's URL for OTLP over HTTP; the share of traces that the bus begins.
TRACING = env.bool("MANTRA_TRACING", default=False)
TRACING_URL = env("MANTRA_TRACING_URL", default="http://localhost:4318/v1/traces")
TRACING_RATIO = env.float("MANTRA_TRACING_RATIO", default=0.01)
#: The form of the log: text, or json with an object on each line.
LOG_FORMAT = env("MANTRA_LOG_FORMAT", default="text")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "registry.logs.formatter", "form": LOG_FORMAT, "zone": TIME_ZONE}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env("MANTRA_LOG_LEVEL", default="INFO")},
    # A failed request's report would contain its parameters and the settings.
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "fido2": {"level": "WARNING"},
        # A collector that is away would be a line for each attempt.
        "opentelemetry": {"level": "ERROR"},
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "mantra.api.authentication.TokenAuthentication",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 100,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "MANTRA management API",
    "VERSION": "1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [
        "mantra.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "SERVE_PERMISSIONS": ["mantra.api.authentication.MayReadDescription"],
    "ENUM_NAME_OVERRIDES": {
        "OperationState": "registry.models.Operation.State",
        "GrantState": "registry.models.Grant.State",
        "KeyUse": "registry.models.AccessKey.Kind",
        "OperationKind": "registry.models.Operation.Kind",
        "VersionOrigin": "registry.models.OperationVersion.Origin",
        "StopKind": "registry.models.StopKind",
        "StopOrigin": "registry.models.containment.StopOrigin",
        "AlarmRuleKind": "registry.models.HarvestRule.Kind",
        "AlarmRuleAction": "registry.models.HarvestRule.Action",
    },
}

UNFOLD = {
    "SITE_TITLE": "MANTRA",
    "SITE_HEADER": "MANTRA",
    "SITE_SYMBOL": "hub",
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_URL": None,
    "COLORS": {
        "primary": {
            "50": "#eff6ff",
            "100": "#dbeafe",
            "200": "#bfdbfe",
            "300": "#93c5fd",
            "400": "#60a5fa",
            "500": "#3b82f6",
            "600": "#1d4ed8",
            "700": "#1e40af",
            "800": "#1e3a8a",
            "900": "#1e3a8a",
            "950": "#172554",
        }
    },
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}mantra/favicon.svg"}],
    "STYLES": [f"{STATIC_URL}mantra/admin.css", f"{STATIC_URL}mantra/forms.css"],
    "DASHBOARD_CALLBACK": "mantra.home.page.first_page",
    "SIDEBAR": {"navigation": "mantra.navigation.navigation"},
}
