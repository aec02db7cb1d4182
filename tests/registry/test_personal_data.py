"""Columns with personal data are recognised by name and values, and those that only look like it are not."""

from __future__ import annotations

import pytest

from registry.models import Field
from registry.personal_data import (
    CERTAIN,
    KINDS,
    LIKELY,
    PERSONAL,
    POSSIBLE,
    SPECIFIC,
    is_nik,
    mask,
    recognize,
    words_of,
)

#: Names of columns by the kind that they are without values; "" is none. "table.column" gives the table's name too.
NAMES = {
    "NIK": """
        nik NIK no_ktp nomor_ktp NoKTP noktp nomor_induk_kependudukan nik_pegawai nik_ibu NIK_PEMOHON no_nik ktp
        nomor_identitas nik_kepala_keluarga nikPenduduk no_identitas nik_anak nik_penerima
    """,
    "KK": "no_kk nomor_kk NoKK nokk kk NKK no_kartu_keluarga nomor_kartu_keluarga",
    "NPWP": "npwp no_npwp NPWP npwp_pribadi npwp_pegawai nomor_pokok_wajib_pajak npwp15",
    "ID_NUMBER": """
        nip NIP nip_baru nip_lama nrp nisn nim nuptk no_paspor paspor no_bpjs nomor_bpjs no_akta_lahir no_sim nis
        nomor_peserta nip_kepala_sekolah NO_AKTA_KWN AKTA_CRAI no_askes no_kps
    """,
    "NAME": """
        nama_lengkap nm_pegawai nama_pegawai namaPenduduk nama_ibu nama_ayah nm_ayah nama_kepala_keluarga nama_pasien
        nama_siswa NamaLengkap full_name first_name last_name nama_panggilan nama_pemilik nama_wajib_pajak nama_wp
        nama_penerima nama_direktur nama_kepala_desa nama_suami nama_istri nama_wali namaibu nama_ibu_kandung
        nama_pemohon nama_petugas nama_gadis_ibu_kandung nm_lengkap nama_sesuai_ktp nama_kepala_sekolah
        nama_pemilik_rekening pegawai.nama penduduk.nama tb_siswa.nm nama_anak nama nama_karyawan
        nama_kk NAMA_KEP NAMA_PET_REG namakeluarga
    """,
    "BIRTH_DATE": """
        tgl_lahir tanggal_lahir tgllahir TglLahir TANGGAL_LAHIR tgl_lhr birth_date birthdate dob thn_lahir tahun_lahir
        date_of_birth tgl_lahir_ibu tgl_kelahiran ttl tempat_tanggal_lahir birthday tgl_lahir_anak
    """,
    "BIRTH_PLACE": "tempat_lahir tmp_lahir tmpt_lahir tempatlahir kota_lahir birth_place TempatLahir",
    "PHONE": """
        no_hp nohp hp telp no_telp notelp telepon no_telepon nomor_handphone phone phone_number mobile no_wa whatsapp
        telp_rumah hp_pegawai no_hp_ortu telepon2 no_hp_darurat
    """,
    "EMAIL": "email e_mail surel email_address alamat_email email_pegawai emailPribadi",
    "ADDRESS": """
        alamat alamat_rumah alamat_ktp alamat_domisili almt address home_address domisili alamat_pasien alamat_pegawai
        tempat_tinggal alamatpj peserta_didik.alamat_jalan rt_rw penduduk.rt penduduk.rw
    """,
    "LOCATION": "koordinat_rumah lat_rumah penduduk.latitude pasien.longitude",
    "RELIGION": "agama religion kd_agama_dianut agama_pegawai kd_agama nama_agama kepercayaan",
    "GENDER": "jenis_kelamin jk gender sex JENIS_KLMIN jns_kel jns_kelamin kelamin JenKel",
    "MARITAL": "status_kawin status_perkawinan sts_kawin status_nikah marital_status stat_kawin",
    "ETHNICITY": "suku suku_bangsa etnis",
    "NATIONALITY": "kewarganegaraan nationality",
    "HEALTH": """
        gol_darah golongan_darah gol_drh penyakit diagnosa diagnosis penyakit_pasien no_rekam_medis keluhan alergi
        disabilitas berat_badan tinggi_badan riwayat_kesehatan status_gizi hiv tekanan_darah kode_icd
        blood_type no_rkm_medis PNYDNG_CCT kebutuhan_khusus_id nama_penyakit jenis_penyakit
    """,
    "BIOMETRIC": "sidik_jari fingerprint tanda_tangan retina",
    "GENETIC": "dna",
    "CRIMINAL": "skck catatan_kriminal vonis",
    "FINANCE": """
        no_rekening norek rekening gaji gaji_pokok penghasilan gapok tunjangan salary no_rek pegawai.hutang
        penghasilan_ayah gaji_pegawai
    """,
    "PHOTO": "foto_ktp foto_wajah selfie pegawai.foto pas_foto",
    "VEHICLE": "nopol no_polisi",
    "AGE": "umur_pasien penduduk.usia pegawai.umur",
    "ACCOUNT": "username user_name",
    "SECRET": "password pin kata_sandi passwd",
    "": """
        nama_kecamatan nama_barang tgl_dibuat nama_desa nama_kelurahan nama_provinsi nama_kabupaten nm_kec nama_sekolah
        nama_jabatan nama_instansi nama_unit_kerja nama_obat nama_produk nama_bank nama_file nama_jalan nama_ibukota
        nama_ibu_kota nama_kegiatan nama_rumah_sakit nama_perusahaan kode kode_pos kode_wilayah kodepos id id_pegawai_
        jumlah_penduduk jumlah_kk jml_kk total_nik status_nik tgl_dibuat created_at updated_at tgl_surat tgl_masuk
        tanggal tanggal_pembayaran tgl_terbit_ktp alamat_kantor alamat_sekolah alamat_ip ip_address mac_address
        alamat_web telp_kantor email_kantor telp_instansi no_surat no_urut nomor no_order no_transaksi no_faktur
        nomor_kontrak luas harga stok satuan tahun bulan semester suku_bunga suku_cadang kantor_urusan_agama
        nilai_agama kode_rekening nama_rekening uraian_rekening rekening_belanja latitude longitude lat lng koordinat
        teknik unik klinik piknik jumlah jumlah_penderita jumlah_lahir angka_kelahiran kecamatan.nama ref_barang.nama
        desa.nama nama_jenis_pegawai nama_status_pegawai jenis_kendaraan foto_barang foto status keterangan golongan
        pangkat jabatan sekolah.alamat puskesmas.telp nama_golongan_siswa pendapatan_daerah saldo hutang deskripsi
        kelas kapasitas pos ruang kelompok_umur ref_penyakit.nama_penyakit agama.nama m_agama.kode_agama
        nama_anak_perusahaan tingkat_kepercayaan pemohon suami
        sekolah.alamat_jalan sekolah.no_rekening kd_kel NO_KEL nama_dusun nib npsn nop no_rangka
        pegawai.nama_diklat pegawai.nama_jab penduduk.nama_dusun
        jenis_pegawai.nama ref_golongan_pegawai.nama pegawai.nama_gol
    """,
}  # fmt: skip
CASES = [(name, kind) for kind, names in NAMES.items() for name in names.split()]


