"""What somebody may send to do harm, or by accident: each with what comes of it. `REFUSED` rows say a piece of the error's text, and
its reason; `TAKEN` rows what lies in the folder afterwards."""
import stat
import struct
import tarfile

from archives import (FILTERS, Member, blocks, entry, gz, header, huge_xz, huge_zst, pax, seven_zip, signed_7z, tar_of, zip_of)

BAD, LARGE = "BadRequest", "RequestEntityTooLarge"
MIB = 1 << 20
# The limits under which all of them are tried.
LIMITS = {"bytes": 80 * MIB, "entries": 200, "depth": 20, "ratio": 100}
ZEROS = bytes(70 * MIB)


def cut(data, share=0.6):
    return data[:int(len(data) * share)]


def flip(data, at):
    out = bytearray(data)
    out[at] ^= 0xFF
    return bytes(out)


def many(n):
    return [Member(f"f{i}", b"") for i in range(n)]


def overlapping(n):
    """4 MiB of zeros that n entries share: each begins with a block that quotes the next one's header (D. Fifield, A better zip bomb)."""
    members = [Member(f"f{n - 1}", bytes(4 * MIB), method=8)]
    data = bytes(4 * MIB)
    for i in reversed(range(n - 1)):
        head = members[0].local()[:-len(members[0].stored)]
        data = head + data
        stored = b"\0" + struct.pack("<HH", len(head), len(head) ^ 0xFFFF) + head + members[0].stored
        members.insert(0, Member(f"f{i}", data, method=8, stored=stored))
    at = 0
    for before, m in zip(members, members[1:]):
        at += len(before.local()) - len(before.stored) + 5
        m.offset = at
    return zip_of(*members)


def sparse(real, stored=b"x" * 512):
    """GNU's sparse format 1.0 in pax: one piece at the begin, the rest a hole."""
    table = b"1\n0\n%d\n" % len(stored)
    data = table.ljust(512, b"\0") + stored
    return pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"holes"),
                (b"GNU.sparse.realsize", b"%d" % real)], data=data)


def zip64(size):
    extra = b"\x01\x00\x10\x00" + size.to_bytes(8, "little") + (8).to_bytes(8, "little")
    return zip_of(Member("f", size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=extra))


def dictionary_7z(folder):
    """LZMA with a dictionary of 4 GiB."""
    (folder / "f").write_bytes(b"content\n" * 1000)

    def enlarge(part):
        at = part.index(b"\x03\x01\x01\x05\x5d") + 5
        part[at:at + 4] = b"\xff\xff\xff\xff"

    return signed_7z(seven_zip(folder, "f", options="7zip:compression=lzma1"), enlarge)


def plain_7z(folder):
    (folder / "f").write_bytes(bytes(range(256)) * 400)
    return seven_zip(folder, "f")


def linked_7z(folder):
    (folder / "f").symlink_to("/etc/passwd")
    return seven_zip(folder, "f")


LINK, DEVICE, CONTROL = "is a link", "is a device", "control or direction character"
DAMAGED, TWICE, RATIO = "is damaged", "is in the archive twice", "100 times"
OUT = "leads out of its folder"
BOTH = "a folder in one place of the archive and a file in another"
unix = {"system": 3}

