"""The table of all faults. The number of a fault is never used again.

The texts of 10001 to 10018 are those of MANTRA 1.99y, because existing callers compare them: they have one language.
The others are the bus's own, in Indonesian and English.
"""

from __future__ import annotations

from registry.results import FaultKind, Scope

TABLE: dict[int, FaultKind] = {}


def _row(
    code: int, name: str, status: int, id: str, en: str, party: str = "caller", scope: Scope = Scope.ANY
) -> FaultKind:
    assert code not in TABLE, code
    TABLE[code] = kind = FaultKind(code, name, status, id, en, party, scope)
    return kind


# The faults of the legacy wire (LEGACY-WIRE.md), used by every protocol if the meaning is the same.
KEY_MISSING = _row(
    10001,
    "key-missing",
    401,
    "Operasi tidak memiliki izin, karena kunci akses tidak terdaftar (kosong)",
    "This operation needs an access key: send it in the AccessKey header",
    scope=Scope.KEYED,
)
OPERATION_UNKNOWN = _row(
    10002,
    "operation-unknown",
    404,
    "Fungsi operasi tidak terdaftar",
    "No such operation is published here: check agency, service and operation in the address",
)
ADDRESS_INCOMPLETE = _row(
    10003,
    "address-incomplete",
    404,
    "Alamat (URL) akses layanan tidak terdefinisi",
    "The address names no service: it must read /rest/{{agency}}/{{service}}/{{operation}}",
    scope=Scope.NOWHERE,
)
OPERATION_UNNAMED = _row(
    10004,
    "operation-unnamed",
    404,
    "Nama fungsi operasi tidak terdefinisi",
    "The address names no operation: add its name after the service",
    scope=Scope.NOWHERE,
)
PARAMETERS_MISSING = _row(
    10005,
    "parameters-missing",
    400,
    "Seluruh parameter fungsi operasi wajib diisi",
    "All parameters of the operation must be given",
    scope=Scope.LEGACY,
)
SOAP_CONSTRUCTOR = _row(
    10006,
    "soap-constructor",
    502,
    "SOAP Constructor Error: WSDL layanan tujuan tidak dapat diperoleh",
    "The upstream's WSDL cannot be fetched or read",
    "provider",
    scope=Scope.PROXY,
)
SOAP_OPERATION = _row(
    10007,
    "soap-operation",
    502,
    "The request contains an invalid SOAP body: WSDL layanan tujuan tidak memuat operasi ini",
    "The upstream's WSDL does not contain this operation",
    "provider",
    scope=Scope.PROXY,
)
SOAP_CLIENT = _row(
    10008,
    "soap-client",
    502,
    "Layanan SOAP tujuan menolak permintaan dengan kode {upstream_code}",
    "The upstream SOAP service refused the request with code {upstream_code}",
    "provider",
    scope=Scope.PROXY,
)
SOAP_EMPTY = _row(
    10009,
    "soap-empty",
    404,
    'Hasil fungsi operasi SOAP "{operation}" tidak ada (kosong)',
    'The SOAP operation "{operation}" gave nothing',
    scope=Scope.PROXY,
)
NO_ROWS = _row(
    10012,
    "no-rows",
    404,
    'Hasil operasi data "{operation}" tidak ada (kosong)',
    'The data operation "{operation}" gave no rows',
    scope=Scope.PROXY,
)
TAG_IMPOSSIBLE = _row(
    10018,
    "tag-impossible",
    500,
    "Kolom {column}: Kunci indeks data tidak dapat digunakan sebagai Tag format XML",
    "The column {column} cannot be an XML tag: ask the provider to rename it, or take JSON",
    "provider",
    scope=Scope.LEGACY,
)

