"""The allocators that can be measured: where their libraries are and what they need to be loaded.

An allocator is given as a known name (glibc, plain, jemalloc ...) or as NAME=PATH.so, either followed by
any number of ,VARIABLE=VALUE for its environment. An empty path means no preload: glibc.
"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LIB_DIRS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
BUILD_DIRS = ("out/release", "build/release", "build")

PROFILES = ("fast", "strict", "fuzz")
PEERS = ("mimalloc", "jemalloc", "tcmalloc", "tbb", "scudo")
DEFAULTS = ("glibc", "plain", "secure") + PEERS
PACKAGES = {
    "mimalloc": "libmimalloc2.0",
    "jemalloc": "libjemalloc2",
    "tcmalloc": "libtcmalloc-minimal4",
    "tbb": "libtbbmalloc2",
    "scudo": "libclang-rt-14-dev",
}
PEER_FILES = {
    "mimalloc": "libmimalloc.so.2",
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "tbb": "libtbbmalloc_proxy.so.2",
}
# Order of the columns of tables and of the colours of plots.
KNOWN = ("glibc", "plain", "secure") + PROFILES + PEERS + ("bump",)


class Allocator:
    """A name, the library to preload ('' for none) and extra environment variables."""

    def __init__(self, name, path, extra):
        self.name = name
        self.path = path
        self.extra = extra

    def environment(self, base=None):
        env = dict(os.environ if base is None else base)
        for key in list(env):
            if key.startswith("MIMALLOC_"):
                del env[key]
        env.pop("LD_PRELOAD", None)
        if self.path:
            env["LD_PRELOAD"] = self.path
        env.update(self.extra)
        return env


def build_dir():
    """Where our libraries are: $BENCH_BUILD, or the first of the usual places that has them."""
    given = os.environ.get("BENCH_BUILD")
    if given:
        return os.path.abspath(given)
    for name in BUILD_DIRS:
        path = os.path.join(ROOT, name)
        if os.path.exists(os.path.join(path, "libmimalloc.so")):
            return path
    return os.path.join(ROOT, BUILD_DIRS[0])


def peer_path(name):
    if name == "scudo":
        base = "/usr/lib/llvm-14/lib/clang"
        for version in sorted(os.listdir(base)) if os.path.isdir(base) else ():
            path = os.path.join(
                base, version, "lib/linux", "libclang_rt.scudo_standalone-%s.so" % os.uname().machine
            )
            if os.path.exists(path):
                return path
        return None
    for directory in LIB_DIRS:
        path = os.path.join(directory, PEER_FILES[name])
        if os.path.exists(path):
            return path
    return None


def known_path(name):
    """The library of a known name; None when it is not there."""
    if name == "glibc":
        return ""
    if name in PEERS:
        return peer_path(name)
    if name == "bump":
        path = os.path.join(HERE, "build", "bump.so")
    elif name == "plain":
        path = os.path.join(build_dir(), "libmimalloc.so")
    else:
        path = os.path.join(build_dir(), "libmimalloc-secure.so")
    return path if os.path.exists(path) else None


def parse(text):
    """An Allocator from its command line form; ValueError says what is wrong with it."""
    head, *settings = text.split(",")
    name, equals, path = head.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError("allocator '%s': a name is letters, digits, '.', '_' and '-'" % text)
    extra = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise ValueError("allocator '%s': '%s' is not VARIABLE=VALUE" % (text, setting))
        extra[key] = value
    if equals:
        if path and not os.path.exists(path):
            raise ValueError("allocator '%s': no file %s" % (text, path))
        return Allocator(name, os.path.abspath(path) if path else "", extra)
    if name not in KNOWN:
        raise ValueError("allocator '%s': neither NAME=PATH.so nor one of %s" % (text, ", ".join(KNOWN)))
    found = known_path(name)
    if found is None:
        raise ValueError("allocator '%s': its library is not there (%s)" % (name, missing_hint(name)))
    if name in PROFILES:
        extra.setdefault("MIMALLOC_PROFILE", name)
    return Allocator(name, found, extra)


def missing_hint(name):
    if name in PACKAGES:
        return "package " + PACKAGES[name]
    if name == "bump":
        return "it is built by the scripts in bench/"
    return "build the project first; looked in %s, BENCH_BUILD names another place" % build_dir()


def parse_all(texts):
    """The allocators of a command line, or the default ones that are there. Also says what was left out."""
    left_out = []
    if texts:
        chosen = [parse(text) for text in texts]
    else:
        chosen = []
        for name in DEFAULTS:
            if known_path(name) is None:
                left_out.append("%s: %s" % (name, missing_hint(name)))
            else:
                chosen.append(parse(name))
    names = [allocator.name for allocator in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError("allocator '%s' is given twice" % name)
    return chosen, left_out
