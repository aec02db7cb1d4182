"""Pairs of invented Indonesian names: of one person as clerks write it differently, and of two persons.

The rule was written before the rule that compares names, from how lists of people look, and does not use it. All
names are put together by chance. The two sets have no given name in common: those of the second set are the words that
the first one leaves out, so that a comparison that learnt the first set by heart would fail on the second.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

#: Pairs of each sort in a set, and the seeds of the two sets: the one that is looked at, and the one held out.
EACH = 1000
SEEN, HELD_OUT = 0, 1
_SEEDS = (20261129, 77001)


T = TypeVar("T")


class Pair(NamedTuple):
    #: How the second name came to differ; for tests' messages.
    kind: str
    one: str
    other: str


def _words(text: str) -> list[str]:
    return text.split()


# fmt: off
_JAVA_GIVEN = _words("""
    Agus Slamet Bambang Sugeng Joko Teguh Wahyu Eko Dwi Tri Budi Hadi Purwanto Sutrisno Suparman Sumarni
    Sulastri Endang Lestari Retno Sri Wahyuni Ratna Dewi Puji Rahayu Tutik Partini Giyarti Sukarti Ngatmin Paijo
    Tukiman Wagiyo Sarjono Mulyono Hartini Suharti Kusuma Bagas Dimas Galih Yoga Anggoro Danang Suryani
    Nugraheni Widyastuti
""")
_JAVA_LAST = _words("""
    Santoso Wibowo Susilo Widodo Prasetyo Nugroho Hartono Setiawan Wijaya Utomo Saputro Kurniawan Raharjo
    Sudarsono Prabowo Handoko Hidayat Purnomo Haryanto Siswanto Gunawan Supriyadi Yulianto Suryadi Pranoto
    Cahyono Wicaksono Mardiyanto
""")
_SUNDA = _words("""
    Asep Ujang Dadang Cecep Maman Tatang Engkos Iis Neneng Euis Elis Imas Yayat Deden Aep Entin Kokom Nining
    Odang Rohaeti Sutisna Suherman Sopandi Kusnadi Rukmana Mulyana Hermawan Komariah Juariah Rosmiati Sukmana
    Permana Hendrayana Gumilar Wiguna Kartika Sobari Nuraeni Wahidin Suhendar
""")
_BATAK_GIVEN = _words("""
    Rudi Hotman Parlindungan Togar Tiurma Rotua Lamhot Saut Poltak Rosdiana Tiarma Jonggi Marihot Bonar Risma
    Duma Sahat Nurmala Tumpal Mangasi Pardomuan Herlina Romauli Binsar Julianto Benget
""")
_MARGA = _words("""
    Siregar Nasution Simanjuntak Sinaga Hutapea Panjaitan Sitompul Lubis Harahap Manurung Situmorang Sihombing
    Tampubolon Pasaribu Ginting Sembiring Tarigan Purba Silalahi Nainggolan
""")
_MINANG = _words("""
    Yusrizal Zulfahmi Desmawati Syafrizal Erizal Nasrul Afrizal Marlina Gusnita Delvi Rahmadani Syamsuar Firdaus
    Hendrizal Nofriyanti Mardalena Yulisma Ermiwati Asrizal Zulkarnain Chaniago Tanjung Piliang Koto Sikumbang
    Jambak
""")
_BUGIS = _words("""
    Baso Tenri Mappanyukki Daeng Rahmatia Basri Hasnawati Ruslan Nurjannah Syahrir Mustari Sukmawati Arsyad
    Hamsinah Burhanuddin Kamaruddin Patahuddin Syamsiah Tahir Ramlah Makkasau Saleh Maddukelleng Sitti
""")
_BALI_ORDER = _words("Wayan Made Nyoman Ketut Putu Kadek Komang Gede")
_BALI_PERSONAL = _words("""
    Sudiarta Suwarni Astawa Wirawan Sukerti Parwata Widiani Suardana Artini Mahendra Sukadana Yuniartha
    Wijayanti Sumerta Suartini Darmawan Widnyana Puspawati Adnyana Rasmini
""")
_CHINESE_FAMILY = _words("Tan Lim Oei Liem Kwee Tjandra Gunadi Halim Salim Wijono Kosasih Hartanto")
_CHINESE_GIVEN = _words("""
    Hendra Lina Mei Ling Kian Seng Hok Eng Swan Giok Bun Tjin Fransiska Kevin Vivian Stefanus Melissa Yohanes
    Christine Felix Natalia Susanna
