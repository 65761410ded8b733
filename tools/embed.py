#!/usr/bin/env python3
"""Turns files into a C table: embed.py OUT.c HEADER TYPE NAME FILE… gives
`const struct TYPE NAME[] = {{"stem", {bytes, size}}, …}; const size_t NAME_len`."""
import pathlib
import sys


def literal(data: bytes) -> str:
    lines = []
    for line in data.splitlines(keepends=True):
        text = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line)
        lines.append(f'        "{text}"')
    return "\n".join(lines) or '        ""'


def main() -> None:
    out, header, type_name, name, *files = sys.argv[1:]
    parts = [f'#include "{header}"\n\nconst struct {type_name} {name}[] = {{\n']
    for file in map(pathlib.Path, files):
        parts.append(f'    {{"{file.stem}", STR(\n{literal(file.read_bytes())})}},\n')
    parts.append(f"}};\nconst size_t {name}_len = sizeof({name}) / sizeof({name}[0]);\n")
    pathlib.Path(out).write_text("".join(parts))


main()
