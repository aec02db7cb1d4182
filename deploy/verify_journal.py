#!/usr/bin/env python3
"""Prove a journal of MANTRA with nothing but this file and Python 3.8 or newer.

    python3 verify_journal.py JOURNAL [ARCHIVE …] --heads HEADS --public-key KEY
    python3 verify_journal.py JOURNAL --heads HEADS --public-key KEY --journal-key-file FILE
    python3 verify_journal.py JOURNAL --heads HEADS --public-key KEY --digest 412:9f86d0…

JOURNAL, ARCHIVE   folders with segments: NAME.journal, or NAME.journal.gz at any depth
HEADS              a folder with the heads that were fetched from /.well-known/mantra/heads/1, 2, 3 …
KEY                a public key, or a file with one: 64 hex characters. Give all keys that you have known from elsewhere
FILE               a file with MANTRA_JOURNAL_KEY: then each line's chain is proven too, and who wrote it had the key
--digest           number and SHA-256 of a head, as the e-mail says that came when it was made

It prints a line for each problem: BROKEN or UNPROVEN, its kind, the file and the line, and words.
Exit status: 0 nothing is broken, 1 something is, 2 it could not be run.

It shares no code with the bus, so that it is a second opinion; the form of the lines is in docs/journal-format.md.
"""

import argparse
import gzip
import hashlib
import hmac
import json
import os
import re
import sys
import time
import zlib
from datetime import datetime, timedelta, timezone

#: Bytes of a line and of a head; ranges of lines that are kept of a segment.
LONGEST_LINE, LARGEST_HEAD, MOST_RANGES = 64 * 1024 * 1024, 8 * 1024 * 1024, 10_000
#: How far a clock may go back; how old the last head may be; how long after its opening a head names a segment.
CLOCK, STALE, UNNAMED = timedelta(minutes=10), timedelta(hours=3), timedelta(hours=2)
HEX = re.compile(rb"[0-9a-f]*\Z")
NAME = re.compile(r"(.+)-(\d{1,19})-(\d{1,9})\.journal\Z")


# ------------------------------------------------------------------------------------------ Ed25519
# RFC 8032, section 5.1.7 and 6, with extended coordinates. It checks signatures only: nothing secret is in it.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    result = NEUTRAL
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def decode(text):
    """Return the point of 32 bytes, None if there is none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (not x and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public, message, signature):
    """Return True if an Ed25519 signature of a message is right."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, number = decode(public), int.from_bytes(signature[32:], "little")
    if key is None or number >= L:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus = (P - key[0], key[1], key[2], P - key[3])
    return encode(add(times(number, BASE), times(hashed, minus))) == signature[:32]


# ------------------------------------------------------------------------------------------ report


class Report:
    """What was found: one thing is broken at most of each file, as others follow from it."""

    def __init__(self, out):
        self.out = out
        self.broken = {}
        self.unproven = {}

    def breaks(self, kind, name, line, words):
        self.broken.setdefault(name, (kind, line, words))

    def doubts(self, kind, name, line, words):
        self.unproven.setdefault(name, (kind, line, words))

    def print(self):
        for label, found in (("UNPROVEN", self.unproven), ("BROKEN", self.broken)):
            for name, (kind, line, words) in sorted(found.items()):
                place = f"{name}:{line}" if line else name
                print(f"{label} {kind} {place}: {words}", file=self.out)


# ------------------------------------------------------------------------------------------- heads