""")
_ARAB = _words("""
    Rizki Fauzi Hidayatullah Ramadhan Maulana Ibrahim Yusuf Ismail Zainal Arifin Hakim Farhan Ilham Fikri Anwar
    Mahmud Taufik Syarif Khairul Luthfi Hamzah Iqbal Rafiq Salman Mubarak Basyir Jamaluddin Zulkifli Haris
    Naufal
""")
_ABDUL = _words("Rahman Aziz Karim Ghani Halim Hamid Malik Wahid Latif Qodir Rozak Syukur")
_WOMEN = _words("""
    Aminah Nurhaliza Khadijah Maryam Zubaidah Halimah Rohmah Mutmainah Nurjanah Masruroh Fadilah Zulaikha
    Maimunah Hafsah Sholikhah Munawaroh Latifah Jamilah Rukayah Habibah
""")
_EAST = _words("""
    Yohanis Markus Yakobus Dominggus Petrus Agustina Yosina Marthen Orpa Frederika Melkianus Yuliana Bertha
    Obeth Silas Ruben Naomi Ferdinand Elsina Daud
""")
_EAST_FAMILY = _words("""
    Latuheru Pattiasina Tuhumury Wenda Kogoya Tabuni Rumbiak Mandowen Latupono Sahetapy Manuhutu Yikwa Wanimbo
    Kambuaya Lekatompessy Matulessy
""")
_ONE_WORD = _words("""
    Sukarno Suharto Sutini Paimin Wagiman Ngadiyem Sarinem Tukinah Samsuri Marsudi Karyono Suyatmi Wartini
    Saminah Kasmuri Mujiono Parjiyem Sukirman Ngatiyem Poniman