# From 11001: admission.
KEY_UNKNOWN = _row(
    11001,
    "key-unknown",
    401,
    "Kunci akses tidak dikenal atau sudah dicabut. Periksa kunci, atau minta kunci baru kepada pengelola aplikasi Anda",
    "The access key is unknown or revoked. Check it, or ask your application's manager for a new one",
    scope=Scope.KEYED,
)
KEY_EXPIRED = _row(
    11002,
    "key-expired",
    401,
    "Kunci akses sudah kedaluwarsa. Minta kunci baru kepada pengelola aplikasi Anda",
    "The access key has expired. Ask your application's manager for a new one",
    scope=Scope.KEYED,
)
KEY_NETWORK = _row(
    11003,
    "key-network",
    403,
    "Kunci akses ini tidak boleh dipakai dari alamat {address}. Minta pengelola aplikasi menambahkan jaringan Anda",
    "This access key may not be used from {address}. Ask your application's manager to add your network",
    scope=Scope.KEYED,
)
KEY_OF_ANOTHER_OPERATION = _row(
    11004,
    "key-of-another-operation",
    403,
    "Kunci akses ini milik operasi lain",
    "This access key is for another operation",
    scope=Scope.KEYED,
)
GRANT_MISSING = _row(
    11005,
    "grant-missing",
    403,
    "Aplikasi Anda belum diberi izin atas operasi ini. Ajukan permohonan akses kepada instansi penyedia",
    "Your application has no grant for this operation. Request access from the providing agency",
    scope=Scope.KEYED,
)
GRANT_EXPIRED = _row(
    11006,
    "grant-expired",
    403,
    "Izin aplikasi Anda atas operasi ini sudah berakhir. Ajukan perpanjangan kepada instansi penyedia",
    "Your application's grant for this operation has ended. Ask the providing agency to renew it",
    scope=Scope.KEYED,
)
GRANT_NOT_YET_VALID = _row(
    11007,
    "grant-not-yet-valid",
    403,
    "Izin aplikasi Anda atas operasi ini belum mulai berlaku",
    "Your application's grant for this operation is not valid yet",
    scope=Scope.KEYED,
)
GRANT_NETWORK = _row(
    11008,
    "grant-network",
    403,
    "Izin ini tidak berlaku dari alamat {address}. Minta instansi penyedia menambahkan jaringan Anda",
    "This grant is not valid from {address}. Ask the providing agency to add your network",
    scope=Scope.KEYED,
)
KEY_IN_PATH = _row(
    11009,
    "key-in-path",
    401,
    "Kunci akses tidak boleh ditulis di URL. Kirimkan dalam header AccessKey",
    "The access key must not be in the URL. Send it in the AccessKey header",
    scope=Scope.LEGACY,
)
OPERATION_RETIRED = _row(
    11010,
    "operation-retired",
    410,
    "Operasi ini sudah dihentikan. Hubungi instansi penyedia untuk penggantinya",
    "This operation is retired. Ask the providing agency for its replacement",
)
QUOTA_EXCEEDED = _row(
    11011,
    "quota-exceeded",
    429,
    "Kuota {calls} panggilan per {period} untuk operasi ini sudah habis. Coba lagi dalam {seconds} detik",
    "The quota of {calls} calls per {period} for this operation is used up. Try again in {seconds} seconds",
    scope=Scope.KEYED,
)
QUOTA_STORE_DOWN = _row(
    11012,
    "quota-store-down",
    503,
    "Kuota sedang tidak dapat dihitung. Coba lagi sebentar lagi",
    "Quotas cannot be counted at the moment. Try again shortly",
    "bus",
    scope=Scope.KEYED,
)

