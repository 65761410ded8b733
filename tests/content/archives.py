"""Archives as their formats' descriptions have them, and as they do not: every field may be said otherwise."""
import bz2
import gzip
import io
import lzma
import pathlib
import struct
import subprocess
import tarfile
import tempfile
import zlib

# ---- zip ------------------------------------------------------------------------------------------------------------


class Member:
    """One file of a zip. What local header and table of contents say is what is given here, whatever is there."""

    def __init__(self, name, data=b"content\n", flags=0, method=0, crc=None, size=None, packed=None, mode=None, system=3, stored=None,
                 offset=None, extra=b""):
        self.name = name.encode() if isinstance(name, str) else name
        self.flags, self.method, self.extra, self.offset = flags, method, extra, offset
        self.stored = stored if stored is not None else deflate(data) if method == 8 else data
        self.crc = zlib.crc32(data) if crc is None else crc
        self.size = len(data) if size is None else size
        self.packed = len(self.stored) if packed is None else packed
        self.made_by = system << 8 | 20
        self.attributes = (mode if mode is not None else 0o100644) << 16 if system == 3 else 0

    def fields(self):
        return struct.pack("<HHHHHIIIHH", 20, self.flags, self.method, 0, 0x5821, self.crc, self.packed, self.size, len(self.name),
                           len(self.extra))

    def local(self):
        return b"PK\3\4" + self.fields() + self.name + self.extra + self.stored

    def central(self, offset):
        return (b"PK\1\2" + struct.pack("<H", self.made_by) + self.fields() + struct.pack("<HHHII", 0, 0, 0, self.attributes, offset) +
                self.name + self.extra)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zip_of(*members, prefix=b"", comment=b"", disk=0, directory_at=None, count=None):
    body, table = bytearray(prefix), bytearray()
    for m in members:
        if m.offset is None:
            table += m.central(len(body))
            body += m.local()
        else:
            table += m.central(m.offset)
    at = len(body) if directory_at is None else directory_at
    n = len(members) if count is None else count
    end = b"PK\5\6" + struct.pack("<HHHHIIH", disk, disk, n & 0xFFFF, n & 0xFFFF, len(table), at, len(comment)) + comment
    return bytes(body + table + end)


# ---- tar ------------------------------------------------------------------------------------------------------------


def entry(name, data=b"content\n", kind=tarfile.REGTYPE, link="", mode=0o644, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data if kind == tarfile.REGTYPE else None


def tar_of(*entries, form=tarfile.PAX_FORMAT, encoding="utf-8"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding=encoding, errors="surrogateescape") as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def header(name=b"file", size=b"%011o\0" % 8, kind=b"0", link=b"", mode=b"0000644\0", magic=b"ustar\00000", rest=b"", checksum=None):
    """One block, field by field."""
    block = bytearray(512)
    for at, n, value in ((0, 100, name), (100, 8, mode), (108, 8, b"0000000\0"), (116, 8, b"0000000\0"), (124, 12, size),
                         (136, 12, b"00000000000\0"), (148, 8, b" " * 8), (156, 1, kind), (157, 100, link), (257, 8, magic)):
        block[at:at + n] = value[:n].ljust(n, b"\0")
    block[345:345 + len(rest)] = rest
    block[148:156] = b"%06o\0 " % (sum(block) if checksum is None else checksum)
    return bytes(block)


def blocks(*parts):
    """Each part to whole blocks, and the end."""
    return b"".join(p + b"\0" * (-len(p) % 512) for p in parts) + b"\0" * 1024


def pax(records, name=b"file", data=b"content\n"):
    text = b""
    for key, value in records:
        n = len(key) + len(value) + 3
        while n != len(b"%d " % n) + len(key) + len(value) + 2:
            n = len(b"%d " % n) + len(key) + len(value) + 2
        text += b"%d %s=%s\n" % (n, key, value)
    return blocks(header(b"PaxHeader", b"%011o\0" % len(text), b"x"), text, header(name, b"%011o\0" % len(data)), data)


# ---- filters, 7z ----------------------------------------------------------------------------------------------------


def gz(data):
    return gzip.compress(data, 6, mtime=0)


def zst(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


FILTERS = {"gz": gz, "xz": lambda data: lzma.compress(data, preset=1), "bz2": bz2.compress, "zst": zst}


def huge_xz(data):
    """Says that it needs a dictionary of 4 GiB."""
    out = bytearray(lzma.compress(data, preset=1))
    assert out[12:16] == b"\x02\x00\x21\x01"
    out[16] = 40
    out[20:24] = struct.pack("<I", zlib.crc32(out[12:20]))
    return bytes(out)


def huge_zst(data):
    """Says that it needs a window of 2 GiB."""
    assert len(data) < 1 << 17
    return b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def seven_zip(folder, *names, options=""):
    """Of files in a folder, by libarchive's own writer."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["bsdtar", "-c", "--format=7zip", "-f", out.name, "-C", str(folder)] + ([f"--options={options}"] if options else [])
        subprocess.run(command + list(names), check=True)
        return pathlib.Path(out.name).read_bytes()


def signed_7z(data, change):
    """The header changed, and everything that vouches for it made right again."""
    out = bytearray(data)
    at, n = struct.unpack_from("<QQ", out, 12)
    part = bytearray(out[32 + at:32 + at + n])
    change(part)
    out[32 + at:32 + at + n] = part
    struct.pack_into("<I", out, 28, zlib.crc32(part))
    struct.pack_into("<I", out, 8, zlib.crc32(out[12:32]))
    return bytes(out)