def found(name: str, values: tuple[object, ...] = ()) -> tuple[str, str]:
    table, _, column = name.rpartition(".")
    finding = recognize(column, values, table)
    return (finding.kind, finding.certainty) if finding else ("", "")


def test_the_table_of_names_is_large() -> None:
    assert len(CASES) >= 150
    assert set(NAMES) - {""} == set(KINDS)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_name_says_what_a_column_holds(name: str, kind: str) -> None:
    assert found(name)[0] == kind


#: Values that an Indonesian office has, invented.
NIKS = ("3201014107900001", "3174091203850002", "5171025505750003", "1271036012990004", "3578011506000005")
CARDS = tuple(f"32010{place % 10}{day:02}0{place % 9 + 1}15{place:04}" for place, day in enumerate(range(1, 29), 1))
ORDERS = ("2024011500000001", "2024011500000002", "2024011600000003", "2024011700000004")
NIPS = ("198503122010011002", "197811052006042001", "199001012015031001")
PEOPLE_NAMES = ("SITI AMINAH", "Budi Santoso", "H. Ahmad Fauzi, S.Pd.", "Maria Goreti", "Wayan Sudarsana")
VALUES = (
    ("x", NIKS, "NIK", CERTAIN),
    ("nik", NIKS, "NIK", CERTAIN),
    ("kolom1", tuple(int(nik) for nik in NIKS), "NIK", CERTAIN),
    ("x", CARDS, "KK", CERTAIN),
    ("no_kk", CARDS[:3], "KK", CERTAIN),
    ("nik", ("1", "2", "3"), "", ""),
    ("nik", ("d41d8cd98f00b204e9800998ecf8427e",) * 3, "NIK", POSSIBLE),
    ("no_order", ORDERS, "", ""),
    ("keterangan", ("warga baru NIK 3201014107900001", "-", "lengkap"), "NIK", POSSIBLE),
    ("x", ("01.234.567.8-901.000", "02.345.678.9-012.000", "03.456.789.0-123.000"), "NPWP", CERTAIN),
    ("x", NIPS, "ID_NUMBER", CERTAIN),
    ("x", ("0812-3456-7890", "+62 813 1111 2222", "085711112222"), "PHONE", CERTAIN),
    ("x", ("budi@contoh.id", "siti.a@contoh.go.id", "joko@contoh.com"), "EMAIL", CERTAIN),
    ("x", ("info@dinas.go.id", "humas@dinas.go.id", "admin@dinas.go.id"), "", ""),
    ("tgl_lahir", ("1990-01-02", "1985-12-31", "2001-07-15"), "BIRTH_DATE", CERTAIN),
    ("tgl_lahir", ("02/01/1990", "31-12-1985", "15 Juli 2001"), "BIRTH_DATE", CERTAIN),
    ("tgl_lahir", ("ya", "tidak", "ya"), "BIRTH_DATE", POSSIBLE),
    ("tgl_dibuat", ("1990-01-02", "1985-12-31", "2001-07-15"), "", ""),
    ("nama", PEOPLE_NAMES, "NAME", LIKELY),
    ("nama", ("Bandung Utara", "Cimahi", "Lembang"), "", ""),
    ("kecamatan.nama", ("Bandung Utara", "Cimahi", "Lembang"), "", ""),
    ("nama_xyz", PEOPLE_NAMES, "NAME", LIKELY),
    ("pegawai.nama_diklat", ("Diklat Pim III", "Prajabatan", "Kepemimpinan"), "", ""),
    ("pemohon", PEOPLE_NAMES, "NAME", LIKELY),
    ("pemohon", ("1", "2", "3"), "", ""),
    ("nama_barang", ("Kertas A4", "Tinta", "Map"), "", ""),
    ("kode", ("3201", "3202", "3203"), "", ""),
    ("harga", ("1500000", "2000000", "812345678901"), "", ""),
    ("x", (None, "", " "), "", ""),
    ("x", (), "", ""),
)  # fmt: skip


