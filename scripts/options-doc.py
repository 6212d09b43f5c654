#!/usr/bin/env python3
"""Writes docs/options.md from src/options.def, the one table of options.

    options-doc.py            writes the page
    options-doc.py --check    ends with status 1, and the difference, unless the page is what would be written

The words that options accept, and the profiles' numbers, are read from src/options.c, so that nothing is said twice.
"""

import difflib
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

HEAD = """# Options

<!-- Written by scripts/options-doc.py from src/options.def; do not edit. -->

An option `name` is read from the environment variable `MIMALLOC_NAME` (upper case) when the library starts, and set in
programs by `mi_option_set(mi_option_name, value)`. Processes with raised privileges read no environment. A value that is
not accepted changes nothing and prints what is expected. `MIMALLOC_VERBOSE=1` prints every option with its value and
where that comes from.

Sizes are in bytes, and may have a suffix: `K`, `M`, `G` or `T` (`mi_option_set` takes some of them in KiB, as its header
says). Switches are `1` or `0` (also `on`, `off`). Options of the secure library are fixed from the library's start on;
which way the environment may change them says [policy](mechanisms/policy.md); less than the profile has is refused with
a warning. `inherit` stands for what the profile says.
"""

TABLE = """
## {title}

{text}

| option | default | accepts | |
|---|---|---|---|
"""

SECTIONS = (
    ("USED", "Both libraries", "These steer libmimalloc and libmimalloc-secure."),
    ("SECURE", "The secure library", "The defaults are those of the profile `default`."),
    ("UNUSED", "Without effect", "Accepted, kept and returned, so that programs and scripts written for them go on "
                                 "working. The last column says why there is nothing to steer."),
)
ROW = re.compile(r"^OPTION\((.*?)\)$", re.M | re.S)
LEGACY = re.compile(r"^LEGACY\((\w+), (\w+)\)$", re.M)
WORDS = re.compile(r"static const word_t (\w+)_words\[\] = \{(.*?)\{NULL, 0\}\}", re.S)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def fail(message):
    print(f"options-doc.py: {message}", file=sys.stderr)
    sys.exit(2)


def size(kibs):
    """A number of KiB for people."""
    for suffix, unit in (("T", 1 << 30), ("G", 1 << 20), ("M", 1 << 10)):
        if kibs and kibs % unit == 0:
            return f"{kibs // unit}{suffix}"
    return f"{kibs}K" if kibs else "0"


def value_text(value, kind, words):
    if value == "MIM_DEBUG > 0":
        return "0; 1 in debug builds"
    if kind in words and kind != "SWITCH":
        for word, symbol in words[kind]:
            if value == symbol:
                return word
        fail(f"no word for {value} of {kind}")
    if value in ("LONG_MAX", "INT_MAX"):
        return ""
    return size(int(value)) if kind == "KIBS" else str(int(value))


def accepted(kind, low, high, words):
    if kind == "SWITCH":
        return "0, 1"
    if kind in words:
        extra = {"REPORT": ", or an absolute path", "MAP": ", or an absolute path"}.get(kind, "")
        return ", ".join(f"`{word}`" for word, _ in words[kind]) + extra
    first, last = value_text(low, kind, {}), value_text(high, kind, {})
    unit = {"BYTES": " bytes"}.get(kind, "")
    return (f"{first} to {last}{unit}" if last else f"from {first}{unit}")


def page():
    table, code = read("src/options.def"), read("src/options.c")
    words = {}
    for name, body in WORDS.findall(code):
        words[name.upper()] = re.findall(r'\{"(\w+)", (\w+)\}', body)
    older = {}
    for old, name in LEGACY.findall(table):
        older.setdefault(name, []).append(old)
    rows = []
    for body in ROW.findall(table):
        match = re.match(r'(\w+), (\w+), (.+?), (\S+), (\S+), (\w+),\s*"(.*)"$', body, re.S)
        if match is None:
            if body.startswith("name,"):
                continue
            fail(f"this line of src/options.def is not understood: {body}")
        rows.append(match.groups())
    if len(rows) != table.count("\nOPTION("):
        fail("not every OPTION of src/options.def was understood")

    text = HEAD
    for effect, title, about in SECTIONS:
        text += TABLE.format(title=title, text=about)
        for name, kind, initial, low, high, its_effect, about_it in rows:
            if its_effect == effect:
                if name in older:
                    about_it += "; older names: " + ", ".join(f"`{old}`" for old in older[name])
                text += (f"| `{name}` | {value_text(initial, kind, words)} | {accepted(kind, low, high, words)} "
                         f"| {about_it} |\n")
    return text


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        fail(f"{' '.join(sys.argv[1:])}: the only option is --check")
    text = page()
    if sys.argv[1:]:
        there = read("docs/options.md")
        difference = "".join(difflib.unified_diff(there.splitlines(True), text.splitlines(True), "docs/options.md", "new"))
        if difference:
            print(difference + "docs/options.md is not current: run scripts/options-doc.py")
            sys.exit(1)
    else:
        with open(os.path.join(TOP, "docs/options.md"), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
