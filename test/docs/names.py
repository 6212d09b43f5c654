#!/usr/bin/env python3
"""What the texts name is there: the sources in docs/architecture.md, the files, pages and tests of the mechanisms, and
the files and headings that links of any text lead to.

usage: names.py BUILD_DIR TOP_OF_TREE

The tests that SECURITY.md names are security.py's.
"""

import fnmatch
import os
import re
import subprocess
import sys

BUILD, TOP = sys.argv[1:]
failures = 0


def complain(*what):
    global failures
    failures += 1
    print("FAILED:", *what)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def sources(directory):
    return [f"{directory}/{name}" for name in sorted(os.listdir(os.path.join(TOP, directory))) if name.endswith(".c")]


# ---- the map: every source and every mechanism's page ----

architecture = read("docs/architecture.md")
for source in [name for directory in ("src", "src/override", "src/prim", "secure") for name in sources(directory)]:
    if f"`{source}`" not in architecture:
        complain(f"docs/architecture.md: does not say what {source} is for")
for named in re.findall(r"`((?:src|secure|include|scripts|test|docs)/[\w./-]+)`", architecture):
    if not os.path.exists(os.path.join(TOP, named)):
        complain(f"docs/architecture.md: there is no {named}")

pages = sorted(name for name in os.listdir(os.path.join(TOP, "docs/mechanisms")) if name != "README.md")
overview = read("docs/mechanisms/README.md")
for page in pages:
    if f"](mechanisms/{page})" not in architecture:
        complain(f"docs/architecture.md: does not lead to docs/mechanisms/{page}")
    if f"]({page})" not in overview:
        complain(f"docs/mechanisms/README.md: does not lead to {page}")

# ---- each file of the layer is on a page, and each page names its tests ----

listed = subprocess.run(["ctest", "--test-dir", BUILD, "-N"], capture_output=True, text=True, check=True).stdout
tests = re.findall(r"^\s*Test\s*#\d+: (\S+)", listed, re.M)
if len(tests) < 100:
    complain(f"ctest -N lists {len(tests)} tests only")
of_files = {}
shown = 0
for page in pages:
    text = read(f"docs/mechanisms/{page}")
    heads = re.search(r"^Files?: (.*?)\n\n", text, re.M | re.S)
    files = re.findall(r"`((?:secure|src|scripts)/[\w./-]+)`", heads.group(1)) if heads else []
    if not files:
        complain(f"docs/mechanisms/{page}: no line 'Files:' that names its files")
    for file in files:
        of_files.setdefault(file, page)
        if not os.path.exists(os.path.join(TOP, file)):
            complain(f"docs/mechanisms/{page}: there is no {file}")
    for part in ("**Idea.**", "**Costs.**", "**Tests.**"):
        if part not in text:
            complain(f"docs/mechanisms/{page}: there is no paragraph {part}")
    if not re.search(r"\*\*(Stops|Does not stop)\b", text) or not re.search(r"\*\*Does not (stop|tell)\b", text):
        complain(f"docs/mechanisms/{page}: does not say what is stopped and what not")
    named = re.findall(r"`((?:unit|misuse|evidence|abi|tools|runtimes|stress|conformance)\.[\w.*-]+)`",
                       text[text.find("**Tests.**"):].replace("\n", " "))
    if not named:
        complain(f"docs/mechanisms/{page}: names no test")
    for name in named:
        shown += 1
        if not fnmatch.filter(tests, name):
            complain(f"docs/mechanisms/{page}: there is no test {name}")
for source in sources("secure"):
    if source == "secure/process.c":
        continue  # no mechanism: the start, forks and statistics of all of them
    if source not in of_files:
        complain(f"docs/mechanisms: no page is about {source}")

# ---- links ----

FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def anchors(text):
    """What the headings of a text are called in links."""
    found, count = set(), {}
    for heading in re.findall(r"^#+ (.*?)\s*$", FENCED.sub("", text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(name if name not in count else f"{name}-{count[name]}")
        count[name] = count.get(name, 0) + 1
    return found


texts = [name for name in subprocess.run(
    ["find", ".", "-name", "*.md", "-not", "-path", "./out/*", "-not", "-path", "./.git/*"], cwd=TOP,
    capture_output=True, text=True, check=True).stdout.split()]
links = 0
for text in texts:
    body = FENCED.sub("", read(text))
    for command in re.findall(r"(?<=\n\n)    (?! )\S.*", body):  # commands.py sees fenced ones only
        complain(f"{text}: a block that is indented, not fenced: {command}")
    for target in re.findall(r"\]\(([^)\s]+)\)", body) + re.findall(r"(?:src|href)=\"([^\"]+)\"", body):
        if re.match(r"[a-z]+:", target):
            continue
        links += 1
        name, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(text), name)) if name else text
        if not os.path.exists(os.path.join(TOP, path)):
            complain(f"{text}: there is no {target}")
        elif anchor and (not path.endswith(".md") or anchor not in anchors(read(path))):
            complain(f"{text}: there is no heading #{anchor} in {path}")

print(f"{len(pages)} mechanisms, {shown} of their tests, {links} links" if failures == 0 else f"{failures} failures")
sys.exit(failures > 0)