@pytest.mark.parametrize(("name", "values", "kind", "certainty"), VALUES)
def test_values_say_what_a_column_holds(name: str, values: tuple[object, ...], kind: str, certainty: str) -> None:
    assert found(name, values) == (kind, certainty)


@pytest.mark.parametrize(
    ("name", "classification", "type_"),
    [
        ("nik", PERSONAL, "nik"),
        ("npwp", PERSONAL, "npwp"),
        ("tgl_lahir", PERSONAL, "date"),
        ("agama", PERSONAL, "text"),
        ("email", PERSONAL, "text"),
        ("diagnosa", SPECIFIC, "text"),
        ("gol_darah", SPECIFIC, "text"),
        ("no_rekening", SPECIFIC, "text"),
        ("sidik_jari", SPECIFIC, "text"),
        ("nama_anak", SPECIFIC, "text"),
        ("nama_siswa", SPECIFIC, "text"),
    ],
)
def test_the_law_says_which_class_a_kind_has(name: str, classification: str, type_: str) -> None:
    finding = recognize(name)
    assert finding is not None
    assert (finding.classification, finding.parameter_type) == (classification, type_)
    assert finding.classification in Field.Classification.values
    assert finding.reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tglLhr_2", ("tanggal", "lahir")),
        ("NAMA LENGKAP", ("nama", "lengkap")),
        ("noHP", ("nomor", "telepon")),
        ("NIKPenduduk", ("nik", "penduduk")),
        ("tgllahiribu", ("tanggal", "lahir", "ibu")),
        ("Nama-Pégawai", ("nama", "pegawai")),
        ("teknik", ("teknik",)),
        ("", ()),
        ("é" * 1000, ("e" * 128,)),
    ],
)
def test_a_name_is_split_into_words(name: str, words: tuple[str, ...]) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("3201014107900001", True), ("3201010107900001", True), ("32.01.01.410790.0001", True),
        ("2001014107900001", False), ("3201017207900001", False), ("3201014113900001", False),
        ("3201014107900000", False), ("320101410790000", False), ("3201013207900001", False),
        ("3201014007900001", False),
    ],
)  # fmt: skip
def test_a_nik_has_a_region_a_date_and_a_number(number: str, valid: bool) -> None:
    assert is_nik(number) is valid


@pytest.mark.parametrize(
    ("value", "kind", "masked"),
    [
        ("3201014107900001", "NIK", "32••••••••••••••"),
        (3201014107900001, "NIK", "32••••••••••••••"),
        ("Siti Aminah", "NAME", "S••• A•••"),
        ("budi@contoh.id", "EMAIL", "b•••@•••"),
        ("081234567890", "PHONE", "08••••••••••"),
        ("1990-01-02", "BIRTH_DATE", "1990-••-••"),
        ("02/01/1990", "BIRTH_DATE", "•••"),
        ("Jl. Melati 3", "ADDRESS", "•••"),
        ("Islam", "RELIGION", "•••"),
        ("12", "KK", "••"),
        (None, "NAME", ""),
        ("", "EMAIL", ""),
    ],
)
def test_a_masked_value_identifies_nobody(value: object, kind: str, masked: str) -> None:
    assert mask(value, kind) == masked


def test_a_long_name_takes_no_time() -> None:
    assert words_of("rtrw" * 30 + "x") == ("rtrw" * 30 + "x",)
    assert recognize("rtrw" * 9 + "xx") is None


def test_recognition_reads_a_bounded_number_of_values() -> None:
    class Endless:
        read = 0

        def __iter__(self) -> Endless:
            return self

        def __next__(self) -> str:
            self.read += 1
            return "x" * 1000

    values = Endless()
    assert recognize("x", values) is None
    assert values.read <= 200