# From 11101: the caller's request.
PARAMETER_MISSING = _row(
    11101,
    "parameter-missing",
    400,
    "Parameter {parameter} wajib diisi",
    "The parameter {parameter} is required",
)
PARAMETER_INVALID = _row(
    11102,
    "parameter-invalid",
    400,
    "Nilai parameter {parameter} tidak sesuai: {reason_id}",
    "The value of parameter {parameter} is invalid: {reason_en}",
)
PARAMETER_UNKNOWN = _row(
    11103,
    "parameter-unknown",
    400,
    "Parameter {parameter} tidak dikenal. Yang tersedia: {known}",
    "The parameter {parameter} is unknown. Available: {known}",
)
PARAMETER_REPEATED = _row(
    11104,
    "parameter-repeated",
    400,
    "Parameter {parameter} diberikan lebih dari sekali",
    "The parameter {parameter} occurs more than once",
)
BODY_INVALID = _row(
    11105,
    "body-invalid",
    400,
    "Isi permintaan tidak terbaca: {reason_id}",
    "The request body cannot be read: {reason_en}",
    scope=Scope.BODY,
)
BODY_TOO_LARGE = _row(
    11106,
    "body-too-large",
    413,
    "Isi permintaan melebihi {limit} byte",
    "The request body exceeds {limit} bytes",
    scope=Scope.BODY,
)
BODY_TYPE = _row(
    11107,
    "body-type",
    415,
    "Jenis isi permintaan tidak didukung. Kirim application/json atau application/x-www-form-urlencoded",
    "This type of body is not supported. Send application/json or application/x-www-form-urlencoded",
    scope=Scope.BODY,
)
METHOD_NOT_ALLOWED = _row(
    11108,
    "method-not-allowed",
    405,
    "Metode {method} tidak diizinkan. Yang diizinkan: {allowed}",
    "The method {method} is not allowed. Allowed: {allowed}",
)
NOT_ACCEPTABLE = _row(
    11109,
    "not-acceptable",
    406,
    "Format yang diminta tidak tersedia. Yang tersedia: {formats}",
    "None of the requested formats is available. Available: {formats}",
)
ADDRESS_INVALID = _row(
    11110,
    "address-invalid",
    400,
    "URL permintaan tidak terbaca. Periksa pengodean persen dan UTF-8",
    "The URL cannot be read. Check its percent-encoding and UTF-8",
)
FORMAT_IMPOSSIBLE = _row(
    11111,
    "format-impossible",
    406,
    "Hasil operasi ini tidak dapat ditulis sebagai {format}. Pilih format lain",
    "This operation's result cannot be written as {format}. Choose another format",
)
SOAP_INVALID = _row(
    11114,
    "soap-invalid",
    400,
    "Amplop SOAP tidak terbaca: {reason_id}",
    "The SOAP envelope cannot be read: {reason_en}",
    scope=Scope.SOAP,
)
SOAP_DOCTYPE = _row(
    11115,
    "soap-doctype",
    400,
    "Amplop SOAP tidak boleh memuat DOCTYPE",
    "A SOAP envelope must not contain a DOCTYPE",
    scope=Scope.SOAP,
)
SOAP_ATTACHMENTS = _row(
    11116,
    "soap-attachments",
    415,
    "MTOM dan lampiran tidak didukung. Kirim amplop SOAP saja, sebagai text/xml atau application/soap+xml",
    "MTOM and attachments are not supported. Send only the SOAP envelope, as text/xml or application/soap+xml",
    scope=Scope.SOAP,
)
VALUE_NOT_OF_ITS_TYPE = _row(
    11117,
    "value-not-of-its-type",
    502,
    "Kolom {column} berisi nilai yang bukan berjenis {type} seperti dinyatakan penyedia. Laporkan kepada instansi "
    "penyedia",
    "The column {column} has a value that is not of the declared type {type}. Report it to the providing agency",
    "provider",
    scope=Scope.SOAP,
)
SOAP_NOT_UNDERSTOOD = _row(
    11118,
    "soap-not-understood",
    400,
    "Header SOAP {header} wajib dipahami, tetapi tidak dikenal",
    "The SOAP header {header} has mustUnderstand, but the bus does not know it",
    scope=Scope.SOAP,
)
SOAP_VERSION = _row(
    11119,
    "soap-version",
    400,
    "Versi SOAP ini tidak dikenal. Kirim amplop SOAP 1.1 atau 1.2",
    "This SOAP version is unknown. Send a SOAP 1.1 or 1.2 envelope",
    scope=Scope.SOAP,
)
PARAMETERS_TOGETHER = _row(
    11120,
    "parameters-together",
    400,
    "Parameter {missing} juga wajib diisi bila {given} diisi",
    "The parameter {missing} is required together with {given}",
    scope=Scope.DATA,
)
REQUEST_TOO_SLOW = _row(
    11121,
    "request-too-slow",
    408,
    "Isi permintaan tidak diterima lengkap dalam batas waktu. Kirim lebih cepat, atau kirim lebih sedikit",
    "The request's body did not arrive within the time limit. Send it faster, or send less",
    scope=Scope.BODY,
)
RESPONSE_TOO_SLOW = _row(
    11122,
    "response-too-slow",
    408,
    "Pemanggil tidak mengambil respons dalam batas waktu, sehingga MANTRA memutus koneksinya",
    "The caller did not take the response within the time limit, so the bus closed its connection",
    scope=Scope.NOWHERE,
)
RESPONSES_BUSY = _row(
    11123,
    "responses-busy",
    503,
    "Terlalu banyak respons besar untuk operasi atau kunci akses ini sedang dikirim. Coba lagi sebentar lagi",
    "Too many large responses of this operation, or to this access key, are being sent. Try again shortly",
)
BODY_ENCODING = _row(
    11124,
    "body-encoding",
    415,
    "Kompresi isi permintaan ini tidak didukung. Kirim tanpa Content-Encoding, atau dengan gzip atau deflate",
    "This compression of the body is not supported. Send it without Content-Encoding, or with gzip or deflate",
    scope=Scope.BODY,
)
VERIFICATION_LOCKED = _row(
    11125,
    "verification-locked",
    429,
    "Terlalu banyak percobaan yang tidak sesuai untuk kunci data ini, sehingga verifikasinya dikunci. "
    "Coba lagi dalam {seconds} detik, dengan data yang benar",
    "Too many tries for this record did not agree, so it is locked. Try again in {seconds} seconds with the right data",
    scope=Scope.VERIFICATION,
)
FIELDS_TOO_FEW = _row(
    11126,
    "fields-too-few",
    400,
    "Kirim paling sedikit {least} kolom untuk diverifikasi, selain kunci data. Yang dapat dikirim: {known}",
    "Send at least {least} fields to be verified, beside the key. You can send: {known}",
    scope=Scope.VERIFICATION,
)

