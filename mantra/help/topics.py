"""Which section of which guide explains a page."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse

from registry import roles, tenancy
from registry.tenancy import AnyUser

#: Role → the guide of its work. A supervisor reads what a head reads, of all agencies.
OF_ROLES = {
    roles.ADMINISTRATOR: "administrator",
    roles.SUPERVISOR: "kepala",
    roles.HEAD: "kepala",
    roles.PROVIDER: "penyedia",
    roles.PUBLISHER: "pengelola-proksi",
    roles.REQUESTER: "pemanfaat",
}
#: For those who have not signed in, or have no role.
DEFAULT = "pemanfaat"

_DECIDE_PUBLISHING = (
    "penyedia#putuskan-permintaan-terbit-rekan",
    "pengelola-proksi#putuskan-permintaan-terbit-rekan",
    "kepala#putuskan-permintaan-terbit",
    "administrator#baca-permohonan-dan-izin-semua-instansi",
)
_HISTORY = (
    "pemanfaat#cari-tahu-mengapa-panggilan-ditolak",
    "penyedia#jelaskan-mengapa-panggilan-ditolak",
    "pengelola-proksi#jelaskan-mengapa-panggilan-ditolak",
    "kepala#baca-riwayat-panggilan",
    "administrator#jelaskan-mengapa-panggilan-ditolak",
)
_STOPS = (
    "penyedia#blokir-panggilan-seketika",
    "pengelola-proksi#blokir-panggilan-seketika",
    "pemanfaat#blokir-panggilan-seketika",
    "administrator#blokir-panggilan-seketika",
    "kepala#baca-pemblokiran-dan-insiden",
)
_INCIDENTS = (
    "penyedia#tangani-insiden-kebocoran",
    "pengelola-proksi#tangani-insiden-kebocoran",
    "pemanfaat#tangani-insiden-kebocoran",
    "administrator#tangani-insiden-kebocoran",
    "kepala#baca-pemblokiran-dan-insiden",
)
_COMPARE = (
    "penyedia#bandingkan-respons-sebelum-terbit",
    "pengelola-proksi#ubah-operasi-bandingkan-versi-dan-kembali",
)
_VERSIONS = (
    "penyedia#terbitkan-versi-baru-atau-kembali-ke-versi-terdahulu",
    "pengelola-proksi#ubah-operasi-bandingkan-versi-dan-kembali",
)
_VERIFY = ("penyedia#buat-operasi-verifikasi", "pengelola-proksi#buat-operasi-verifikasi")
_TRY = ("penyedia#ubah-dan-coba-operasi-data", "pengelola-proksi#coba-dan-terbitkan-operasi-proksi")

#: Name of a page's address, or what it begins with (the longest match counts) → the sections that explain it, as
#: guide#section. A reader whose own guide has none for a page is led to the first.
TOPICS: dict[str, tuple[str, ...]] = {
    "index": (
        "pemanfaat#lihat-yang-perlu-dikerjakan-di-beranda",
        "penyedia#lihat-yang-perlu-dikerjakan-di-beranda",
        "pengelola-proksi#lihat-yang-perlu-dikerjakan-di-beranda",
        "kepala#lihat-yang-menunggu-keputusan-anda",
        "administrator#lihat-yang-perlu-dikerjakan-di-beranda",
    ),
    # The catalogue and what callers do there.
    "catalogue": ("pemanfaat#temukan-operasi-di-katalog", "kepala#baca-daftar-instansi-layanan-dan-operasi"),
    "catalogue_operation": (
        "pemanfaat#baca-dokumen-dan-skema-operasi",
        "penyedia#atur-siapa-yang-menemukan-operasi-di-katalog",
    ),
    "contract_": ("pemanfaat#baca-dokumen-dan-skema-operasi",),
    "client_code": ("pemanfaat#salin-kode-program",),
    "request_access": ("pemanfaat#ajukan-permohonan-akses",),
    "try_as_application": ("pemanfaat#coba-operasi-sebagai-aplikasi-anda",),
    "job": ("pemanfaat#cari-atau-cocokkan-seluruh-daftar", "penyedia#lihat-pekerjaan-massal-pada-operasi-anda"),
    "registry_accessrequest_": (
        "pemanfaat#ikuti-permohonan-akses",
        "penyedia#putuskan-permohonan-akses",
        "pengelola-proksi#putuskan-permohonan-akses",
        "kepala#putuskan-permohonan-akses",
        "administrator#baca-permohonan-dan-izin-semua-instansi",
    ),
    "registry_publishrequest_": _DECIDE_PUBLISHING,
    "registry_harvest": (
        "administrator#tangani-alarm-pemanggil",
        "penyedia#pantau-pemanggil-yang-tidak-biasa",
        "pengelola-proksi#pantau-pemanggil-yang-tidak-biasa",
        "kepala#baca-riwayat-panggilan",
    ),
    "registry_application_": ("pemanfaat#daftarkan-aplikasi",),
    "registry_accesskey_": (
        "pemanfaat#ganti-kunci-akses-yang-akan-kedaluwarsa",
        "pemanfaat#keluarkan-kunci-dari-url",
        "administrator#baca-permohonan-dan-izin-semua-instansi",
    ),
    "registry_clientcertificate_": ("pemanfaat#pasang-sertifikat-klien",),
    "registry_accesskey_add": ("pemanfaat#terbitkan-kunci-akses", "pemanfaat#tandatangani-permintaan"),
    "registry_grant_": (
        "pemanfaat#perpanjang-atau-ubah-izin",
        "penyedia#beri-atau-cabut-izin",
        "pengelola-proksi#beri-atau-cabut-izin",
        "kepala#periksa-izin-yang-berlaku",
        "administrator#baca-permohonan-dan-izin-semua-instansi",
    ),
    "registry_callrecord_": _HISTORY,
    "registry_changerecord_": (
        "kepala#lihat-siapa-mengubah-definisi",
        "penyedia#lihat-siapa-mengubah-definisi",
        "administrator#lihat-siapa-mengubah-definisi",
    ),
    "subject_": (
        "kepala#jawab-warga-yang-bertanya-siapa-melihat-datanya",
        "penyedia#jawab-warga-yang-bertanya-siapa-melihat-datanya",
    ),
    "leaked_key": ("pemanfaat#tangani-kunci-yang-bocor", "administrator#tangani-kunci-yang-bocor"),
    "key_use": ("pemanfaat#tangani-kunci-yang-bocor", "administrator#tangani-kunci-yang-bocor"),
    "registry_guardfinding_": (
        "penyedia#periksa-data-pribadi-yang-tidak-dinyatakan",
        "pengelola-proksi#periksa-data-pribadi-yang-tidak-dinyatakan",
        "kepala#baca-riwayat-panggilan",
    ),
    "statistics": (
        "kepala#baca-statistik",
        "penyedia#lihat-siapa-memanggil-data-anda",
        "pemanfaat#lihat-panggilan-aplikasi-anda",
    ),
    "why_refused": _HISTORY,
    "containment": _STOPS,
    "incident": _INCIDENTS,
    "reconciliation": (
        "pemanfaat#cocokkan-dua-daftar",
        "penyedia#cocokkan-daftar-anda-dengan-daftar-lain",
        "kepala#baca-statistik",
    ),
    "export_history": ("kepala#ekspor-riwayat-panggilan",),
    "export": ("kepala#baca-laporan-bulanan",),
    # What is offered.
    "wizard": ("penyedia#terbitkan-data-tanpa-sql",),
    "registry_service_": ("penyedia#buat-layanan", "kepala#baca-daftar-instansi-layanan-dan-operasi"),
    "registry_operation_": (
        "penyedia#hentikan-operasi",
        "pengelola-proksi#hentikan-operasi",
        "kepala#baca-daftar-instansi-layanan-dan-operasi",
    ),
    "dataservices_datasource_": ("penyedia#daftarkan-sumber-data",),
    "dataservices_uploadedtable_": ("penyedia#unggah-berkas-excel-atau-csv",),
    "dataservices_uploadedtable_change": ("penyedia#ganti-isi-tabel-unggahan",),
    "dataservices_dataoperation_": ("penyedia#ubah-dan-coba-operasi-data",),
    "dataservices_dataoperation_callers": ("penyedia#beri-atau-cabut-izin",),
    "dataservices_dataoperation_calls": _HISTORY,
    "dataservices_dataoperation_compare": _VERSIONS,
    "dataservices_dataoperation_versions": _VERSIONS,
    "proxyservices_backend_": ("pengelola-proksi#daftarkan-kelompok-layanan-tujuan",),
    "proxyservices_backend_change-address": ("pengelola-proksi#pindahkan-layanan-tujuan-ke-alamat-baru",),
    "proxyservices_backend_live": ("pengelola-proksi#periksa-layanan-tujuan-yang-bermasalah",),
    "proxyservices_proxyoperation_": ("pengelola-proksi#buat-operasi-proksi",),
    "proxyservices_proxyoperation_callers": ("pengelola-proksi#beri-atau-cabut-izin",),
    "proxyservices_proxyoperation_calls": tuple(reversed(_HISTORY)),
    "proxyservices_proxyoperation_compare": tuple(reversed(_VERSIONS)),
    "proxyservices_proxyoperation_import": ("pengelola-proksi#impor-dokumen-wsdl-atau-openapi",),
    "proxyservices_proxyoperation_samples": ("pengelola-proksi#pindahkan-layanan-tujuan-ke-alamat-baru",),
    "proxyservices_proxyoperation_versions": tuple(reversed(_VERSIONS)),
    "verification_verificationoperation_": _VERIFY,
    "verification_verificationoperation_callers": (
        "penyedia#beri-atau-cabut-izin",
        "pengelola-proksi#beri-atau-cabut-izin",
    ),
    "verification_verificationoperation_calls": _HISTORY,
    "verification_verificationoperation_compare": _VERSIONS,
    "verification_verificationoperation_versions": _VERSIONS,
    "verification_choose": _VERIFY,
    "verification_propose": _VERIFY,
    "synchronization_sync_": (
        "penyedia#jaga-tabel-tetap-sama-dengan-sebuah-operasi",
        "kepala#periksa-sinkronisasi",
        "administrator#baca-permohonan-dan-izin-semua-instansi",
    ),
    "try_operation": _TRY,
    "explain_operation": _TRY,
    "compare_answers": _COMPARE,
    "health_board": (
        "penyedia#periksa-sumber-data-yang-bermasalah",
        "pengelola-proksi#periksa-layanan-tujuan-yang-bermasalah",
        "kepala#lihat-yang-menunggu-keputusan-anda",
        "administrator#periksa-kesehatan-semua-instansi",
    ),
    # Who works with the bus, and the bus itself.
    "registry_agency_": ("administrator#daftarkan-instansi", "kepala#baca-daftar-instansi-layanan-dan-operasi"),
    "registry_user_": ("administrator#undang-pengguna",),
    "registry_user_change": ("administrator#bantu-pengguna-yang-tidak-dapat-masuk",),
    "registry_rolerule_": ("administrator#wajibkan-faktor-kedua",),
    "registry_outboxmessage_": ("administrator#periksa-kotak-keluar-email",),
    "test_mail": ("administrator#periksa-kotak-keluar-email",),
    "message_template": ("administrator#ubah-teks-pesan",),
    "server": ("administrator#periksa-server",),
    "moving_in": ("administrator#impor-data-dari-mantra-199x",),
    # One's own account.
    "account_login": ("akun#masuk",),
    "account_reset_password": ("akun#buat-kata-sandi-baru-jika-anda-lupa",),
    "account_change_password": ("akun#ganti-kata-sandi",),
    "account_reauthenticate": ("akun#pasang-faktor-kedua",),
    "invitation": ("akun#terima-undangan-dan-buat-kata-sandi",),
    "own_sessions": ("akun#periksa-sesi-anda",),
    "mfa_": ("akun#pasang-faktor-kedua",),
    "mfa_authenticate": ("akun#masuk",),
    "notification": ("akun#baca-pemberitahuan",),
    "notification_choices": ("akun#atur-cara-anda-diberi-tahu",),
    "registry_apitoken_": ("akun#terbitkan-token-api",),
}


def guide_of(user: AnyUser) -> str:
    """Return the guide for the work of a user: that of the first role they have, in the order of OF_ROLES."""
    of_user = tenancy.roles(user)
    return next((guide for role, guide in OF_ROLES.items() if role in of_user), DEFAULT)


def help_url(request: HttpRequest) -> str:
    """Return the address of the section that explains a request's page to its reader; of all guides if none does."""
    match = request.resolver_match
    found = sections((match.url_name if match is not None else None) or "")
    if not found:
        return reverse("help")
    own = guide_of(request.user)
    name, _hash, anchor = next((each for each in found if each.startswith(f"{own}#")), found[0]).partition("#")
    return reverse("help_guide", args=[name]) + f"#{anchor}"


def sections(name: str) -> tuple[str, ...]:
    """Return the sections that explain the page with the name of an address."""
    found = [topic for topic in TOPICS if name.startswith(topic)]
    return TOPICS[max(found, key=len)] if found else ()
