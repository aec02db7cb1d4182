"""Names by similarity: by table, and by the pairs of name_pairs.py."""

from __future__ import annotations

import itertools

import pytest

from mantra.comparing import DEFAULT_THRESHOLDS, comparer, normalised
from mantra.comparing.known_names import KNOWN_NAMES
from tests.comparing.name_pairs import EACH, HELD_OUT, SEEN, different, same

compare = comparer("name")

# fmt: off
SAME = (
    ("Budi Santoso", "BUDI  SANTOSO"), ("Drs. H. Budi Santoso, M.Si.", "Budi Santoso"),
    ("Budi Santoso, S.Kom., M.M.", "budi santoso"),
    ("Santoso, Budi", "Budi Santoso"), ("Prof. Dr. dr. A.A. Gde Putra, Sp.A(K), M.Kes.", "Anak Agung Gede Putra"),
    ("Muh. Rizki Ramadhan", "Muhammad Rizky Ramadan"), ("M. Rizki", "Mohammad Rizqi"), ("Abd. Rahman", "Abdul Rahman"),
    ("Abdurrahman Wahid", "Abdul Rahman Wahid"), ("Abdussalam Karim", "Abdul Salam Karim"),
    ("St. Aminah", "Siti Aminah"),
    ("Soekarno", "Sukarno"), ("Tjandra Widjaja", "Candra Wijaya"), ("Jusuf Djoyo", "Yusuf Joyo"),
    ("Achmad Chairul", "Ahmad Khairul"),
    ("Nur Hayati", "Nurhayati"), ("Sri Wahyuni", "Sriwahyuni"), ("I Wyn. Sudiarta", "I Wayan Sudiarta"),
    ("Ni Md. Artini", "Ni Made Artini"),
    ("Muhammad Ali Akbar", "Ali Akbar"), ("Rizki Ramadhan", "Muhammad Rizki Ramadhan"), ("Budi Hartono", "Budi H."),
    ("Ahmad Fauzi bin Ridwan", "Ahmad Fauzi"), ("Ahmad Fauzi bin Ridwan", "Ahmad Fauzi Ridwan"),
    ("Ali bin Hasan Basri", "Ali bin Basri Hasan"), ("Ali Fauzi bin Hasan", "Ali Fauzy binti Hasan"),
    ("K.H. Abdul Karim", "Abdul Karim"), ("R.A. Kartini", "Kartini"),
    ("HM Amin", "H. Muhammad Amin"), ("Ali bin Abdurrahman", "Ali bin Abdul Rahman"),
    ("Abdurrahman bin Ali", "Abdul Rahman bin Ali"),
    ("Sumarni alias Marni", "Sumarni"),
    ("Suparman Hidayat", "Supatman Hidayat"), ("Suparman Hidayat", "Suparmna Hidayat"), ("Ma'ruf Amin", "Maruf Amin"),
    ("Fitri Handayani", "Fitry Handajani"), ("Ir. Joko Susilo", "Djoko Soesilo"), ("Taufiq Hidayat", "Topik Hidayat"),
    ("R. Budi Santoso", "Raden Budi Santoso"), ("Yohanes Latuheru", "Johanes Latuheru"),
    ("Tan Mei Ling", "Mei Ling Tan"),
)
DIFFERENT = (
    ("Siti Aminah", "Siti Aisyah"), ("Siti Aminah", "Siti Aminatun"), ("Budi Santoso", "Budi Susanto"),
    ("Muhammad Ali", "Muhammad Alif"),
    ("Sri Wahyuni", "Sri Wahyuti"), ("Sri Wahyuni", "Sri Wahyudi"), ("Hasan Basri", "Husein Basri"),
    ("I Wayan Sudiarta", "I Made Sudiarta"),
    ("Rudi Siregar", "Rina Siregar"), ("Hartono", "Hartini"), ("Suparman", "Suparmin"), ("Suparmi", "Suparni"),
    ("Budi", "Budi Santoso"),
    ("Budi S.", "Budi Wibowo"), ("Budi S.", "Budi W."), ("Muhammad A.", "Muhammad Anwar"),
    ("Siti Nur", "Siti Nur Halimah"),
    ("Ahmad Fauzi bin Ridwan", "Ahmad Fauzi bin Hasan"), ("Ilham Saputra", "Ilhami Saputra"),
    ("Muhammad Rafi", "Muhammad Rafiq"),
    ("Nining Rahayu", "Nuning Rahayu"), ("Kurnia Sari", "Kurniawan Sari"), ("Siti Rohmah", "Siti Rohimah"),
    ("Rizki H.", "Rizki Y."),
    ("Ali bin Ahmad", "Ahmad bin Ali"), ("Ali bin Hasan Basri", "Ali Hasan bin Basri"),
    ("Ani Lestari", "Anik Lestari"), ("Putra Wijaya", "Putri Wijaya"), ("Jamal Arifin", "Kamal Arifin"),
    ("Mulyana", "Mulyono"),
    ("Muhammad Abdul Malik", "Muhammad Abdul Karim"), ("Irwan Setiawan", "Irman Setiawan"),
    ("Abdullah Hasan", "Abdul Hasan"),
)
#: Known names that are one name in two spellings.
SPELLINGS = """
    amina/aminah ana/anah beni/benny dedi/dedy deni/denny harianto/haryanto harjono/haryono heri/herry jaja/jaya
    jono/yono juli/yuli julia/yulia mariam/maryam mariana/maryana marta/martha nurlaela/nurlaila rahim/rohim
    rahma/rahmah rahman/rohman ramadan/ramadhan ramadani/ramadhani riska/rizka riski/rizki rosna/rosnah
    safri/sapri saleh/soleh samsul/syamsul sarifah/syarifah shinta/sinta sugiarti/sugiyarti sugiono/sugiyono
    sujati/suyati sujono/suyono sumiati/sumiyati supriadi/supriyadi supriatin/supriyatin supriono/supriyono
    yeni/yenni zaenab/zainab
""".split()  # noqa: SIM905
# fmt: on


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_person(one: str, other: str) -> None:
    found = compare(one, other)
    assert found.matches, found
    assert found == compare(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_persons(one: str, other: str) -> None:
    found = compare(one, other)
    assert not found.matches, found
    assert found == compare(other, one)


@pytest.mark.parametrize("part", [SEEN, HELD_OUT])
def test_pairs_of_two_persons_never_match(part: int) -> None:
    pairs = different(part)
    assert len(pairs) == EACH
    assert [pair for pair in pairs if compare(pair.one, pair.other).matches] == []


@pytest.mark.parametrize("part", [SEEN, HELD_OUT])
def test_of_the_pairs_of_one_person_at_least_95_in_100_match(part: int) -> None:
    pairs = same(part)
    assert len(pairs) == EACH
    missed = [pair for pair in pairs if not compare(pair.one, pair.other).matches]
    assert len(missed) <= 0.05 * EACH, missed


def test_the_two_sets_share_few_words() -> None:
    seen, held_out = (
        {word for pair in different(part) for word in pair.one.lower().split()} for part in (SEEN, HELD_OUT)
    )
    assert len(seen & held_out) < 0.25 * len(held_out)


def test_known_names_of_a_family_match_only_as_spellings_of_each_other() -> None:
    """Every fifth pair of the names that are known, as given names of a family."""
    names = sorted(KNOWN_NAMES)
    matching = {
        frozenset(pair)
        for pair in itertools.islice(itertools.combinations(names, 2), 0, None, 5)
        if compare(f"{pair[0]} kalimunda", f"{pair[1]} kalimunda").matches
    }
    assert matching <= {frozenset(pair.split("/")) for pair in SPELLINGS}


def test_a_title_is_removed_only_where_it_is_written_as_one() -> None:
    assert normalised("name", "H. Budi Santoso") == normalised("name", "Budi Santoso")
    assert normalised("name", "Budi H") != normalised("name", "Budi")
    assert normalised("name", "H") == "h"
    assert normalised("name", "Irwan") != normalised("name", "Ir. Wan")
    assert normalised("name", "Drajat Stevan") == "drajat stefan"
    assert normalised("name", "R Budi") != normalised("name", "Budi")


def test_a_threshold_of_its_own() -> None:
    found = comparer("name", 99)("Budi Hartono", "Budi H.")
    assert (found.matches, found.similarity) == (False, 94)
    assert comparer("name", 94)("Budi Hartono", "Budi H.").matches
    assert DEFAULT_THRESHOLDS["name"] == 80


def test_many_words_are_equal_or_not() -> None:
    words = [f"kata{chr(97 + place)}" for place in range(20)]
    assert compare(" ".join(words), " ".join(reversed(words))) == (True, 100)
    assert compare(" ".join(words), " ".join([*words[:-1], "lain"])) == (False, 0)
