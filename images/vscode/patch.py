#!/usr/bin/env python3
"""Small changes to VS Code's server (server-main.js), each of one place that must be there.

  patch.py SERVER_MAIN.js
"""
import sys

CHANGES = [
    # The language that a student chose («Configure Display Language») goes before the one of the start, and that
    # before the browser's.
    ('D=this.f.args.locale||await nE(this.f.argvResource.fsPath)||', 'D=await nE(this.f.argvResource.fsPath)||this.f.args.locale||'),
    # Who chose none has not chosen English.
    ('console.warn(t),"en"}}', 'console.warn(t),void 0}}'),
    # Settings to begin with, those of the application too, which an extension may not give (launch.js, settings.json).
    ('const O={remoteAuthority:h,', 'const O={configurationDefaults:this.f.args.configurationDefaults,remoteAuthority:h,'),
]


def main(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for before, after in CHANGES:
        if text.count(before) != 1:
            sys.exit(f"{path}: {before!r} is there {text.count(before)} times")
        text = text.replace(before, after)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