REFUSED = {
    # Paths
    "zip-traversal": ("a.zip", lambda: zip_of(Member("../evil")), BAD, OUT),
    "zip-traversal-inside": ("a.zip", lambda: zip_of(Member("a/../../evil")), BAD, OUT),
    "zip-traversal-harmless": ("a.zip", lambda: zip_of(Member("a/../b")), BAD, OUT),
    "zip-traversal-backslash": ("a.zip", lambda: zip_of(Member("..\\evil", system=0)), BAD, OUT),
    "zip-traversal-backslash-unix": ("a.zip", lambda: zip_of(Member("a\\..\\..\\evil")), BAD, OUT),
    "zip-traversal-absolute": ("a.zip", lambda: zip_of(Member("/../../etc/cron.d/x")), BAD, OUT),
    "zip-traversal-folder": ("a.zip", lambda: zip_of(Member("../evil/", b"", mode=0o40755)), BAD, OUT),
    "zip-parent": ("a.zip", lambda: zip_of(Member("..")), BAD, OUT),
    "zip-second-entry": ("a.zip", lambda: zip_of(Member("good"), Member("../evil")), BAD, '"../evil"'),
    "tar-traversal": ("a.tar", lambda: tar_of(entry("../evil")), BAD, OUT),
    "tar-traversal-deep": ("a.tar", lambda: tar_of(entry("a/b/../../../evil")), BAD, OUT),
    "tar-traversal-pax": ("a.tar", lambda: pax([(b"path", b"../evil")]), BAD, OUT),
    "tar-parent": ("a.tar", lambda: tar_of(entry("..", kind=tarfile.DIRTYPE)), BAD, OUT),
    # Links
    "tar-symlink-out": ("a.tar", lambda: tar_of(entry("l", kind=tarfile.SYMTYPE, link="/etc/passwd")), BAD, LINK),
    "tar-symlink-inside": ("a.tar", lambda: tar_of(entry("f"), entry("l", kind=tarfile.SYMTYPE, link="f")), BAD, LINK),
    "tar-through-symlink": ("a.tar", lambda: tar_of(entry("l", kind=tarfile.SYMTYPE, link="/tmp"), entry("l/evil")), BAD, LINK),
    "tar-hard-link-out": ("a.tar", lambda: tar_of(entry("l", kind=tarfile.LNKTYPE, link="/etc/passwd")), BAD, "is a hard link"),
    "tar-hard-link-inside": ("a.tar", lambda: tar_of(entry("f"), entry("l", kind=tarfile.LNKTYPE, link="f")), BAD, "is a hard link"),
    "zip-symlink": ("a.zip", lambda: zip_of(Member("l", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), BAD, LINK),
    "zip-through-symlink": ("a.zip", lambda: zip_of(Member("l", b"/tmp", mode=stat.S_IFLNK | 0o777), Member("l/evil")), BAD, LINK),
    "7z-symlink": ("a.7z", linked_7z, BAD, LINK),
    # What is no file
    "tar-character-device": ("a.tar", lambda: tar_of(entry("d", kind=tarfile.CHRTYPE, devmajor=1, devminor=1)), BAD, DEVICE),
    "tar-block-device": ("a.tar", lambda: tar_of(entry("d", kind=tarfile.BLKTYPE, devmajor=8)), BAD, DEVICE),
    "tar-fifo": ("a.tar", lambda: tar_of(entry("p", kind=tarfile.FIFOTYPE)), BAD, "is a pipe"),
    "zip-device": ("a.zip", lambda: zip_of(Member("d", b"", mode=stat.S_IFBLK | 0o666)), BAD, DEVICE),
    "zip-socket": ("a.zip", lambda: zip_of(Member("s", b"", mode=stat.S_IFSOCK | 0o666)), BAD, "is a pipe or socket"),
    # Bombs
    "zip-ratio": ("a.zip", lambda: zip_of(Member("f", ZEROS, method=8)), LARGE, RATIO),
    "tar-gz-ratio": ("a.tar.gz", lambda: gz(tar_of(entry("f", ZEROS))), LARGE, RATIO),
    "tar-xz-ratio": ("a.tar.xz", lambda: FILTERS["xz"](tar_of(entry("f", ZEROS))), LARGE, RATIO),
    "tar-zst-ratio": ("a.tar.zst", lambda: FILTERS["zst"](tar_of(entry("f", ZEROS))), LARGE, RATIO),
    "tar-bz2-ratio": ("a.tar.bz2", lambda: FILTERS["bz2"](tar_of(entry("f", ZEROS))), LARGE, RATIO),
    "zip-overlapping": ("a.zip", lambda: overlapping(30), LARGE, RATIO),
    "tar-size": ("a.tar", lambda: tar_of(entry("f", bytes(81 * MIB))), LARGE, "more than the 83886080 bytes"),
    "tar-size-of-many": ("a.tar", lambda: tar_of(*[entry(f"f{i}", bytes(9 * MIB)) for i in range(10)]), LARGE, '"f8"'),
    "bare-size": ("a.csv", lambda: bytes(81 * MIB), LARGE, "more than the 83886080 bytes"),
    "tar-sparse": ("a.tar", lambda: sparse(1 << 62), LARGE, RATIO),
    "zip-entries": ("a.zip", lambda: zip_of(*many(201)), LARGE, "more than the 200 files and folders"),
    "tar-entries": ("a.tar", lambda: tar_of(*[entry(f"f{i}", b"") for i in range(201)]), LARGE, "more than the 200 files and folders"),
    "zip-implied-folders": ("a.zip", lambda: zip_of(*[Member("/".join(f"{i}-{j}" for j in range(18)) + "/f") for i in range(12)]), LARGE,
                            "more than the 200 files and folders"),
    "zip-same-folder": ("a.zip", lambda: zip_of(*[Member("d/", b"", mode=0o40755) for _ in range(201)]), LARGE, "more than the 200"),
    "zip-left-out": ("a.zip", lambda: zip_of(*[Member(f"__MACOSX/{i}", b"") for i in range(201)]), LARGE, "more than the 200"),
    "zip-depth": ("a.zip", lambda: zip_of(Member("d/" * 20 + "f")), LARGE, "in more than 20 folders"),
    "tar-depth": ("a.tar", lambda: tar_of(entry("d/" * 1500 + "f")), LARGE, "in more than 20 folders"),
    "tar-gz-gz": ("a.tar.gz", lambda: gz(gz(tar_of(entry("f")))), BAD, "compressed more than once"),
    "tar-gz-ten-times": ("a.tar.gz", lambda: gz(gz(gz(gz(gz(gz(gz(gz(gz(gz(tar_of(entry("f")))))))))))), BAD, ""),
    # Memory
    "xz-memory": ("a.tar.xz", lambda: huge_xz(tar_of(entry("f"))), BAD, "more memory"),
    "7z-memory": ("a.7z", dictionary_7z, BAD, ""),
    "zst-memory": ("a.tar.zst", lambda: huge_zst(tar_of(entry("f"))), BAD, "more memory"),
    "pax-header": ("a.tar", lambda: pax([(b"comment", b"x" * (8 * MIB))]), BAD, DAMAGED),
    "gnu-long-name": ("a.tar", lambda: blocks(header(b"././@LongLink", b"%011o\0" % (8 * MIB), b"L", magic=b"ustar  \0"), b"a" * (8 * MIB),
                                              header(magic=b"ustar  \0"), b"content\n"), BAD, ""),
    # Names
    "zip-long-name": ("a.zip", lambda: zip_of(Member("n" * 256)), BAD, "a name of 256 bytes"),
    "zip-long-chinese-name": ("a.zip", lambda: zip_of(Member(("名" * 86).encode("gb18030"))), BAD, "a name of 258 bytes"),
    "zip-long-path": ("a.zip", lambda: zip_of(Member("/".join(["n" * 250] * 20))), BAD, "a path of more than 4095"),
    "zip-long-chinese-path": ("a.zip", lambda: zip_of(Member(("名/" * 1200).encode("gb18030"))), BAD, "a path of more than 4095"),
    "zip-longest-name": ("a.zip", lambda: zip_of(Member("n" * 65535)), BAD, ""),
    "zip-newline": ("a.zip", lambda: zip_of(Member("a\nb")), BAD, CONTROL),
    "zip-escape": ("a.zip", lambda: zip_of(Member("\x1b[2Jx")), BAD, CONTROL),
    "zip-bidi": ("a.zip", lambda: zip_of(Member("photo\u202egnp.exe", flags=0x800)), BAD, CONTROL),
    "zip-bidi-unflagged": ("a.zip", lambda: zip_of(Member("\u2066x")), BAD, CONTROL),
    "zip-bidi-gb18030": ("a.zip", lambda: zip_of(Member("名\u202ex".encode("gb18030"))), BAD, CONTROL),
    "zip-line-separator": ("a.zip", lambda: zip_of(Member("a\u2028b")), BAD, CONTROL),
    "tar-delete": ("a.tar", lambda: tar_of(entry("a\x7fb")), BAD, CONTROL),
    "zip-garbage": ("a.zip", lambda: zip_of(Member(b"\xff\xff\xfe")), BAD, "neither UTF-8 nor GB18030"),
    "zip-half-gb18030": ("a.zip", lambda: zip_of(Member("中".encode("gb18030")[:1])), BAD, "neither UTF-8 nor GB18030"),
    "zip-flagged-garbage": ("a.zip", lambda: zip_of(Member("f"), Member(b"\xff\xfe\xfd", flags=0x800)), BAD, "entry 2 has no name"),
    "zip-surrogates": ("a.zip", lambda: zip_of(Member(b"\xed\xa0\x80x", flags=0x800)), BAD, "entry 1 has no name"),
    "zip-no-name": ("a.zip", lambda: zip_of(Member("")), BAD, "entry 1 has no name"),
    "zip-only-slashes": ("a.zip", lambda: zip_of(Member("//./", b"", mode=0o100644), Member(".")), BAD, "a file without a name"),
    "bare-no-name": ("..", lambda: b"x", BAD, OUT),
    "bare-folder-name": ("folder/", lambda: b"x", BAD, "no name for a file"),
    "bare-control": ("a\rb.csv", lambda: b"x", BAD, CONTROL),
    # Twice
    "zip-twice": ("a.zip", lambda: zip_of(Member("f"), Member("f", b"other")), BAD, TWICE),
    "zip-twice-in-other-words": ("a.zip", lambda: zip_of(Member("d/f"), Member("./d//f", b"other")), BAD, TWICE),
    "zip-twice-in-encodings": ("a.zip", lambda: zip_of(Member("名", flags=0x800), Member("名".encode("gb18030"))), BAD, TWICE),
    "tar-twice": ("a.tar", lambda: tar_of(entry("f"), entry("f", b"other")), BAD, TWICE),
    "zip-file-then-folder": ("a.zip", lambda: zip_of(Member("x"), Member("x/", b"", mode=0o40755)), BAD, BOTH),
    "zip-folder-then-file": ("a.zip", lambda: zip_of(Member("x/", b"", mode=0o40755), Member("x")), BAD, TWICE),
    "zip-below-a-file": ("a.zip", lambda: zip_of(Member("x"), Member("x/y")), BAD, BOTH),
    "tar-below-a-file": ("a.tar", lambda: tar_of(entry("x"), entry("x/y/z")), BAD, BOTH),
    # Damaged
    "zip-cut": ("a.zip", lambda: cut(zip_of(Member("f", bytes(1000)))), BAD, "without its table of contents"),
    "zip-empty-file": ("a.zip", lambda: b"", BAD, "is empty"),
    "tar-empty-file": ("a.tar", lambda: b"", BAD, "is empty"),
    "zip-holds-nothing": ("a.zip", lambda: zip_of(), BAD, ""),
    "zip-is-text": ("a.zip", lambda: b"<html>404</html>" * 100, BAD, "no archive that is understood"),
    "zip-crc": ("a.zip", lambda: zip_of(Member("f", crc=1)), BAD, DAMAGED),
    "zip-crc-deflated": ("a.zip", lambda: zip_of(Member("f", b"x" * 10000, method=8, crc=1)), BAD, DAMAGED),
    "zip-deflate-garbage": ("a.zip", lambda: zip_of(Member("f", method=8, stored=b"\xff" * 50)), BAD, DAMAGED),
    "zip-size-too-small": ("a.zip", lambda: zip_of(Member("f", b"x" * 100000, method=8, size=10)), BAD, DAMAGED),
    "zip-size-too-large": ("a.zip", lambda: zip_of(Member("f", b"x" * 100, size=1000, packed=1000)), BAD, DAMAGED),
    "zip64-negative-size": ("a.zip", lambda: zip64(1 << 63), BAD, ""),
    "zip64-largest-size": ("a.zip", lambda: zip64((1 << 64) - 1), BAD, ""),
    "zip-directory-outside": ("a.zip", lambda: zip_of(Member("f"), directory_at=1 << 31), BAD, ""),
    "zip-entry-outside": ("a.zip", lambda: zip_of(Member("f", offset=1 << 30)), BAD, DAMAGED),
    "zip-encrypted": ("a.zip", lambda: zip_of(Member("f", flags=1)), BAD, "is encrypted"),
    "zip-unknown-method": ("a.zip", lambda: zip_of(Member("f", method=77)), BAD, DAMAGED),
    "tar-cut": ("a.tar", lambda: tar_of(entry("f", bytes(9000)))[:5000], BAD, DAMAGED),
    "tar-gz-cut": ("a.tar.gz", lambda: cut(gz(tar_of(entry("f", bytes(range(256)) * 400)))), BAD, DAMAGED),
    "tar-xz-cut": ("a.tar.xz", lambda: cut(FILTERS["xz"](tar_of(entry("f", bytes(range(256)) * 4000)))), BAD, DAMAGED),
    "tar-zst-cut": ("a.tar.zst", lambda: cut(FILTERS["zst"](tar_of(entry("f", bytes(range(256)) * 4000)))), BAD, DAMAGED),
    "tar-bz2-cut": ("a.tar.bz2", lambda: cut(FILTERS["bz2"](tar_of(entry("f", bytes(range(256)) * 4000)))), BAD, DAMAGED),
    "tar-xz-flipped": ("a.tar.xz", lambda: flip(FILTERS["xz"](tar_of(entry("f", bytes(range(256)) * 400))), 60), BAD, DAMAGED),
    "tar-bz2-flipped": ("a.tar.bz2", lambda: flip(FILTERS["bz2"](tar_of(entry("f", bytes(range(256)) * 400))), 200), BAD, DAMAGED),
    "tar-checksum": ("a.tar", lambda: blocks(header(checksum=1), b"content\n"), BAD, "no archive that is understood"),
    "tar-second-checksum": ("a.tar", lambda: blocks(header(), b"content\n", header(b"g", checksum=1), b"content\n"), BAD, DAMAGED),
    "tar-negative-size": ("a.tar", lambda: blocks(header(size=b"\xff" * 12), b"content\n"), BAD, ""),
    "tar-huge-size": ("a.tar", lambda: blocks(header(size=b"\x80" + b"\x7f" * 11), b"content\n"), BAD, ""),
    "tar-pax-negative-size": ("a.tar", lambda: pax([(b"size", b"-5")]), BAD, ""),
    "7z-cut": ("a.7z", lambda folder: cut(plain_7z(folder)), BAD, ""),
    "7z-flipped": ("a.7z", lambda folder: flip(plain_7z(folder), 40), BAD, DAMAGED),
    "7z-header-flipped": ("a.7z", lambda folder: flip(plain_7z(folder), -5), BAD, ""),
}

TAKEN = {
    # A leading slash goes, as the original and tar have it.
    "zip-absolute": ("a.zip", lambda: zip_of(Member("/etc/passwd")), ["etc/passwd"]),
    "zip-two-slashes": ("a.zip", lambda: zip_of(Member("//server//share/f")), ["server/share/f"]),
    "zip-drive": ("a.zip", lambda: zip_of(Member("C:\\Windows\\f", system=0)), ["C:/Windows/f"]),
    "tar-absolute": ("a.tar", lambda: tar_of(entry("/etc/cron.d/f")), ["etc/cron.d/f"]),
    # Overlong dots are no dots: as bytes they are Chinese.
    "zip-overlong-dots": ("a.zip", lambda: zip_of(Member(b"\xc0\xae\xc0\xae/f")), [b"\xc0\xae\xc0\xae".decode("gb18030") + "/f"]),
    "zip-dots-of-other-kinds": ("a.zip", lambda: zip_of(Member(".../f"), Member("..../g"), Member(". ./h")), [".../f", "..../g", ". ./h"]),
    # A name ends at a NUL.
    "zip-nul": ("a.zip", lambda: zip_of(Member(b"f.txt\0.exe")), ["f.txt"]),
    "tar-backslash": ("a.tar", lambda: tar_of(entry("..\\f")), ["..\\f"]),
    # Case is told apart, as on the disk.
    "zip-case": ("a.zip", lambda: zip_of(Member("Readme"), Member("README")), ["README", "Readme"]),
    "zip-folder-twice": ("a.zip", lambda: zip_of(Member("d/", b"", mode=0o40755), Member("d/f"), Member("d/", b"", mode=0o40755)), ["d/f"]),
    # Nobody gets rights by a file (the test looks at all modes).
    "tar-set-id": ("a.tar", lambda: tar_of(entry("f", mode=0o6755), entry("g", mode=0)), ["f", "g"]),
    "tar-folder-modes": ("a.tar", lambda: tar_of(entry("d", kind=tarfile.DIRTYPE, mode=0o7000), entry("d/f")), ["d/f"]),
    "zip-set-id": ("a.zip", lambda: zip_of(Member("f", mode=0o104777)), ["f"]),
    # Info-ZIP writes what came by a pipe as one.
    "zip-fifo": ("a.zip", lambda: zip_of(Member("p", b"from a pipe", mode=stat.S_IFIFO | 0o666)), ["p"]),
    # One place of the archive is one file, and how many there are said to be is no matter.
    "zip-same-place": ("a.zip", lambda: zip_of(Member("f"), Member("f", offset=0), Member("f", offset=0)), ["f"]),
    "zip-more-than-there-are": ("a.zip", lambda: zip_of(Member("f"), count=60000), ["f"]),
    # Holes are written, small.
    "tar-sparse": ("a.tar", lambda: sparse(3 * MIB), ["holes"]),
    # An archive in an archive is a file.
    "zip-in-zip": ("a.zip", lambda: zip_of(Member("in.zip", zip_of(Member("../evil")))), ["in.zip"]),
    "zip-prefix": ("a.zip", lambda: zip_of(Member("f", offset=None), prefix=b"#!/bin/sh\n"), ["f"]),
    "zip-comment": ("a.zip", lambda: zip_of(Member("f"), comment=b"PK\5\6 no end"), ["f"]),
    "zip-mac": ("a.zip", lambda: zip_of(Member("c/f"), Member("__MACOSX/c/._f"), Member("c/.DS_Store")), ["c/f"]),
    # What is in it counts, once the name says that it is an archive.
    "zip-is-tar": ("a.zip", lambda: gz(tar_of(entry("f"))), ["f"]),
    "bare-is-zip": ("scores.xlsx", lambda: zip_of(Member("../evil")), ["scores.xlsx"]),
    "bare-path": ("C:\\Users\\me\\data.csv", lambda: b"1,2\n", ["data.csv"]),
    "bare-dots": ("../../data.csv.gz", lambda: gz(b"1,2\n"), ["data.csv.gz"]),
}
