#!/usr/bin/env python3
"""Makes VS Code's language pack for simplified Chinese of what npm has of it.

  languagepack.py CODE_SERVER NEW OLD OUT INDEX.json

npm has Microsoft's translations as the packages of monaco-vscode-api hold them. NEW, of about this VS Code, is a list in
the order of its texts that does not name them; OLD, of VS Code 1.89, says module and key of each. Texts that have not
changed since show which place of the list belongs to which key; what lies between two such places is taken over where
it is as long in both and has the same form (placeholders, mnemonics, full stops). What is left stays English.
"""
import difflib
import json
import os
import re
import subprocess
import sys

NAME = "open-hydra.language-pack-zh-hans"


def load(module):
    """The list or table that one of npm's modules exports."""
    code = "import(process.argv[1]).then((m) => console.log(JSON.stringify(m.default)))"
    out = subprocess.run(["node", "-e", code, os.path.abspath(module)], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def form(text):
    """What a translation has in common with its text."""
    ends = next((end for end, marks in (("more", ("...", "…")), ("stop", (".", "。")), ("colon", (":", "：")),
                                        ("question", ("?", "？"))) if text.endswith(marks)), "")
    return (sorted(re.findall(r"\{\d+\}|`[^`]*`|#[\w.]+#", text)), "&&" in text, ends, text.count("\n"))


def likely(keys, old):
    """For each key the older translation; of a module that was renamed, where the key alone is enough to find it."""
    anywhere = {}
    for module in old.values():
        for key, text in module.items():
            anywhere.setdefault(key, set()).add(text)
    for module, key in keys:
        texts = anywhere.get(key, ())
        yield old.get(module, {}).get(key) or (next(iter(texts)) if len(texts) == 1 else None)


def same_form(english, chinese):
    return all(b is not None and form(a) == form(b) for a, b in zip(english, chinese))


def translate(keys, english, new, old):
    found = [old.get(module, {}).get(key) for module, key in keys]
    # What is missing is like nothing else, in both.
    left = [text if text is not None else (place,) for place, text in enumerate(likely(keys, old))]
    right = [text if text is not None else (-1, place) for place, text in enumerate(new)]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            found[a:b] = new[c:d]
        elif kind == "replace" and b - a == d - c and same_form(english[a:b], new[c:d]):
            # An older translation of this very text is better than a place in a list.
            found[a:b] = [text if text is not None else new[c + i] for i, text in enumerate(found[a:b])]
    return found


def by_module(keys, translated):
    contents = {}
    for (module, key), text in zip(keys, translated):
        if text is not None:
            contents.setdefault(module, {})[key] = text
    return contents


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))


def write_pack(out, contents, new):
    write(f"{out}/translations/main.json", {"version": "1.0.0", "contents": contents})
    translations = [{"id": "vscode", "path": "./translations/main.json"}]
    extensions = f"{new}/translations/extensions"
    for file in sorted(os.listdir(extensions)):
        with open(f"{extensions}/{file}", encoding="utf-8") as source:
            write(f"{out}/translations/{file}", json.load(source))
        translations.append({"id": file.removesuffix(".i18n.json"), "path": f"./translations/{file}"})
    write(f"{out}/package.json", {
        "name": NAME.split(".")[1], "publisher": NAME.split(".")[0], "version": "1.0.0", "license": "MIT",
        "displayName": "中文（简体）", "description": "Microsoft's translations, as npm has them", "engines": {"vscode": "*"},
        "categories": ["Language Packs"],
        "contributes": {"localizations": [{"languageId": "zh-cn", "languageName": "Chinese Simplified",
                                           "localizedLanguageName": "中文（简体）", "translations": translations}]},
    })
    return translations


def write_index(path, out, translations):
    """As VS Code keeps it in a user's folder (languagepacks.json). «zh» is for browsers that say no more."""
    pack = {"hash": "open-hydra-1", "label": "中文（简体）",
            "extensions": [{"extensionIdentifier": {"id": NAME}, "version": "1.0.0"}],
            "translations": {each["id"]: os.path.normpath(os.path.join(out, each["path"])) for each in translations}}
    write(path, {"zh-cn": pack, "zh": pack})


def main(code_server, new, old, out, index):
    with open(f"{code_server}/lib/vscode/out/nls.keys.json", encoding="utf-8") as file:
        keys = [(module, key) for module, names in json.load(file) for key in names]
    with open(f"{code_server}/lib/vscode/out/nls.messages.json", encoding="utf-8") as file:
        english = json.load(file)
    translated = translate(keys, english, load(f"{new}/translations/main.i18n.json.js"),
                           load(f"{old}/translations/main.i18n.json.js"))
    count = sum(text is not None for text in translated)
    print(f"{count} of {len(keys)} texts in Chinese")
    # Less means that the two do not belong together any more.
    assert count > 0.7 * len(keys), "the translations are of another VS Code"
    write_index(index, out, write_pack(out, by_module(keys, translated), new))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