""")

#: Groups of words that differ little and are names of different people.
_ALIKE = (
    ("Santoso", "Susanto", "Santosa Putra"), ("Wahyuni", "Wahyudi", "Wahyuti"), ("Hartono", "Hartini", "Hartati"),
    ("Hasan", "Husein", "Hasanah"), ("Rahmat", "Rahmawati", "Rahmadi"), ("Suparman", "Suparmi", "Supardi"),
    ("Kartono", "Kartini", "Kartika"), ("Setiawan", "Setiawati", "Setiabudi"), ("Mulyadi", "Mulyani", "Mulyono"),
    ("Sutrisno", "Sutrisni", "Sutrimo"), ("Andri", "Andini", "Andika"), ("Ali", "Alif", "Alfi"),
    ("Rina", "Rini", "Rani"), ("Yanto", "Yanti", "Yana"), ("Haryanto", "Haryanti", "Haryono"),
    ("Aminah", "Aminatun", "Aisyah"), ("Nurhayati", "Nurhasanah", "Nurhidayati"), ("Fitri", "Fitra", "Fitria Sari"),
    ("Irwan", "Irman", "Irwin"), ("Ridwan", "Rizwan", "Ridho"), ("Putra", "Putri", "Putranto"),
    ("Sudarmo", "Sudarto", "Sudarmi"), ("Kurniawan", "Kurniawati", "Kurnia"), ("Sugiono", "Sugianto", "Sugiarti"),
    ("Yuliana", "Yulianti", "Yulianto"), ("Wulandari", "Wulansari", "Wuryandari"), ("Sumiati", "Sumarni", "Sumiyem"),
    ("Nurdin", "Nuraini", "Nurdiana"), ("Rohim", "Rohman", "Rohimah"), ("Zainuddin", "Zainab", "Zaenal Abidin"),
    ("Lestari", "Lestiani", "Lesmana"), ("Purwanto", "Purwanti", "Purwadi"), ("Hermawan", "Hermanto", "Herman"),
    ("Indrawan", "Indrawati", "Indriani"), ("Supriyanto", "Supriyanti", "Supriyono"), ("Maryati", "Maryani", "Maryono"),
)
#: Twins and siblings, as parents name them.
_TWINS = (
    ("Hasan", "Husein"), ("Rama", "Shinta"), ("Dika", "Diki"), ("Rani", "Rini"), ("Ayu", "Ayi"), ("Putra", "Putri"),
    ("Rizal", "Rizka"), ("Dina", "Dini"), ("Fajar", "Fajri"), ("Tuti", "Tati"), ("Adam", "Hawa"), ("Nakula", "Sadewa"),
    ("Yana", "Yani"), ("Ilham", "Ilhami"), ("Denis", "Dennisa"), ("Sinta", "Santi"), ("Lina", "Lani"), ("Aldi", "Aldo"),
)

#: Spellings of one name.
_SPELLINGS = (
    ("Rizki", "Rizky", "Rizqi"), ("Yusuf", "Jusuf", "Yusup"), ("Khairul", "Chairul", "Hairul"),
    ("Taufik", "Taufiq", "Topik"),
    ("Syarif", "Sarif", "Syarief"), ("Ramadhan", "Ramadan", "Romadhon"), ("Zainal", "Zaenal", "Zainal"),
    ("Iqbal", "Ikbal", "Iqbal"), ("Fauzi", "Fauzy", "Pauzi"), ("Arifin", "Aripin", "Ariffin"),
    ("Aminah", "Amina", "Aminnah"),
    ("Khadijah", "Hadijah", "Khodijah"), ("Maryam", "Mariam", "Maryam"), ("Zubaidah", "Zubaedah", "Jubaidah"),
    ("Setiawan", "Setyawan", "Setiawan"), ("Prasetyo", "Prasetio", "Prasetya"), ("Wahyuni", "Wahjuni", "Wahyunie"),
    ("Yohanes", "Johanes", "Yohannes"), ("Mulyana", "Muliana", "Mulyana"), ("Supriyadi", "Supriadi", "Soepriyadi"),
    ("Yulianto", "Julianto", "Yuliyanto"), ("Budi", "Boedi", "Budhi"), ("Dewi", "Dewy", "Dhewi"),
    ("Susilo", "Soesilo", "Susillo"),
    ("Suharto", "Soeharto", "Suharto"), ("Sukarno", "Soekarno", "Sukarno"), ("Tjandra", "Candra", "Chandra"),
    ("Wijaya", "Widjaja", "Wijaja"), ("Wijono", "Widjono", "Wiyono"), ("Hidayat", "Hidajat", "Hidayatt"),
    ("Purnomo", "Poernomo", "Purnama"), ("Agustina", "Agustinna", "Agoestina"), ("Rahman", "Rohman", "Rachman"),
    ("Latifah", "Lathifah", "Latipah"), ("Fadilah", "Fadhilah", "Padilah"), ("Luthfi", "Lutfi", "Lutfhi"),
    ("Syamsuar", "Samsuar", "Sjamsuar"), ("Burhanuddin", "Burhanudin", "Boerhanoeddin"),
    ("Zulkifli", "Dzulkifli", "Zulkifly"),
    ("Nurjannah", "Nurjanah", "Noerjanah"), ("Ibrahim", "Ibrohim", "Ibrahiem"), ("Ismail", "Ismael", "Ismail"),
    ("Dwi", "Dwie", "Dwi"), ("Sri", "Srie", "Sri"), ("Kusuma", "Koesoema", "Kusumah"), ("Joko", "Djoko", "Jokko"),
    ("Yakobus", "Jakobus", "Yakobus"), ("Markus", "Marcus", "Markus"), ("Fransiska", "Fransisca", "Fransiska"),
    ("Syafrizal", "Safrizal", "Sjafrizal"), ("Nofriyanti", "Novriyanti", "Nofrianti"),
    ("Marlina", "Merlina", "Marlinah"),
)
_FRONT = (
    "H. ", "Hj. ", "Drs. ", "Dra. ", "Ir. ", "Dr. ", "dr. ", "drg. ", "Prof. Dr. ", "KH. ", "Ust. ", "R. ", "Rr. ",
    "Tn. ", "Ny. ",
    "Sdr. ", "Alm. ", "Almh. ", "H ", "Drs. H. ", "Ir. H. ", "Bpk. ", "Ibu ", "Hj ", "Drs ", "IR. ", "DRS. H. ",
    "Prof. ",
)
_BEHIND = (
    ", S.H.", ", S.Kom.", ", S.Pd.", ", M.Si.", " SE", ", SE", ", S.E., M.M.", " S.Pd", ", S.Sos", ", A.Md.", " ST",
    ", ST., MT.",
    ", Ph.D.", ", S.Pd.I", ", M.Pd", " S.H.", " SH", ", S.Kep., Ns.", ", S.T., M.T.", ", S.Ag", " S.KM", ", SKM",
    ", M.Kes",
    ", SH., MH", ", Amd.Keb", ", S.IP", " SP", ", A.Md.Kep",
)
_SHORT = {
    "Muhammad": ("Muh.", "Moh.", "Mohd.", "Mhd.", "M.", "Moch.", "Muh", "M", "Md."),
    "Abdul": ("Abd.", "Abd", "Abdl.", "A."),
    "Siti": ("St.", "S.", "St"), "Ahmad": ("A.", "Ahm.", "Akh."), "Nur": ("N.",), "Wayan": ("Wyn.", "W."),
    "Made": ("Md.", "M."),
    "Nyoman": ("Nym.", "Nyn.", "N."), "Ketut": ("Kt.", "K."), "Komang": ("Km.", "Kmg."), "Putu": ("Pt.", "P."),
    "Gede": ("Gd.", "G."),
    "Kadek": ("Kd.", "Kdk."), "Gusti": ("Gst.",), "Andi": ("A.",), "Anak": ("A.",), "Agung": ("Ag.", "A."),
    "Daeng": ("Dg.",),
    "Ida": ("I.",), "Bagus": ("Bgs.", "B."),
}
#: The keys next to each on a keyboard.
_NEXT = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl",
    "p": "ol", "a": "qsz",
    "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb", "h": "gjyn", "j": "hkum", "k": "jlim", "l": "kop", "z": "xas",
    "x": "zcs",
    "c": "xvd", "v": "cbf", "b": "vng", "n": "bmh", "m": "nkj",
}
# fmt: on

#: Words that the grammar of names repeats in every set.
_FRAME = ("Muhammad", "Abdul", "Siti", "Ahmad", "Nur", "Ni", "I", "Gusti", "Anak", "Agung", "Ida", "Bagus", "Andi")


class _Pool:
    """The half of all words that one set uses."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.java, self.java_last = self.half(_JAVA_GIVEN), self.half(_JAVA_LAST)
        self.sunda, self.minang, self.bugis = self.half(_SUNDA), self.half(_MINANG), self.half(_BUGIS)
        self.batak, self.marga = self.half(_BATAK_GIVEN), self.half(_MARGA)
        self.bali_order, self.bali = _BALI_ORDER, self.half(_BALI_PERSONAL)
        self.chinese_family, self.chinese = self.half(_CHINESE_FAMILY), self.half(_CHINESE_GIVEN)
        self.arab, self.abdul, self.women = self.half(_ARAB), self.half(_ABDUL), self.half(_WOMEN)
        self.east, self.east_family = self.half(_EAST), self.half(_EAST_FAMILY)
        self.one_word = self.half(_ONE_WORD)
        self.alike, self.twins, self.spellings = self.half(_ALIKE), self.half(_TWINS), self.half(_SPELLINGS)

    def half(self, words: Sequence[T]) -> list[T]:
        return list(words[self.part :: 2])