# From 11201: the provider and its source or upstream.
SOURCE_UNREACHABLE = _row(
    11201,
    "source-unreachable",
    502,
    "Koneksi database gagal atau perintah SQL keliru. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The provider's database cannot be reached. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.DATA,
)
QUERY_FAILED = _row(
    11202,
    "query-failed",
    502,
    "Koneksi database gagal atau perintah SQL keliru. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The provider's database rejected the query. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.DATA,
)
SOURCE_TIMEOUT = _row(
    11203,
    "source-timeout",
    504,
    "Database penyedia tidak merespons dalam {seconds} detik. Coba lagi, atau persempit permintaan",
    "The provider's database did not respond within {seconds} seconds. Try again, or narrow the request",
    "provider",
    scope=Scope.DATA,
)
SOURCE_BUSY = _row(
    11204,
    "source-busy",
    503,
    "Semua koneksi ke database penyedia sedang terpakai. Coba lagi sebentar lagi",
    "All connections to the provider's database are in use. Try again shortly",
    "provider",
    scope=Scope.DATA,
)
UPSTREAM_UNREACHABLE = _row(
    11205,
    "upstream-unreachable",
    502,
    "Layanan tujuan tidak dapat dihubungi. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The upstream cannot be reached. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_TIMEOUT = _row(
    11206,
    "upstream-timeout",
    504,
    "Layanan tujuan tidak merespons dalam {seconds} detik. Coba lagi sebentar lagi",
    "The upstream did not respond within {seconds} seconds. Try again shortly",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_ANSWER_UNREADABLE = _row(
    11207,
    "upstream-answer-unreadable",
    502,
    "Respons layanan tujuan tidak terbaca. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The upstream's response cannot be read. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
DEFINITION_BROKEN = _row(
    11208,
    "definition-broken",
    502,
    "Definisi operasi ini tidak dapat dijalankan. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "This operation's definition cannot be run. Report request {request_id} to the providing agency",
    "provider",
)
UPSTREAM_REFUSED = _row(
    11209,
    "upstream-refused",
    502,
    "Layanan tujuan menolak permintaan dengan kode {upstream_code}",
    "The upstream refused the request with code {upstream_code}",
    "provider",
    scope=Scope.PROXY,
)
SOURCE_CIRCUIT_OPEN = _row(
    11210,
    "source-circuit-open",
    503,
    "Database penyedia sedang terganggu, sehingga pemutus sirkuitnya terbuka. Coba lagi dalam {seconds} detik",
    "The provider's database is failing, so its circuit is open. Try again in {seconds} seconds",
    "provider",
    scope=Scope.DATA,
)
FIELD_MISSING = _row(
    11211,
    "field-missing",
    502,
    "Kolom {column} dinyatakan oleh penyedia, tetapi tidak ada dalam hasil SQL-nya. Laporkan kepada instansi penyedia",
    "The provider declares the column {column}, but its SQL does not return it. Report it to the providing agency",
    "provider",
)
LOOP = _row(
    11212,
    "loop",
    508,
    "Panggilan ini sudah melewati {hops} server MANTRA dan tampaknya berputar. Laporkan kepada instansi penyedia",
    "This call passed through {hops} buses and seems to loop. Report it to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_BUSY = _row(
    11213,
    "upstream-busy",
    503,
    "Terlalu banyak panggilan ke layanan tujuan sedang berjalan. Coba lagi sebentar lagi",
    "Too many calls to the upstream are in progress. Try again shortly",
    "provider",
    scope=Scope.PROXY,
)
FIELDS_INSEPARABLE = _row(
    11214,
    "fields-inseparable",
    403,
    "Izin Anda hanya mencakup sebagian kolom, dan respons operasi ini tidak dapat dipilah menurut kolom",
    "Your grant covers only some fields, and this operation's response cannot be limited to them",
    "provider",
    scope=Scope.PROXY,
)
ANSWER_TOO_WIDE = _row(
    11215,
    "answer-too-wide",
    502,
    "Satu baris atau satu halaman hasil database penyedia melebihi {mib} MiB. Persempit permintaan, atau laporkan "
    "nomor permintaan {request_id} kepada instansi penyedia",
    "A row or a page of the provider's result exceeds {mib} MiB. Narrow the request, or report request {request_id} "
    "to the providing agency",
    "provider",
    scope=Scope.DATA,
)
SOURCE_LOCKED = _row(
    11216,
    "source-locked",
    503,
    "Data yang diperlukan sedang dipakai transaksi lain di database penyedia. Tidak ada yang diubah; ulangi panggilan "
    "ini",
    "Another transaction in the provider's database uses the data that this call needs. Nothing was changed; repeat "
    "the call",
    "provider",
    scope=Scope.DATA,
)

# From 11220: further failures of upstreams.
UPSTREAM_CIRCUIT_OPEN = _row(
    11220,
    "upstream-circuit-open",
    503,
    "Semua layanan tujuan sedang terganggu, sehingga pemutus sirkuitnya terbuka. Coba lagi dalam {seconds} detik",
    "All upstreams are failing, so their circuits are open. Try again in {seconds} seconds",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_TOO_LARGE = _row(
    11221,
    "upstream-too-large",
    502,
    "Respons layanan tujuan melebihi {limit} byte",
    "The upstream's response exceeds {limit} bytes",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_BROKE_OFF = _row(
    11222,
    "upstream-broke-off",
    502,
    "Respons layanan tujuan terputus sebelum selesai. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The upstream's response was aborted before its end. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_FORBIDDEN_ADDRESS = _row(
    11223,
    "upstream-forbidden-address",
    502,
    "Alamat layanan tujuan tidak diizinkan oleh administrator server. Laporkan nomor permintaan {request_id} kepada "
    "instansi penyedia",
    "The operator does not allow the upstream's address. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_TLS = _row(
    11224,
    "upstream-tls",
    502,
    "Sertifikat layanan tujuan tidak dapat dipercaya. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The upstream's certificate cannot be trusted. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
UPSTREAM_CREDENTIAL = _row(
    11225,
    "upstream-credential",
    502,
    "Layanan tujuan menolak kredensial MANTRA. Laporkan nomor permintaan {request_id} kepada instansi penyedia",
    "The upstream rejected the bus's credential. Report request {request_id} to the providing agency",
    "provider",
    scope=Scope.PROXY,
)
REQUEST_NOT_CONVERTIBLE = _row(
    11226,
    "request-not-convertible",
    400,
    "Permintaan ini tidak dapat diteruskan ke layanan tujuan: {reason_id}",
    "This request cannot be forwarded to the upstream: {reason_en}",
    scope=Scope.PROXY,
)
UPSTREAM_STATUS = _row(
    11227,
    "upstream-status",
    502,
    "Layanan tujuan merespons dengan status HTTP {upstream_status}",
    "The upstream responded with HTTP status {upstream_status}",
    "provider",
    scope=Scope.PROXY,
)
SOAP_FAULT = _row(
    11228,
    "soap-fault",
    502,
    "Layanan SOAP tujuan menolak permintaan dengan kode {upstream_code}",
    "The upstream SOAP service refused the request with code {upstream_code}",
    "provider",
    scope=Scope.PROXY,
)
SOAP_CONTRACT = _row(
    11229,
    "soap-contract",
    502,
    "WSDL layanan tujuan tidak dapat diperoleh atau tidak memuat operasi ini. Hubungi instansi penyedia",
    "The upstream's WSDL cannot be fetched, or does not contain this operation. Contact the providing agency",
    "provider",
    scope=Scope.PROXY,
)
VERIFICATION_UNAVAILABLE = _row(
    11230,
    "verification-unavailable",
    502,
    "Operasi yang datanya diverifikasi tidak terbit atau tidak memuat kolom yang diperlukan. Laporkan nomor permintaan "
    "{request_id} kepada instansi penyedia",
    "The operation with the verified data is not published, or lacks a column that is needed. Report request "
    "{request_id} to the providing agency",
    "provider",
    scope=Scope.VERIFICATION,
)

# From 11301: jobs.
JOB_UNKNOWN = _row(
    11301,
    "job-unknown",
    404,
    "Pekerjaan massal ini tidak ada, atau bukan milik aplikasi Anda",
    "There is no such job, or it is not your application's",
    scope=Scope.JOB,
)
JOB_IMPOSSIBLE = _row(
    11302,
    "job-impossible",
    400,
    "Operasi ini tidak dapat dijalankan sebagai pekerjaan massal: harus membaca atau memverifikasi data",
    "This operation cannot be run as a job: only operations that read or verify data can",
    scope=Scope.JOB,
)
JOB_FORMAT = _row(
    11303,
    "job-format",
    415,
    "Kirim baris sebagai CSV, NDJSON, JSON atau XLSX dengan Content-Type yang sesuai",
    "Send the rows as CSV, NDJSON, JSON or XLSX, with the Content-Type of that",
    scope=Scope.JOB,
)
JOBS_TOO_MANY = _row(
    11304,
    "jobs-too-many",
    429,
    "Aplikasi Anda sudah memiliki {most} pekerjaan massal yang belum selesai. Tunggu atau batalkan satu",
    "Your application has {most} unfinished jobs already. Wait until one has ended, or cancel one",
    scope=Scope.JOB,
)
JOBS_SPACE = _row(
    11305,
    "jobs-space",
    429,
    "Berkas pekerjaan massal instansi Anda melebihi {mib} MiB. Hapus pekerjaan yang sudah selesai",
    "The files of your agency's jobs take more than {mib} MiB. Delete jobs that are done",
    scope=Scope.JOB,
)
JOB_STATE = _row(
    11306,
    "job-state",
    409,
    "Pekerjaan massal ini berstatus {state}, sehingga tindakan ini tidak dapat dilakukan",
    "The job's state is {state}, in which this cannot be done",
    scope=Scope.JOB,
)
JOB_NOT_READY = _row(
    11307,
    "job-not-ready",
    409,
    "Hasil pekerjaan massal ini belum siap. Coba lagi nanti",
    "The results of this job are not ready yet. Try again later",
    scope=Scope.JOB,
)
JOB_EXPIRED = _row(
    11308,
    "job-expired",
    410,
    "Berkas pekerjaan massal ini sudah dihapus karena masa simpannya berakhir",
    "The files of this job were deleted when their time was over",
    scope=Scope.JOB,
)
JOB_STORAGE = _row(
    11309,
    "job-storage",
    503,
    "MANTRA tidak dapat menyimpan atau membaca berkas pekerjaan massal. Coba lagi nanti",
    "The bus cannot store or read the files of jobs. Try again later",
    "bus",
    scope=Scope.JOB,
)
JOB_FAILED = _row(
    11310,
    "job-failed",
    500,
    "Pekerjaan massal berhenti sebelum selesai; statusnya menyebutkan alasannya",
    "The job stopped before its end; its state says why",
    scope=Scope.JOB,
)

# From 11401: trust.
STOPPED = _row(
    11401,
    "stopped",
    403,
    "Akses ini sedang diblokir untuk melindungi data. Jangan ulangi panggilan; hubungi instansi penyedia atau "
    "administrator server",
    "This access is stopped at the moment to protect data. Do not repeat the call; contact the providing agency or the "
    "operators",
)
ROWS_EXCEEDED = _row(
    11402,
    "rows-exceeded",
    429,
    "Kuota {rows} baris per {period} untuk {owner} tidak mencukupi respons ini. Coba lagi dalam {seconds} detik, atau "
    "minta lebih sedikit baris",
    "The quota of {rows} rows per {period} for {owner} does not suffice for this response. Try again in {seconds} "
    "seconds, or request fewer rows",
    scope=Scope.KEYED,
)
PERSONS_EXCEEDED = _row(
    11403,
    "persons-exceeded",
    429,
    "Kuota {persons} orang per {period} untuk {owner} sudah habis. Coba lagi dalam {seconds} detik",
    "The quota of {persons} persons per {period} for {owner} is used up. Try again in {seconds} seconds",
    scope=Scope.KEYED,
)
KEY_SLOWED = _row(
    11404,
    "key-slowed",
    429,
    "Kunci akses ini sementara dibatasi menjadi satu panggilan setiap {interval} detik karena pemakaiannya tidak "
    "biasa. Coba lagi dalam {seconds} detik, atau hubungi administrator",
    "This access key is limited to one call every {interval} seconds for the time being, because its use is unusual. "
    "Try again in {seconds} seconds, or contact the administrator",
    scope=Scope.KEYED,
)
GRANT_INCOMPLETE = _row(
    11405,
    "grant-incomplete",
    403,
    "Izin untuk operasi ini belum lengkap: {missing_id}. Minta instansi penyedia melengkapinya",
    "The grant for this operation is incomplete: {missing_en}. Ask the providing agency to complete it",
    "provider",
    scope=Scope.KEYED,
)
EGRESS_BLOCKED = _row(
    11406,
    "egress-blocked",
    502,
    "Respons memuat data pribadi yang tidak dinyatakan ({found}), sehingga MANTRA tidak mengirimkannya. Hubungi "
    "penyedia data",
    "The response has personal data that is not declared ({found}), so the bus does not send it. Contact the provider",
    "provider",
)
SIGNATURE_MISSING = _row(
    11411,
    "signature-missing",
    401,
    "Aplikasi ini hanya boleh mengirim permintaan yang ditandatangani. Tanda tangani dengan kunci penanda tangan",
    "This application may send signed requests only. Sign the request with its signing key",
    scope=Scope.KEYED,
)
SIGNATURE_INVALID = _row(
    11412,
    "signature-invalid",
    401,
    "Tanda tangan permintaan tidak sah: {reason_id}",
    "The request's signature is not valid: {reason_en}",
    scope=Scope.KEYED,
)
SIGNATURE_REPLAYED = _row(
    11413,
    "signature-replayed",
    401,
    "Permintaan dengan nonce ini sudah diterima. Buat nonce baru dan tanda tangan baru untuk setiap permintaan",
    "A request with this nonce was received already. Make a new nonce and a new signature for each request",
    scope=Scope.KEYED,
)
SIGNATURE_STALE = _row(
    11414,
    "signature-stale",
    401,
    "Tanda tangan tidak dibuat pada saat ini: pukul {server_time} menurut MANTRA. Cocokkan jam server Anda",
    "The signature was not made now: the bus's time is {server_time}. Set your server's clock",
    scope=Scope.KEYED,
)
TOKEN_INVALID = _row(
    11421,
    "token-invalid",
    401,
    "Token akses tidak dikenal, sudah kedaluwarsa atau sudah dicabut. Minta token baru di /oauth2/token",
    "The access token is unknown, expired or revoked: request a new one at /oauth2/token",
    scope=Scope.KEYED,
)
TOKEN_SCOPE = _row(
    11422,
    "token-scope",
    403,
    "Token akses ini tidak berlaku untuk {operation}. Minta token dengan cakupan (scope) itu",
    "This access token is not valid for {operation}: request one with that scope",
    scope=Scope.KEYED,
)
CERTIFICATE_MISSING = _row(
    11423,
    "certificate-missing",
    401,
    "Aplikasi ini hanya dapat memanggil dengan sertifikat klien (mTLS). Sambungkan lewat HTTPS dengan sertifikatnya",
    "This application must call with its client certificate (mutual TLS): connect by HTTPS with it",
    scope=Scope.KEYED,
)
CERTIFICATE_UNKNOWN = _row(
    11424,
    "certificate-unknown",
    403,
    "Sertifikat klien bukan milik aplikasi ini, atau sudah kedaluwarsa atau dicabut. Periksa halaman aplikasinya",
    "The client certificate is not this application's, or it has expired or is revoked: see the application's page",
    scope=Scope.KEYED,
)

# From 11901: the bus itself.
JOURNAL_DOWN = _row(
    11901,
    "journal-down",
    503,
    "MANTRA tidak dapat mencatat panggilan, sehingga tidak menjalankannya. Coba lagi sebentar lagi",
    "The bus cannot record calls at the moment, so it does not run them. Try again shortly",
    "bus",
)
NOT_READY = _row(
    11902,
    "not-ready",
    503,
    "MANTRA belum siap. Coba lagi sebentar lagi",
    "The bus is not ready yet. Try again shortly",
    "bus",
)
INTERRUPTED = _row(
    11903,
    "interrupted",
    500,
    "Proses MANTRA berhenti sebelum panggilan ini selesai",
    "The bus's process ended before this call",
    "bus",
    scope=Scope.NOWHERE,
)
INTERNAL = _row(
    11999,
    "internal",
    500,
    "Terjadi kesalahan di MANTRA. Laporkan nomor permintaan {request_id} kepada administrator server",
    "An internal error occurred in the bus. Report request {request_id} to the operator",
    "bus",
)