def read_heads(folder, keys, report):
    """Return the heads of a folder whose signatures are right, in order."""
    found = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            document = file.read(LARGEST_HEAD + 1)
        body, _space, signature = document.strip().rpartition(b" ")
        try:
            head = json.loads(body.decode())
            found.append((int(head["serial"]), name, head, body, signature))
        except (ValueError, KeyError, TypeError):
            report.breaks("head", name, 0, "it is no head")
    known = {hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]: key for key in keys}
    heads = []
    for _serial, name, head, body, signature in sorted(found, key=lambda each: each[:2]):
        key = known.get(str(head.get("key")))
        if key is None:
            report.breaks("head-key", name, 0, "it is signed with a key that is not known")
            continue
        right = HEX.match(signature) and len(signature) == 128
        if not right or not is_signed(bytes.fromhex(key), b"mantra-head:" + body, bytes.fromhex(signature.decode())):
            report.breaks("head", name, 0, "it was changed after it was signed")
            continue
        if head.get("v") != 2:
            report.breaks("head-format", name, 0, "it has a format that this program does not know")
            continue
        for key in head["keys"]:
            known.setdefault(hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16], key)
        head["digest"] = hashlib.sha256(body + b" " + signature + b"\n").hexdigest()
        head["time"] = datetime.fromisoformat(head["at"])
        heads.append(head)
    check_heads(heads, report)
    return heads


def check_heads(heads, report):
    """Check that heads follow on each other."""
    if heads and heads[0]["serial"] != 1 and not heads[0]["previous"]:
        words = "it continues no head, and is not the first one"
        report.breaks("head-order", f"head {heads[0]['serial']}", 0, words)
    elif heads and heads[0]["serial"] != 1:
        words = "the heads before it are not here: segments that they alone name are not checked against one"
        report.doubts("heads", f"head {heads[0]['serial']}", 0, words)
    for before, head in zip(heads, heads[1:]):
        name = f"head {head['serial']}"
        if head["serial"] == before["serial"]:
            if head["digest"] != before["digest"]:
                report.breaks("head-twice", name, 0, "there are two heads of this number")
        elif head["serial"] != before["serial"] + 1:
            words = f"the head is missing: the next one is {head['serial']}"
            report.breaks("head-missing", f"head {before['serial'] + 1}", 0, words)
        elif head["previous"] != before["digest"]:
            report.breaks("head-order", name, 0, "it continues another head than the one before it")
        if head["time"] < before["time"] - CLOCK:
            report.doubts("clock", name, 0, "it is older than the one before: the clock was put back")
    if heads and datetime.now(timezone.utc) - heads[-1]["time"] > STALE:
        words = f"it is the last one, and was made {heads[-1]['at']}: later lines are in no head"
        report.doubts("heads", f"head {heads[-1]['serial']}", 0, words)


def check_digests(heads, wanted, report):
    """Check heads against digests that came by e-mail."""
    digests = {head["serial"]: head["digest"] for head in heads}
    for serial, digest in wanted:
        if serial not in digests:
            report.breaks("head-missing", f"head {serial}", 0, "the head is missing: its digest is known")
        elif digests[serial] != digest:
            report.breaks("head", f"head {serial}", 0, "it is not the one whose digest is known")


# ---------------------------------------------------------------------------------------- segments


class Segment:
    """What the file of a segment says of itself."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.lines, self.chain, self.digest, self.format = 0, name.encode(), name.encode(), 0
        self.after, self.closed, self.faulty = None, False, False
        self.erased, self.content, self.erasures = [], [], []
        match = NAME.match(name)
        self.writer, self.sequence = (match.group(1), int(match.group(3))) if match else ("", 0)
        self.opened = datetime.fromtimestamp(int(match.group(2)) / 1e9, timezone.utc) if match else None
        self.latest = self.opened


class Line:
    """A line's fields. ``format``: 1 or 2, 0 for none of them."""

    def __init__(self, raw):
        self.raw = raw
        fields = raw[:-1].split(b"\t")
        if len(fields) == 5:
            self.facts, self.content, self.seal, self.mark, self.chain = fields
            if self.content:
                committed = hashlib.sha256(self.seal + b"\t" + self.content).hexdigest().encode()
                self.format = 2 if len(self.seal) == 32 else 0
            else:
                committed = self.seal
                self.format = 2 if len(self.seal) in (0, 64) and HEX.match(self.seal) else 0
            self.statement = self.facts + b"\t" + committed
        else:
            self.format = 1 if len(fields) == 1 and len(raw) > 67 else 0
            self.facts, self.content, self.seal, self.mark = raw[:-66], b"", b"", b""
            self.chain, self.statement = raw[-65:-1], raw[:-66]

    def digest(self, previous):
        if self.format == 1:
            return self.statement
        return hashlib.sha256(previous + self.statement).hexdigest().encode()

    def fits(self, digest, chain, key):
        """Return "" if the line follows what has this digest and chain, or what does not fit."""
        mine = self.digest(digest)
        if self.format == 2 and mine[:16] != self.mark:
            return "digest"
        if key and hmac.new(key, chain + mine, hashlib.sha256).hexdigest().encode() != self.chain:
            return "chain"
        return ""


