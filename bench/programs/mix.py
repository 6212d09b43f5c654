"""What Python programs do, for the time of a scale: objects, dicts, strings, JSON, expressions, sorting.

Run with PYTHONMALLOC=malloc, so that every object comes from malloc, and PYTHONHASHSEED=0, so that each
run does the same. Prints a checksum.
"""
import json
import re
import sys
import zlib


class Random:
    """A small generator of our own: the same numbers in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self.state >> 33) % limit


class Tree:
    __slots__ = ("key", "left", "right")

    def __init__(self, key):
        self.key = key
        self.left = self.right = None

    def insert(self, key):
        node = self
        while True:
            if key == node.key:
                return
            side = "left" if key < node.key else "right"
            child = getattr(node, side)
            if child is None:
                setattr(node, side, Tree(key))
                return
            node = child

    def keys(self):
        if self.left is not None:
            yield from self.left.keys()
        yield self.key
        if self.right is not None:
            yield from self.right.keys()


def trees(random):
    tree = Tree(500000)
    for _ in range(12000):
        tree.insert(random.below(1000000))
    return sum(tree.keys())


def words(random):
    text = " ".join("w%d%s" % (random.below(3000), "x" * random.below(12)) for _ in range(30000))
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    found = re.findall(r"w(\d+)x{3,5}\b", text)
    return zlib.crc32(repr((ordered[:100], len(found))).encode())


def documents(random):
    rows = [
        {
            "id": i,
            "name": "row %d" % i,
            "tags": ["t%d" % random.below(50) for _ in range(4)],
            "value": random.below(10000) / 16,
            "nested": {"a": [i, i + 1], "b": None},
        }
        for i in range(4000)
    ]
    text = json.dumps(rows)
    back = json.loads(text)
    groups = {}
    for row in back:
        for tag in row["tags"]:
            groups.setdefault(tag, []).append(row["value"])
    return zlib.crc32(repr(sorted((tag, sum(values)) for tag, values in groups.items())).encode())


def numbers(random):
    values = [random.below(1 << 40) for _ in range(40000)]
    values.sort()
    total = 1
    for value in values[::40]:
        total = total * (value | 1) % (1 << 400)
    matrix = [[float(random.below(100)) for _ in range(60)] for _ in range(60)]
    product = [[sum(a * b for a, b in zip(row, column)) for column in zip(*matrix)] for row in matrix]
    return total % 1000003 + int(sum(map(sum, product)))


def main():
    rounds = max(1, round(float(sys.argv[1]) * 8))
    random = Random(12345)
    checksum = 0
    for _ in range(rounds):
        for part in (trees, words, documents, numbers):
            checksum = (checksum * 31 + part(random)) & 0xFFFFFFFF
    print("checksum %08x" % checksum)


main()
