"""The words of which columns' and tables' names are made, Indonesian and English, with their abbreviations."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


#: Other spellings of the words that the rules use.
ALIASES = {
    alias: word
    for word, aliases in {
        "nama": "nm name names nma",
        "nomor": "no nmr num number numb nomer nr",
        "tanggal": "tgl date tg tggl",
        "tempat": "tmp tmpt tpt place",
        "lahir": "lhr birth born kelahiran",
        "alamat": "almt alm address addr alamt",
        "telepon": "telp tlp telpon tel phone telephone hp handphone ponsel mobile wa whatsapp seluler hape notelp"
        " msisdn cellphone nohp",
        "kelamin": "jk gender sex jenkel jnskel jkel klmin klm",
        "kawin": "nikah perkawinan pernikahan marital married kwn",
        "status": "sts stat stts",
        "jenis": "jns jen tipe type jnis",
        "golongan": "gol goldar",
        "darah": "drh blood",
        "keluarga": "klg",
        "pegawai": "peg pgw karyawan employee staf staff asn pns",
        "penduduk": "pddk pdd warga citizen resident",
        "siswa": "student murid pelajar sw",
        "pasien": "patient psn",
        "email": "surel emailaddress mail",
        "rekening": "rek",
        "ktp": "ektp",
        "kk": "kartukeluarga",
        "npwp": "npwpd",
        "agama": "religion agm",
        "foto": "photo picture gambar pasfoto pict",
        "lintang": "lat latitude lintang ltd",
        "bujur": "lng lon long longitude bjr",
        "kode": "kd code cd",
        "jumlah": "jml jmlh total count qty banyak",
        "keterangan": "ket desc description uraian",
        "perusahaan": "company corporate persh",
        "kecamatan": "kec",
        "kelurahan": "kel",
        "kabupaten": "kab",
        "provinsi": "prov propinsi",
        "sekolah": "skl school",
        "kantor": "office ktr",
        "suami": "husband",
        "istri": "isteri wife",
        "ayah": "bapak father",
        "ibu": "mother",
        "anak": "child children",
        "orang": "person people",
        "tua": "parent",
        "kepala": "head kep",
        "pemilik": "owner",
        "pelanggan": "customer client klien",
        "pengguna": "user",
        "sandi": "password passwd pwd pass katasandi",
        "lengkap": "lgkp full lkp",
        "depan": "first given",
        "belakang": "last surname",
        "tengah": "middle",
        "panggilan": "nick nickname pgl",
        "domisili": "domicile",
        "diagnosa": "diagnosis diag dx diagnose",
        "penyakit": "disease illness",
        "pendapatan": "income",
        "gaji": "salary wage upah",
        "usia": "umur age",
        "petugas": "pet",
        "penanggung": "pj",
        "rekam": "rkm",
        "cacat": "cct",
        "kelainan": "klain",
        "cerai": "crai",
        "kependudukan": "penduduk_",
        "negara": "country",
        "identitas": "identity idcard",
        "gelar": "title",
        "pajak": "tax",
        "wajib": "wp",
        "meninggal": "wafat death",
    }.items()
    for alias in aliases.split()
}

#: Words for people. A name with one of them is a person's.
PEOPLE = word_set("""
    pegawai penduduk siswa pasien orang ibu ayah suami istri anak wali pemohon pemilik pelapor terlapor petugas guru
    dosen dokter perawat bidan mahasiswa peserta penerima pelanggan pengguna ketua kepala direktur sekretaris bendahara
    camat lurah bupati walikota gubernur kades anggota saksi ahli waris pendonor korban tersangka terdakwa narapidana
    napi debitur nasabah pengirim kontak pic penanggung jawab pejabat operator penyuluh petani nelayan pedagang
    pengemudi sopir supir penumpang santri ustadz imam jamaah calon pelamar responden balita bayi lansia janda duda
    pembeli penjual penyewa tamu pengunjung wajib pajak kuasa notaris hakim jaksa pengacara pembina pembimbing penguji
    penulis pengarang pemegang atasan bawahan pasangan saudara kakek nenek kerabat individu pribadi tenaga kader
    relawan veteran
""")
#: Words for what is no person: a name or an address with one of them is not a person's, unless people own or head it.
THINGS = word_set("""
    kecamatan kelurahan kabupaten provinsi desa kota dusun wilayah daerah negara lokasi jalan gedung ruang ruangan
    bangunan jembatan sungai gunung pulau pantai pasar terminal stasiun bandara pelabuhan halte rumah sakit rs rsud
    puskesmas klinik apotek sekolah kampus universitas fakultas jurusan prodi kelas mapel pelajaran mata kuliah kantor
    instansi dinas badan lembaga organisasi unit opd skpd satker bidang seksi bagian divisi departemen perusahaan pt cv
    toko usaha koperasi bank cabang merek merk barang produk obat bahan alat aset kendaraan mobil motor komoditas
    tanaman hewan ternak ikan padi jabatan golongan pangkat pekerjaan profesi pendidikan kegiatan program proyek paket
    pekerjaan anggaran belanja akun rekening pajak retribusi layanan jenis kategori kelompok tipe model tabel kolom file
    berkas dokumen folder menu modul aplikasi sistem server domain host ip mac web website url situs database field
    kolom variabel indikator satuan periode bulan hari tahun agenda acara rapat surat peraturan perda buku judul artikel
    berita kamar blok kavling zona rute trayek kapal pesawat partai fraksi komisi tps dapil kelompok tani gapoktan
    event tempat kegiatan tujuan bidang penyakit penghargaan bencana posko pos rayon loket antrian
""") - {"tempat", "wajib"}  # fmt: skip
#: Words with which a column says something about data and not about a person.
ABOUT = word_set("""
    jumlah status jenis kode keterangan tanggal waktu jam flag is ada valid validasi verifikasi verified cek check url
    path file ukuran size format versi persen persentase rata rerata rasio indeks urut urutan level tingkat kategori
    kelompok group created updated deleted modified dibuat diubah dihapus expired masa berlaku terbit cetak hash
    panjang lebar master ref referensi
""")

#: Words that say that a table or its rows are people, or that they are children.
CHILDREN = word_set("didik anak balita bayi siswa nisn paud sd smp")
#: Words that are before the name of an attribute, and in the names of tables that list what an attribute can be.
CODING = word_set("jenis kode status keterangan tingkat kategori kelompok nama id ref")
LISTS = CODING | word_set("m mst master referensi tb tbl t r daftar kamus")
#: Words that together name a thing though one of them is for people.
PAIRS = (word_set("ibu kota"), word_set("ibukota"), word_set("anak perusahaan"), word_set("anak sungai"))


#: Words that make a name a person's full name.
NAME_PARTS = word_set(
    "kk keluarga lengkap depan belakang tengah panggilan gadis alias ktp asli sesuai maiden family kecil"
)
#: Words that make a name none of a person though there is a word for people.
NOT_NAMES = word_set("jenis status kategori golongan kelompok tipe tingkat kode jumlah level")
