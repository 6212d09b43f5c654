"""What the tests of tools share: checks that are counted, and a tool that is run."""

import subprocess
import sys

failures = 0


def check(what, condition, *details):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what, *(str(detail)[:1500] for detail in details))


def run(tool, *arguments, text="", **more):
    """A tool with these arguments, and the text as its input."""
    return subprocess.run([tool, *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60,
                          **more)


def end():
    sys.exit(1 if failures else 0)