def read_segment(segment, points, key, report):
    """Read a segment line by line. ``points``: lines → what heads say of them."""
    opened = gzip.open if segment.path.endswith(".gz") else open
    try:
        with opened(segment.path, "rb") as file:
            held = file.readline(LONGEST_LINE)
            while held:
                raw, held = held, file.readline(LONGEST_LINE)
                if not check_line(segment, raw, held, points, key, report):
                    segment.faulty = True
                    return
    except (EOFError, zlib.error, OSError):
        segment.faulty = True
        report.breaks("damaged", segment.name, segment.lines + 1, "its archive is damaged, or it cannot be read")
        return
    missing = [lines for lines in points if lines > segment.lines]
    if missing:
        segment.faulty = True
        head = points[min(missing)][0][0]
        words = f"it is missing: {min(missing)} lines were named by head {head['serial']}"
        report.breaks("cut", segment.name, segment.lines + 1, words)


def check_line(segment, raw, following, points, key, report):
    """Check a line and note what it says. Return False if it is broken."""
    number = segment.lines + 1

    def broken(kind, words):
        report.breaks(kind, segment.name, number, words)
        return False

    if not raw.endswith(b"\n"):
        return broken("torn", f"it is incomplete: {len(raw)} bytes without a line end")
    line = Line(raw)
    if not line.format:
        return broken("format", "it is no line of a journal")
    wrong = line.fits(segment.digest, segment.chain, key)
    if wrong:
        after = Line(following) if following.endswith(b"\n") else None
        if after and after.format and not after.fits(segment.digest, segment.chain, key) and (key or after.format == 2):
            return broken("added", "it was added or moved here: the next line continues the one before it")
        if wrong == "chain" and line.format == 2:
            return broken("chain", "it was not written with this MANTRA_JOURNAL_KEY, or a line before it was removed")
        return broken("changed", "it was changed, or a line before it was removed")
    digest = line.digest(segment.digest)
    for head, entry in points.get(number, ()):
        if entry[2].encode() != line.chain or (entry[3] and entry[3].encode() != digest):
            return broken("replaced", f"it is not the line that was named by head {head['serial']}")
    if segment.closed:
        return broken("after-close", "it follows the close line")
    try:
        said = json.loads(line.facts.decode())
        kind = said["t"]
    except (ValueError, KeyError, TypeError):
        return broken("format", "it is no JSON")
    if number == 1:
        if said.get("v") not in (1, 2):
            return broken("format", "it names a format that this program does not know")
        segment.format = said["v"]
        segment.after = said.get("after")
    if line.format != segment.format:
        return broken("format", "it has another format than its segment")
    segment.lines, segment.chain = number, line.chain
    segment.digest = digest if line.format == 2 else b""
    segment.closed = kind == "close"
    try:
        note(segment, line, said, number, report)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return broken("format", "it is no line of this format")
    return True