#: All words of names: a slip that makes another name out of a name cannot be told from that name.
_KNOWN = frozenset(
    word.lower()
    for words in (
        _JAVA_GIVEN, _JAVA_LAST, _SUNDA, _BATAK_GIVEN, _MARGA, _MINANG, _BUGIS, _BALI_ORDER, _BALI_PERSONAL,
        _CHINESE_FAMILY,
        _CHINESE_GIVEN, _ARAB, _ABDUL, _WOMEN, _EAST, _EAST_FAMILY, _ONE_WORD, *_ALIKE, *_TWINS, _FRAME,
    )
    for word in words
)  # fmt: skip


class _Clerk:
    """Writes names: each method returns how another clerk has written it, or None where that cannot be."""

    def __init__(self, part: int) -> None:
        self.chance = random.Random(_SEEDS[part])
        self.pool = _Pool(part)

    def pick(self, words: Sequence[T]) -> T:
        return words[self.chance.randrange(len(words))]

    def several(self, words: Sequence[str], number: int) -> list[str]:
        return self.chance.sample(list(words), number)

    # ---- people

    def person(self) -> list[str]:
        """Return the words of a person's name, of any region."""
        return self.pick((
            self.javanese, self.javanese, self.javanese, self.sundanese, self.batak, self.minang, self.bugis,
            self.balinese,
            self.chinese, self.arab, self.arab, self.arab, self.woman, self.woman, self.east, self.single,
        ))()  # fmt: skip

    def javanese(self) -> list[str]:
        given = self.several(self.pool.java, self.pick((1, 1, 2)))
        return [*given, self.pick(self.pool.java_last)]

    def sundanese(self) -> list[str]:
        return self.several(self.pool.sunda, self.pick((2, 2, 3)))

    def batak(self) -> list[str]:
        return [*self.several(self.pool.batak, self.pick((1, 2))), self.pick(self.pool.marga)]

    def minang(self) -> list[str]:
        return self.several(self.pool.minang, self.pick((2, 2, 3)))

    def bugis(self) -> list[str]:
        return [*self.pick((["Andi"], [], [])), *self.several(self.pool.bugis, 2)]

    def balinese(self) -> list[str]:
        front = self.pick((["I"], ["Ni"], ["I", "Gusti"], ["Anak", "Agung"], ["Ida", "Bagus"]))
        return [*front, self.pick(self.pool.bali_order), *self.several(self.pool.bali, self.pick((1, 1, 2)))]

    def chinese(self) -> list[str]:
        return [self.pick(self.pool.chinese_family), *self.several(self.pool.chinese, 2)]

    def arab(self) -> list[str]:
        if self.chance.random() < 0.3:
            return [
                *self.pick((["Muhammad"], [])),
                "Abdul",
                self.pick(self.pool.abdul),
                *self.several(self.pool.arab, 1),
            ]
        return [self.pick(("Muhammad", "Muhammad", "Ahmad")), *self.several(self.pool.arab, self.pick((1, 2, 2)))]

    def woman(self) -> list[str]:
        return [*self.pick((["Siti"], ["Siti", "Nur"], ["Nur"])), *self.several(self.pool.women, self.pick((1, 2)))]

    def east(self) -> list[str]:
        return [*self.several(self.pool.east, self.pick((1, 2))), self.pick(self.pool.east_family)]

    def single(self) -> list[str]:
        return [self.pick(self.pool.one_word)]

    # ---- the same person, written differently

    def title(self, words: list[str]) -> str:
        name = " ".join(words)
        return self.pick((
            lambda: self.pick(_FRONT) + name,
            lambda: name + self.pick(_BEHIND),
            lambda: self.pick(_FRONT) + name + self.pick(_BEHIND),
        ))()  # fmt: skip

    def abbreviation(self, words: list[str]) -> str | None:
        places = [place for place, word in enumerate(words) if word in _SHORT]
        if places and self.chance.random() < 0.7:
            place = self.pick(places)
            short = self.pick(_SHORT[words[place]])
        else:
            places = [place for place, word in enumerate(words) if place > 0 and len(word) > 3]
            if len(words) < 2 or not places:
                return None
            place = self.pick(places)
            short = words[place][0] + self.pick((".", ".", ""))
        return " ".join([*words[:place], short, *words[place + 1 :]])

    def order(self, words: list[str]) -> str | None:
        if len(words) < 2:
            return None
        return f"{words[-1]}{self.pick((',', ''))} {' '.join(words[:-1])}"

    def missing(self, words: list[str]) -> str | None:
        if len(words) < 3:
            return None
        gone = self.pick((0, len(words) - 1, self.chance.randrange(len(words))))
        return " ".join([*words[:gone], *words[gone + 1 :]])

    def slip(self, words: list[str]) -> str | None:
        places = [place for place, word in enumerate(words) if len(word) >= 5]
        if not places:
            return None
        place = self.pick(places)
        slipped = self._slip_in(words[place])
        if slipped.lower() in _KNOWN:
            return None
        return " ".join([*words[:place], slipped, *words[place + 1 :]])

    def _slip_in(self, word: str) -> str:
        at = self.chance.randrange(1, len(word))
        letter = word[at]
        kind = self.chance.randrange(4)
        if kind == 0:
            return word[:at] + self.pick(_NEXT[letter.lower()]) + word[at + 1 :]
        if kind == 1:
            return word[:at] + word[at + 1 :]
        if kind == 2:
            return word[:at] + letter + word[at:]
        at = min(at, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    def old_spelling(self, words: list[str]) -> str | None:
        changed = " ".join(self._as_before_1972(word) for word in words)
        return changed if changed != " ".join(words) else None

    def _as_before_1972(self, word: str) -> str:
        for new, old in (("sy", "sj"), ("ny", "nj"), ("kh", "ch"), ("j", "dj"), ("c", "tj"), ("y", "j"), ("u", "oe")):
            if new in word.lower() and not (new == "y" and word.lower().startswith("y")) and old not in word.lower():
                for from_, to in ((new, old), (new.title(), old.title())):
                    word = word.replace(from_, to)
                return word
        return word

    def spelling(self, words: list[str]) -> str | None:
        for place, word in enumerate(words):
            for group in _SPELLINGS:
                if word == group[0]:
                    return " ".join([*words[:place], self.pick(group[1:]), *words[place + 1 :]])
        return None

    def joined(self, words: list[str]) -> str | None:
        if len(words) < 2:
            return None
        place = self.chance.randrange(len(words) - 1)
        if len(words[place]) < 2:
            return None
        return " ".join([*words[:place], words[place] + words[place + 1].lower(), *words[place + 2 :]])

    def split(self, words: list[str]) -> str | None:
        places = [place for place, word in enumerate(words) if len(word) >= 8]
        if not places:
            return None
        place = self.pick(places)
        at = self.chance.randrange(3, len(words[place]) - 3)
        return " ".join([*words[:place], words[place][:at], words[place][at:].title(), *words[place + 1 :]])

    def father(self, words: list[str]) -> str | None:
        if len(words) < 2 or words[0] in ("I", "Ni", "Anak", "Ida"):
            return None
        by = self.pick(("bin", "binti", "Bin", "BINTI", "alias", "als."))
        return f"{' '.join(words)} {by} {self.pick(self.pool.arab)}"

    def noise(self, words: list[str]) -> str:
        return self.pick((
            lambda: " ".join(words).upper(), lambda: " ".join(words).lower(), lambda: "  ".join(words),
            lambda: f" {' '.join(words)} ", lambda: f"{' '.join(words)}.", lambda: "-".join(words),
        ))()  # fmt: skip

    def cases(self, name: str) -> str:
        """Return a name as another system stores it: in capitals, or with a title."""
        draw = self.chance.random()
        return name.upper() if draw < 0.3 else name

    # ---- two persons

    def strangers(self) -> tuple[str, str]:
        maker = self.pick((
            self.javanese, self.sundanese, self.batak, self.minang, self.bugis, self.balinese, self.chinese, self.arab,
            self.woman, self.east, self.single,
        ))  # fmt: skip
        one, other = maker(), maker()
        while set(one) <= set(other) or set(other) <= set(one):
            other = maker()
        return " ".join(one), " ".join(other)

    def one_word_differs(self) -> tuple[str, str]:
        one, other = self.several(self.pick(self.pool.alike), 2)
        given = self.pick((self.pool.java, self.pool.sunda, self.pool.minang))
        front = self.several(given, self.pick((1, 1, 2)))
        if self.chance.random() < 0.25:
            return " ".join([one, *front]), " ".join([other, *front])
        return " ".join([*front, one]), " ".join([*front, other])

    def alike_alone(self) -> tuple[str, str]:
        one, other = self.several(self.pick(self.pool.alike), 2)
        return one, other

    def siblings(self) -> tuple[str, str]:
        one, other = self.several(self.pick((self.pool.batak, self.pool.east)), 2)
        family = self.pick((self.pool.marga, self.pool.east_family))
        name = self.pick(family)
        return f"{one} {name}", f"{other} {name}"

    def twins_of_family(self) -> tuple[str, str]:
        one, other = self.pick(self.pool.twins)
        rest = " ".join(
            self.several(self.pick((self.pool.arab, self.pool.java_last, self.pool.marga)), self.pick((1, 1, 2)))
        )
        return self.pick((
            (f"{one} {rest}", f"{other} {rest}"), (f"Muhammad {one} {rest}", f"Muhammad {other} {rest}"),
            (f"{rest} {one}", f"{rest} {other}"),
        ))  # fmt: skip

    def of_siti(self) -> tuple[str, str]:
        pairs = (("Siti Aminah", "Siti Aminatun"), ("Siti Aminah", "Siti Aisyah"), ("Siti Rohmah", "Siti Rohimah"))
        if self.chance.random() < 0.1:
            return self.pick(pairs)
        one, other = self.several(self.pool.women, 2)
        front = self.pick(("Siti", "Siti Nur", "Nur"))
        return f"{front} {one}", f"{front} {other}"

    def of_muhammad(self) -> tuple[str, str]:
        if self.chance.random() < 0.1:
            return self.pick(
                (("Muhammad Ali", "Muhammad Alif"), ("Muhammad Rafi", "Muhammad Rafiq"), ("M. Ali", "M. Alwi"))
            )
        front = self.pick(("Muhammad", "Ahmad", "Abdul"))
        one, other, third = self.several(self.pool.abdul if front == "Abdul" else self.pool.arab, 3)
        return self.pick(((f"{front} {one}", f"{front} {other}"),
        (f"{front} {one} {third}", f"{front} {other} {third}"),
                          (f"{front} {third} {one}", f"{front} {third} {other}")))  # fmt: skip

    def born_after(self) -> tuple[str, str]:
        front = self.pick(("I", "Ni", "I Gusti", "Ni Luh", "Anak Agung", "Ida Bagus"))
        one, other = self.several(self.pool.bali_order, 2)
        name = self.pick(self.pool.bali)
        if self.chance.random() < 0.4:
            first, second = self.several(self.pool.bali, 2)
            return f"{front} {one} {first}", f"{front} {one} {second}"
        return f"{front} {one} {name}", f"{front} {other} {name}"

    def other_initial(self) -> tuple[str, str]:
        given = self.pick((self.pool.java, self.pool.arab))
        one, two, third = self.several(given, 3)
        if one[0] == two[0]:
            return f"{one} {third}", f"{two} {third}"
        return self.pick(((f"{third} {one[0]}.", f"{third} {two}"), (f"{one[0]}. {third}", f"{two} {third}"),
                          (f"{third} {one[0]}.", f"{third} {two[0]}.")))  # fmt: skip


def same(part: int) -> list[Pair]:
    """Return pairs of one person each: one change of a clerk, in a third of the pairs two."""
    clerk = _Clerk(part)
    kinds: tuple[tuple[str, Callable[[list[str]], str | None]], ...] = (
        ("title", clerk.title), ("abbreviation", clerk.abbreviation), ("order", clerk.order),
        ("missing word", clerk.missing),
        ("slip", clerk.slip), ("old spelling", clerk.old_spelling), ("spelling", clerk.spelling),
        ("joined", clerk.joined),
        ("split", clerk.split), ("bin", clerk.father), ("noise", clerk.noise),
    )  # fmt: skip
    pairs: list[Pair] = []
    while len(pairs) < EACH:
        kind, change = kinds[len(pairs) % len(kinds)]
        words = clerk.person()
        changed = change(words)
        if changed is None:
            continue
        if clerk.chance.random() < 1 / 3 and kind not in ("title", "noise", "bin"):
            kind, changed = f"{kind}, title", clerk.title([changed])
        if changed != " ".join(words):
            pairs.append(Pair(kind, clerk.cases(" ".join(words)), clerk.cases(changed)))
    return pairs


def different(part: int) -> list[Pair]:
    """Return pairs of two persons each, most of them hard to tell apart."""
    clerk = _Clerk(part)
    kinds = (
        ("strangers", clerk.strangers), ("one word differs", clerk.one_word_differs),
        ("alike, alone", clerk.alike_alone),
        ("siblings", clerk.siblings), ("twins", clerk.twins_of_family), ("Siti", clerk.of_siti),
        ("Muhammad", clerk.of_muhammad),
        ("birth order", clerk.born_after), ("one word differs", clerk.one_word_differs),
        ("initial", clerk.other_initial),
    )  # fmt: skip
    pairs: list[Pair] = []
    while len(pairs) < EACH:
        kind, maker = kinds[len(pairs) % len(kinds)]
        one, other = maker()
        if one == other:
            continue
        if clerk.chance.random() < 0.2:
            one = clerk.title([one])
        pairs.append(Pair(kind, clerk.cases(one), clerk.cases(other)))
    return pairs


def main() -> None:
    for pair in (*same(SEEN), *different(SEEN)):
        print(*pair, sep="\t")


if __name__ == "__main__":
    main()
