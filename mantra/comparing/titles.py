"""Titles before and behind names, and short forms of their words. All in small letters, without dots."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Before a name, with a dot or without.
FRONT = _words("""
    h hj dr drs dra drg drh ir prof kh tn ny nn sdr sdri bpk bapak ibu alm almh almarhum almarhumah ust ustad
    ustadz ustadzah ustazah haji hajjah hajah kyai kiai nyai raden rr pdt pendeta pastor tgk teungku drsh
    profesor doktor insinyur letkol kolonel kapten mayor serka serma brigjen irjen akbp kompol ipda iptu
""")
#: Before a name only with a dot: without one they are initials, or words of names.
FRONT_WITH_DOT = _words("r rd ra rm hi ns apt sr br kol")
#: Titles that are also written with a dot behind each letter: K.H., R.A.
FRONT_LETTERS = _words("kh ra rm rr hj")

#: Behind a name, with dots or without, if at least two words of the name stay (one with dots).
BEHIND = _words("""
    sh mh mm mt se st sp msi mkom skom spd mpd spdi mpdi spdsd spdk ssos sag mag skm mkes skep ners amd amdkeb
    amdkep amdkom phd mba msc bsc bba llm llb sked ssi stp spt smn stt sei shi mhi spsi mpsi ssn msn sthi sth
    mth sstp mikom sikom mars mkn akt spog sppd spjp strkeb strkep strt shut sfarm sgz mma mmsi mti mcs mkm mph
    mhum shum sst mpa sap msos sipem mip mtr mtrkep dess ssit skh spb sikomp mtp mpi msp mms mak strak strkes
    spkj spkk spot sptht spu sprad span mkep mfarm sds skg drph ipm ipu cpa qia
""")
#: Behind a name only with dots between the letters, or after a comma: without, they may be words of names.
BEHIND_WITH_DOTS = _words("ma ba ak ca ss spi spa map lc ns md sip dea ded cn ing sm sk mc spm spk dipl ip apt psi")

#: Short forms → words. Those of one letter are initials too, and are left to each rule.
SHORT = {
    **dict.fromkeys(_words("""
        muh moh mohd mhd muhd moch mochd much mohamad mohammad mohammed muhamad muhammed mochamad mochammad
        muchamad muchammad mokhamad mukhamad muhamat mohamed mokhammad mukhammad
    """), "muhammad"),
    "abd": "abdul", "abdl": "abdul", "gde": "gede", "wyn": "wayan", "nym": "nyoman", "nyn": "nyoman", "kmg": "komang",
    "kdk": "kadek", "gst": "gusti", "bgs": "bagus", "dsk": "desak", "akhm": "ahmad", "ahm": "ahmad", "achm": "ahmad",
    "akh": "ahmad", "ach": "ahmad",
}  # fmt: skip
#: Short forms that stand for several words: which one, only the other side's word can tell.
AMBIGUOUS = {
    "md": ("muhammad", "made"), "kt": ("ketut",), "km": ("komang",), "kd": ("kadek",), "pt": ("putu",), "gd": ("gede",),
    "dg": ("daeng",), "ag": ("agung",), "nr": ("nur",),
}  # fmt: skip
#: Short forms that are read as such at the beginning of a name only.
AT_FRONT = {"hm": ("muhammad",), "aa": ("anak", "agung"), "ib": ("ida", "bagus"), "st": ("siti",)}

#: Words between a name and the father's, or another name of the same person.
OF = _words("bin binti bt bte binte als alias")