def note(segment, line, said, number, report):
    """Note what a line says of content and time."""
    if line.format == 2 and line.seal:
        extend(segment.content if line.content else segment.erased, number)
    if said["t"] == "erase":
        segment.erasures.append((said["segment"], said["lines"]))
    if said["t"] == "begin" and "at" in said:
        at = datetime.fromtimestamp(said["at"], timezone.utc)
        if segment.latest and segment.latest - at > CLOCK:
            minutes = int((segment.latest - at).total_seconds() // 60)
            words = f"it is {minutes} minutes older than a line before: the clock was put back"
            report.doubts("clock", segment.name, number, words)
        segment.latest = max(segment.latest or at, at)


def extend(ranges, number):
    if ranges and (ranges[-1][1] == number - 1 or len(ranges) >= MOST_RANGES):
        ranges[-1][1] = number
    else:
        ranges.append([number, number])


# ----------------------------------------------------------------------------------------- together


def check_missing(segments, named, heads, report):
    """Check that each segment of the heads is there, unless it was deleted because of its age."""
    days = timedelta(days=max([head["days"] for head in heads] or [0]))
    for name, said in named.items():
        head, entry = said[-1]
        segment = segments.get(name)
        if segment is not None:
            if entry[5] != "open" and segment.lines > entry[1]:
                words = f"it was added after the segment was closed, as head {head['serial']} says"
                report.breaks("added", name, entry[1] + 1, words)
            continue
        is_old = entry[4] and datetime.fromisoformat(entry[4]) < datetime.now(timezone.utc) - days
        if entry[5] != "pruned" and not is_old:
            words = f"the segment is missing: {entry[1]} lines were named by head {head['serial']}"
            report.breaks("missing", name, 0, words)
    if heads and heads[0]["serial"] == 1:
        for name, segment in segments.items():
            if name not in named and segment.lines and segment.opened and segment.opened < heads[-1]["time"] - UNNAMED:
                report.doubts("unnamed", name, 0, "no head names it")


def check_links(segments, named, days, report):
    """Check that each segment continues the end of the one before, and that this one is there."""
    continued = {}
    for name, segment in sorted(segments.items()):
        if not segment.after:
            continue
        before, chain = segment.after[0], segment.after[1]
        digest = segment.after[2] if len(segment.after) > 2 else ""
        if before in continued:
            words = f"it continues {before}, as {continued[before]} does"
            report.breaks("two-successors", name, 1, words)
        continued[before] = name
        earlier = segments.get(before)
        if earlier is None:
            check_predecessor(segments, named, segment, before, days, report)
        elif not earlier.faulty:
            same = earlier.chain.decode() == chain and (not digest or earlier.digest.decode() == digest)
            if not same:
                words = f"it is not the last line: {name} continues another"
                report.breaks("cut", before, earlier.lines, words)
    return continued


def check_predecessor(segments, named, segment, before, days, report):
    if before in named:
        return  # what heads say of it was checked
    match = NAME.match(before)
    has_earlier = match and any(
        each.writer == match.group(1) and each.sequence < int(match.group(3)) for each in segments.values()
    )
    recent = segment.opened and segment.opened > datetime.now(timezone.utc) - timedelta(days=days)
    if recent or has_earlier:
        report.breaks("missing", before, 0, f"the segment is missing, but {segment.name} continues it")
    else:
        words = f"it continues {before}, which was deleted because of its age, or removed"
        report.doubts("missing", segment.name, 0, words)


def check_ends(segments, named, continued, report):
    for name, segment in segments.items():
        said = named.get(name)
        ended = said and said[-1][1][5] != "open" and said[-1][1][1] == segment.lines
        if not (segment.closed or name in continued or ended or segment.faulty):
            words = "it has no close line: it is being written, its writer was killed, or its end was cut off"
            report.doubts("end", name, segment.lines, words)


def check_erased(segments, report):
    """Check that a line of the journal says of each erased content that it was erased, and that it is."""
    recorded = {}
    for segment in segments.values():
        if not segment.faulty:
            for name, ranges in segment.erasures:
                recorded.setdefault(name, []).extend(ranges)
    for name, segment in segments.items():
        ranges = merged(recorded.get(name, ()))
        number = first_outside(segment.erased, ranges)
        if number:
            report.breaks("erased", name, number, "its content was erased, and no line of the journal says so")
        number = first_inside(segment.content, ranges)
        if number:
            report.doubts("not-erased", name, number, "its content was to be erased, and is there")


def merged(ranges):
    result = []
    for first, last in sorted(map(tuple, ranges)):
        if result and first <= result[-1][1] + 1:
            result[-1][1] = max(result[-1][1], last)
        else:
            result.append([first, last])
    return result


def first_outside(lines, ranges):
    place = 0
    for first, last in lines:
        while place < len(ranges) and ranges[place][1] < first:
            place += 1
        if place == len(ranges) or first < ranges[place][0]:
            return first
        if last > ranges[place][1]:
            return ranges[place][1] + 1
    return 0


def first_inside(lines, ranges):
    place = 0
    for first, last in lines:
        while place < len(ranges) and ranges[place][1] < first:
            place += 1
        if place < len(ranges) and ranges[place][0] <= last:
            return max(first, ranges[place][0])
    return 0


def find_segments(folders, report):
    """Return the segments of folders by name, those of the archives too."""
    segments = {}
    for folder in folders:
        for place, _folders, names in os.walk(folder):
            for name in sorted(names):
                bare = name[:-3] if name.endswith(".gz") else name
                if not bare.endswith(".journal"):
                    continue
                path = os.path.join(place, name)
                # The bus archives a segment before it deletes it: both may be there, and the file counts.
                if bare in segments and name.endswith(".gz") and not segments[bare].path.endswith(".gz"):
                    continue
                segments[bare] = Segment(bare, path)
                if not NAME.match(bare):
                    report.breaks("name", bare, 0, "its name is not one that the bus gives")
                    del segments[bare]
    return segments


def verify(folders, heads_folder=None, keys=(), journal_key=None, digests=(), days=90, out=sys.stdout):
    """Verify journals. Return the report."""
    report = Report(out)
    heads = read_heads(heads_folder, keys, report) if heads_folder else []
    check_digests(heads, digests, report)
    named = {}
    for head in heads:
        for entry in head["segments"]:
            named.setdefault(entry[0], []).append((head, entry))
    segments = find_segments(folders, report)
    for name, segment in sorted(segments.items()):
        points = {}
        for head, entry in named.get(name, ()):
            if entry[1]:
                points.setdefault(entry[1], []).append((head, entry))
        read_segment(segment, points, journal_key, report)
        if segment.format == 1 and not journal_key:
            report.doubts("key", name, 0, "its lines are of format 1, which only --journal-key-file proves")
    check_missing(segments, named, heads, report)
    continued = check_links(segments, named, heads[-1]["days"] if heads else days, report)
    check_ends(segments, named, continued, report)
    check_erased(segments, report)
    report.lines = sum(segment.lines for segment in segments.values())
    report.segments, report.heads = len(segments), len(heads)
    return report


def public_key(text):
    """Return a public key from 64 hex characters, or from a file that has them."""
    if os.path.exists(text):
        with open(text, encoding="ascii") as file:
            text = file.read(1000)
    found = re.search(r"\b[0-9a-f]{64}\b", text)
    if not found:
        raise argparse.ArgumentTypeError("a public key has 64 hex characters")
    return found.group()


def digest(text):
    serial, _colon, found = text.partition(":")
    if not serial.isdigit() or not re.match(r"[0-9a-f]{64}\Z", found):
        raise argparse.ArgumentTypeError("it must have the form NUMBER:SHA256")
    return int(serial), found


def main(arguments=None):
    """Run the program. Return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--heads", metavar="FOLDER")
    parser.add_argument("--public-key", metavar="KEY", action="append", default=[], type=public_key)
    parser.add_argument("--journal-key-file", metavar="FILE")
    parser.add_argument("--digest", metavar="NUMBER:SHA256", action="append", default=[], type=digest)
    parser.add_argument("--days", type=int, default=90, help="MANTRA_JOURNAL_DAYS, without heads that say it")
    options = parser.parse_args(arguments)
    if options.heads and not options.public_key:
        parser.error("--heads needs a --public-key")
    key = None
    try:
        if options.journal_key_file:
            with open(options.journal_key_file, "rb") as file:
                key = file.read(10_000).strip()
        for folder in options.folders:
            os.listdir(folder)
        began = time.time()
        report = verify(options.folders, options.heads, options.public_key, key, options.digest, options.days)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    report.print()
    read = f"{report.lines} lines in {report.segments} segments and {report.heads} heads were read"
    print(f"{read} in {time.time() - began:.1f} s{'' if key else '; chains are proven with --journal-key-file only'}")
    if report.broken:
        print(f"{len(report.broken)} of them are BROKEN")
        return 1
    print("nothing is broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
