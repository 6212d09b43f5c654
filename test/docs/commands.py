#!/usr/bin/env python3
"""Runs the commands of a text: every block of ```sh in it, in order, in one shell, as a reader would.

usage: commands.py BUILD_DIR TOP_OF_TREE TEXT

The text is run in a copy of the source tree, in a mount namespace of its own where /etc and /usr/local may be written
to: the build is installed into /usr/local there, and nothing of it is left. `sudo` does nothing more than run its
command. A comment in the line before a block changes that:

  <!-- real machine -->      not run: it needs root of a real machine, or takes one over
  <!-- quiet machine -->     not run: it takes minutes to hours, and wants the machine for itself. That each program is
                             there, and knows the options it is given, is looked at
  <!-- run by: NAME -->      not run here, but by NAME
  <!-- needs: PROGRAM... --> not run, and said so, where one of the programs is not there
  <!-- ends with: STATUS --> its last command ends so

Status 77 where there is no way to a mount namespace.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

BUILD, TOP, TEXT = sys.argv[1:]
FENCE = re.compile(r"^```(\w*)\s*$")
MARK = re.compile(r"^<!-- (.*?) -->$")
KNOWN = ("real machine", "quiet machine", "run by: ", "needs: ", "ends with: ", "pictures: ")

SETUP = r"""
set -e
for place in etc usr/local; do
  upper=$DOCS_WORK/upper/$place scratch=$DOCS_WORK/scratch/$place was=$DOCS_WORK/was/$place
  mkdir -p "$upper" "$scratch" "$was"
  if [[ $(id -u) == 0 && ! -v DOCS_USER ]]; then
    mount -t overlay docs -o "lowerdir=/$place,upperdir=$upper,workdir=$scratch" "/$place"
  else  # root's directories are nobody's in here: a copy of them, of files that may be read, by links
    mount --bind "/$place" "$was"
    cp -rs "$was/." "$upper/" 2>/dev/null || true
    mount --bind "$upper" "/$place"
  fi
done
cmake --install "$DOCS_BUILD" --prefix /usr/local >/dev/null
ldconfig || true
if command -v ip >/dev/null; then ip link set lo up; fi
"""


def blocks_of(path):
    """The blocks of shell commands, as (line, marks, commands)."""
    found, marks, block, start = [], [], None, 0
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fence, mark = FENCE.match(line), MARK.match(line.strip())
            if block is not None:
                if line.startswith("```"):
                    found.append((start, marks, "".join(block)))
                    marks, block = [], None
                else:
                    block.append(line)
            elif fence and fence.group(1) == "sh":
                block, start = [], number + 1
            elif mark:
                if not mark.group(1).startswith(KNOWN):
                    sys.exit(f"{path}:{number}: <!-- {mark.group(1)} --> is not known; there are: {', '.join(KNOWN)}")
                marks.append(mark.group(1))
            elif line.strip():
                marks = []
    if block is not None:
        sys.exit(f"{path}:{start}: a block that does not end")
    return found


def value_of(marks, key):
    return next((mark[len(key):] for mark in marks if mark.startswith(key)), None)


def options_are_known(commands):
    """The programs of a block are there, and their --help names each of their options. What is wrong, or None."""
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        told = subprocess.run([os.path.join(TOP, words[0]), "--help"], capture_output=True, text=True, check=False)
        if told.returncode != 0:
            return f"{words[0]} --help: status {told.returncode}"
        unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in told.stdout]
        if unknown:
            return f"{words[0]} does not know {' '.join(unknown)}"
    return None


def script_of(text, blocks, work):
    """One script of all blocks; how many it runs."""
    lines, count = ["set -eo pipefail", 'sudo() { "$@"; }', "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"], 0
    for start, marks, commands in blocks:
        place = f"{text}:{start}"
        missing = [word for word in (value_of(marks, "needs: ") or "").split() if not shutil.which(word)]
        if "quiet machine" in marks:
            wrong = options_are_known(commands)
            if wrong:
                sys.exit(f"FAILED: {place}: {wrong}")
            print(f"{place}: not run: it wants the machine for itself; its options are known")
            continue
        if "real machine" in marks or value_of(marks, "run by: "):
            print(f"{place}: not run: {marks[-1]}")
            continue
        if missing:
            print(f"{place}: not run: {', '.join(missing)} not there")
            continue
        count += 1
        name = os.path.join(work, f"block-{start}")
        with open(name, "w", encoding="utf-8") as file:
            file.write(commands)
        lines.append(f"echo '== {place}'; DOCS_PLACE={place}")
        status = value_of(marks, "ends with: ")
        if status:
            lines.append(f"status=0; (set +e; ulimit -c 0; . {name}) || status=$?")
            lines.append(f'[[ $status == {status} ]] || {{ echo "ended with $status, not {status}"; exit 1; }}')
        else:
            lines.append(f". {name}")
    return "\n".join(lines) + "\n", count


def main():
    blocks = blocks_of(os.path.join(TOP, TEXT))
    if not blocks:
        print(f"{TEXT}: no commands")
        return 0
    namespace = ["unshare", "--mount"] + (["--net"] if shutil.which("ip") else []) + ([] if os.getuid() == 0 else ["--user", "--map-root-user"])
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "mimalloc")
        shutil.copytree(TOP, source, symlinks=True, ignore=shutil.ignore_patterns("out", ".git", "build"))
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("MIMALLOC_", "LD_", "CMAKE_PREFIX", "PKG_CONFIG"))}
        rust = os.path.join(os.environ.get("HOME", "/"), ".rustup")  # where cargo's toolchains are
        if "RUSTUP_HOME" not in os.environ and os.path.isdir(rust):
            environment["RUSTUP_HOME"] = rust
        environment.update(DOCS_WORK=work, DOCS_BUILD=BUILD, HOME=work, CTEST_PARALLEL_LEVEL="2", TERM="dumb",
                           PATH=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin",
                           PYTHONDONTWRITEBYTECODE="1", BENCH_BUILD=BUILD, NO_INSTALL="1")
        if os.getuid() != 0:
            environment["DOCS_USER"] = "1"
        probe = subprocess.run(namespace + ["bash", "-c", SETUP], env=environment, capture_output=True, text=True,
                               check=False)
        if probe.returncode != 0:
            print(f"there is no way to a mount namespace with an overlay here: {probe.stderr.strip()}")
            return 77
        script, count = script_of(TEXT, blocks, work)
        name = os.path.join(work, "all")
        with open(name, "w", encoding="utf-8") as file:
            file.write(SETUP + script)
        ran = subprocess.run(namespace + ["bash", name], cwd=source, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        print(ran.stdout)
        places = re.findall(r"^== (\S+)$", ran.stdout, re.M)
        if ran.returncode != 0:
            print(f"FAILED: {places[-1] if places else TEXT}: status {ran.returncode}")
            return 1
        print(f"{TEXT}: {count} of {len(blocks)} blocks run")
        return 0


if __name__ == "__main__":
    sys.exit(main())
