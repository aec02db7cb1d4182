"""Which words in a column's name show which kind of personal data."""

from __future__ import annotations

from dataclasses import dataclass

from registry.personal_data.kinds import LIKELY, POSSIBLE
from registry.personal_data.vocabulary import word_set


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind, sets of words of which one must be in a name, and words that must not be there.

    Words of ABOUT and THINGS must not be there either, but for those of the set that is.
    """

    kind: str
    words: tuple[frozenset[str], ...]
    certainty: str = LIKELY
    but: frozenset[str] = frozenset()
    #: Only in a table of people, or with a word for people.
    of_people: bool = False
    #: Things do not matter.
    anywhere: bool = False
    #: The column may also hold the code or the name of the attribute, as kode_agama does.
    attribute: bool = False


def _rule(kind: str, words: str, certainty: str = LIKELY, but: str = "", **flags: bool) -> Rule:
    return Rule(kind, tuple(word_set(each) for each in words.split("|")), certainty, word_set(but), **flags)


RULES = (
    _rule("SECRET", "sandi|pin|otp|cvv|secret|token akses|access token|kata sandi", but="pos poin"),
    _rule("GENETIC", "dna|genetik|genom|genetic", anywhere=True),
    _rule(
        "BIOMETRIC",
        "sidik jari|sidikjari|fingerprint|finger print|iris mata|retina|biometrik|biometric|rekam wajah|face id"
        "|tanda tangan|ttd|rekam iris|signature",
        but="nama jabatan nip",
    ),
    _rule("CRIMINAL", "kriminal|kejahatan|pidana|vonis|skck|catatan polisi|masa hukuman|criminal", but="nama"),
    _rule(
        "HEALTH",
        "rekam medis|rekam medik|rekammedis|norm|nomor rm|golongan darah|jenis darah|goldarah|diagnosa|penyakit"
        "|riwayat kesehatan|riwayat sakit|keluhan|alergi|anamnesa|icd|hiv|disabilitas|difabel|cacat|tekanan darah"
        "|tensi|berat badan|tinggi badan|berat lahir|imunisasi|vaksin|vaksinasi|hamil|kehamilan|gangguan jiwa|hasil lab"
        "|gula darah|stunting|status gizi|kondisi kesehatan|kelainan|kebutuhan khusus|medical|obat pasien|disability",
        but="biaya kantong",
        attribute=True,
    ),
    _rule("KK", "nomor kk|kk|nkk|kartu keluarga|kartu kk|nomor kartu keluarga", but="nama alamat kepala anggota rt"),
    _rule(
        "NIK",
        "nik|nomor ktp|ktp|nomor induk kependudukan|induk penduduk|nik penduduk|nomor identitas|nomor nik|nationalid"
        "|national id|nomor id penduduk",
        but="nama alamat foto email telepon agama",
    ),
    _rule("NPWP", "npwp|nomor pokok wajib pajak|tax id|pajak id", but="nama alamat foto perusahaan"),
    _rule(
        "ID_NUMBER",
        "nip|nipbaru|niplama|nrp|nisn|nim|nidn|nuptk|nomor paspor|paspor|passport|nomor sim|nomor bpjs|bpjs|jkn|kis"
        "|kartu jkn|akta lahir|akte lahir|nomor akta lahir|akta kawin|akta cerai|nomor akta kawin|nomor akta cerai"
        "|nomor askes|nomor kps|nomor kip|nomor kks|nomor pkh|nomor induk pegawai|nomor induk siswa|karpeg|taspen"
        "|nomor induk mahasiswa|nis|nomor peserta|noka",
        but="nama alamat foto email telepon jumlah",
    ),
    _rule("EMAIL", "email|e mail", but="subjek template"),
    _rule(
        "PHONE",
        "telepon|telepon rumah|nomor kontak|kontak darurat",
        but="merek merk tipe aplikasi app versi nama model",
    ),
    _rule("BIRTH_PLACE", "tempat lahir|kota lahir|kabupaten lahir|birthplace|tempatlahir|lahir di"),
    _rule(
        "BIRTH_DATE",
        "tanggal lahir|tahun lahir|bulan lahir|lahir|dob|birthdate|birthday|ttl|tempat tanggal lahir|ultah|dateofbirth",
        but="nama akta akte angka hidup mati daerah",
    ),
    _rule(
        "ADDRESS",
        "alamat|alamat jalan|domisili|rt rw|alamat rumah|tempat tinggal|street|alamat ktp",
        but="email barang",
    ),
    _rule("ADDRESS", "rt|rw|rtrw", POSSIBLE, of_people=True),
    _rule("LOCATION", "lintang|bujur|koordinat|geolokasi|titik lokasi|latlong|latlng", POSSIBLE, of_people=True),
    _rule("LOCATION", "lintang rumah|bujur rumah|koordinat rumah|lintang domisili|bujur domisili"),
    _rule(
        "MARITAL",
        "status kawin|kawin|status pernikahan|tanggal kawin",
        but="nomor akta tempat suntik",
        attribute=True,
    ),
    _rule(
        "RELIGION",
        "agama|kepercayaan|religi",
        but="kantor urusan pengadilan guru nilai mapel pendidikan tokoh tingkat indeks",
        attribute=True,
    ),
    _rule("ETHNICITY", "suku|etnis|etnik|ras|ethnicity|suku bangsa", but="bunga cadang hewan ternak", attribute=True),
    _rule(
        "NATIONALITY",
        "kewarganegaraan|warganegara|wni|wna|nationality|citizenship|penduduk negara|kebangsaan",
        attribute=True,
    ),
    _rule("GENDER", "kelamin|jenis kelamin|jenis kelurahan", but="hewan ternak", attribute=True),
    _rule(
        "FINANCE",
        "nomor rekening|norek|rekening|rekening bank|gaji|gaji pokok|penghasilan|tunjangan|honor|honorarium"
        "|kartu kredit|credit card|slip gaji|take home pay|kekayaan|lhkpn|skor kredit|gapok|tukin",
        but="kode nama belanja uraian kas induk anggaran sub akun mak keterangan kelompok",
    ),
    _rule("FINANCE", "pendapatan|hutang|utang|pinjaman|saldo|tabungan|tagihan|tunggakan|cicilan|angsuran", POSSIBLE,
          of_people=True),
    _rule("PHOTO", "foto ktp|foto diri|foto wajah|selfie|swafoto|pas foto|foto selfie|foto kk|scan ktp|gambar ktp",
          anywhere=True),
    _rule("PHOTO", "foto|avatar", POSSIBLE, of_people=True),
    _rule("VEHICLE", "nomor polisi|nopol|plat nomor|nomor plat", POSSIBLE),
    _rule("AGE", "usia", POSSIBLE, of_people=True, but="kelompok rencana bangunan pakai"),
    _rule("ACCOUNT", "username|pengguna nama|login|userid", POSSIBLE, but="url waktu terakhir"),
)  # fmt: skip
