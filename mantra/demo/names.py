"""Invented names of people from several regions, put together from parts by numbers."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


_MEN = _words(
    "Agus Ahmad Andi Arif Bagus Bambang Bayu Budi Dani Dedi Dimas Dodi Edi Eko Fajar Galih Gilang Hadi Hendra Heri "
    "Ilham Indra Irfan Iwan Joko Krisna Lukman Mulyono Nanang Nugroho Oki Panji Prasetyo Rahmat Rangga Rizki Rudi "
    "Rusdi Satria Setyo Slamet Sugeng Suharto Sukardi Surya Taufik Teguh Tono Umar Wahyu Wawan Wisnu Yanto Yoga Yusuf "
    "Zainal Abdul Muhammad Usman"
)
_WOMEN = _words(
    "Aisyah Ana Anisa Ayu Citra Dewi Diah Dwi Eka Endang Erna Fatimah Fitri Hana Hesti Ika Indah Intan Ismi Kartika "
    "Khadijah Kurnia Laila Lestari Lina Maya Mega Melati Mira Murni Nadia Nani Nita Novi Nur Putri Rahayu Rani Ratna "
    "Retno Rina Rini Rosa Sari Sinta Siti Sri Sulastri Suryani Tari Tika Tri Umi Utami Vina Wahyuni Wati Widya Yani "
    "Yuli"
)
_SECOND = _words(
    "Aminah Anggraini Ardiansyah Astuti Baskoro Cahyani Cahyono Darmawan Effendi Fadilah Firmansyah Gunawan "
    "Hakim Halim Handayani Haryanto Hasanah Hidayat Hidayati Irawan Ismail Jaelani Kamal Kusuma Kusumawati Latif "
    "Maharani Mahendra Maulana Mulyani Mulyadi Munawar Nugraha Nurhayati Permata Pertiwi Pramono Pratama Purnama "
    "Purnomo Puspita Rahman Ramadhan Rosidah Rohman Safitri Salim Santoso Saputra Saraswati Sasmita Setiawan Solihin "
    "Sudrajat Suherman Sulistyo Supriyadi Susanti Sutrisno Syafii Syarif Wibowo Wicaksono Widodo Wijaya Winarsih "
    "Wulandari Yuliana Zulkarnain"
)
_LAST = _words(
    "Alatas Amri Basri Damanik Fauzi Ginting Hasibuan Hutapea Kadir Lubis Manurung Matondang Nainggolan Nasution "
    "Pane Pohan Pulungan Rangkuti Sembiring Siregar Sihombing Simanjuntak Sinaga Sitompul Tanjung Tarigan"
)


def person(number: int, female: bool) -> str:
    """Return the name of a person by its number: of one word to three, the same for the same number."""
    firsts = _WOMEN if female else _MEN
    first = firsts[number // 2 * 7 % len(firsts)]
    second = _SECOND[number // 97 * 11 % len(_SECOND)]
    third = _LAST[number // 4_201 % len(_LAST)]
    words = {0: (first, second, third), 1: (first,)}.get(number // 3 % 16, (first, second))
    return " ".join(words)
