"""Makes what the programs work on: all of it generated, the same in every run, nothing downloaded.

Each function takes a path and the scale, and writes one file or directory there.
"""
import os
import subprocess
import zlib


class Random:
    """A small generator of our own: the same numbers in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self.state >> 33) % limit

    def pick(self, items):
        return items[self.below(len(items))]


def count(number, scale):
    return max(1, round(number * scale))


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


# ---- C for gcc ----


def c_function(random, i):
    lines = [
        "static long f%d(const struct s%d* s, long n) {" % (i, i % 20),
        "  long a = n, b = %d;" % random.below(99),
    ]
    for k in range(6 + random.below(10)):
        kind = random.below(5)
        field = "m%d" % random.below(6)
        if kind == 0:
            lines.append(
                "  for (long i = 0; i < n %% %d; i++) a += s->%s * i + table[(i + b) & 255];" % (7 + k, field)
            )
        elif kind == 1:
            lines.append(
                "  if (a > s->%s) b ^= a >> %d; else a -= b * %d;"
                % (field, 1 + random.below(7), random.below(50))
            )
        elif kind == 2:
            lines.append(
                "  switch (a & 3) { case 0: b += %d; break; case 1: b -= s->%s; break; default: a ^= b; }"
                % (random.below(1000), field)
            )
        elif kind == 3 and i > 0:
            lines.append("  a += f%d((const void*)s, b & 15);" % random.below(i))
        else:
            lines.append("  table[(a + %d) & 255] = b + s->%s;" % (random.below(256), field))
    return lines + ["  return a + b;", "}"]


def c_file(path, scale):
    """A C file of many middling functions over a few structures."""
    random = Random(1)
    functions = count(130, scale)
    lines = ["static long table[256];"]
    for i in range(20):
        lines.append(
            "struct s%d { %s };"
            % (i, " ".join("%s m%d;" % (random.pick(["long", "int", "short"]), k) for k in range(6)))
        )
    for i in range(functions):
        lines += c_function(random, i)
    lines.append("long all(const void* s, long n) {")
    lines += ["  n += f%d(s, n);" % i for i in range(functions)]
    lines += ["  return n;", "}"]
    write(path, "\n".join(lines) + "\n")


# ---- a formula for z3 ----


def formula(path, scale):
    """Instances that are hard in different ways: factoring as bit vectors, pigeons, sums with choices."""
    random = Random(2)
    out = []
    for product in (34351 * 40637, 38749 * 61141)[: count(2, scale)]:
        out += [
            "(reset)",
            "(declare-const x (_ BitVec 36))",
            "(declare-const y (_ BitVec 36))",
            "(assert (= (bvmul x y) (_ bv%d 36)))" % product,
            "(assert (bvult x (_ bv131072 36)))",
            "(assert (bvult y (_ bv131072 36)))",
            "(assert (bvugt x (_ bv1 36)))",
            "(assert (bvule x y))",
            "(check-sat)",
        ]
    holes = 7 if scale < 0.5 else 8
    out.append("(reset)")
    for p in range(holes + 1):
        out += ["(declare-const p%d_%d Bool)" % (p, h) for h in range(holes)]
        out.append("(assert (or %s))" % " ".join("p%d_%d" % (p, h) for h in range(holes)))
    for h in range(holes):
        for p in range(holes + 1):
            out += ["(assert (not (and p%d_%d p%d_%d)))" % (p, h, q, h) for q in range(p)]
    out += ["(check-sat)"]
    for _ in range(count(12, scale)):
        out.append("(reset)")
        terms = 40
        out += ["(declare-const i%d Int)" % i for i in range(terms)]
        out += ["(assert (and (>= i%d 0) (<= i%d 9)))" % (i, i) for i in range(terms)]
        for _ in range(90):
            picked = [random.below(terms) for _ in range(5)]
            out.append(
                "(assert (or (> (+ %s) %d) (< (- i%d i%d) %d)))"
                % (
                    " ".join("(* %d i%d)" % (1 + random.below(9), i) for i in picked),
                    60 + random.below(60),
                    picked[0],
                    picked[1],
                    random.below(5) - 2,
                )
            )
        out += ["(check-sat)"]
    write(path, "\n".join(out) + "\n")


# ---- a PDF for ghostscript ----


def pdf_page(random, number):
    out = ["BT /F1 18 Tf 60 790 Td (Page %d) Tj ET" % number]
    for line in range(45):
        text = " ".join(
            "".join(random.pick("abcdefghijklmnopqrstuvw") for _ in range(2 + random.below(8)))
            for _ in range(11)
        )
        out.append(
            "BT /F%d %d Tf 60 %d Td (%s) Tj ET"
            % (1 + random.below(3), 9 + random.below(3), 760 - 11 * line, text)
        )
    for _ in range(120):
        values = tuple(random.below(100) / 100 for _ in range(3))
        points = tuple(60 + random.below(480) if i % 2 == 0 else 40 + random.below(220) for i in range(8))
        out.append(
            "%.2f %.2f %.2f rg %d %d m %d %d %d %d %d %d c %s"
            % (values + points + (random.pick(["f", "S", "B"]),))
        )
    return zlib.compress("\n".join(out).encode(), 6)


def pdf(path, scale):
    """Pages of text in three fonts and of filled curves, with compressed contents."""
    random = Random(3)
    pages = count(120, scale)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        (
            "<< /Type /Pages /Count %d /Kids [%s] >>"
            % (pages, " ".join("%d 0 R" % (6 + 2 * i) for i in range(pages)))
        ).encode(),
    ]
    for font in ("Helvetica", "Times-Roman", "Courier"):
        objects.append(("<< /Type /Font /Subtype /Type1 /BaseFont /%s >>" % font).encode())
    for i in range(pages):
        contents = pdf_page(random, i + 1)
        objects.append(
            (
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources "
                "<< /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> >>" % (7 + 2 * i)
            ).encode()
        )
        objects.append(
            b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(contents), contents)
        )
    data = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    with open(path, "wb") as f:
        f.write(data)


# ---- SQL for sqlite3 ----


def sql(path, scale):
    """Inserts one by one, indices, joins, groups, text functions, updates and deletes, in memory."""
    random = Random(4)
    out = [
        "PRAGMA journal_mode = MEMORY;",
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER);",
        "CREATE TABLE sale (id INTEGER PRIMARY KEY, person INTEGER, item TEXT, price REAL, note TEXT);",
    ]
    people, sales = count(30000, scale), count(90000, scale)
    out.append("BEGIN;")
    for i in range(people):
        out.append(
            "INSERT INTO person VALUES (%d, 'name %d', 'city %d', %d);"
            % (i, random.below(10000), random.below(200), random.below(90))
        )
    for i in range(sales):
        out.append(
            "INSERT INTO sale VALUES (%d, %d, 'item %d', %d.%02d, '%s');"
            % (
                i,
                random.below(people),
                random.below(800),
                random.below(500),
                random.below(100),
                "n" * random.below(120),
            )
        )
    out += [
        "COMMIT;",
        "CREATE INDEX by_city ON person (city, age);",
        "CREATE INDEX by_person ON sale (person);",
        "CREATE INDEX by_item ON sale (item, price);",
        "SELECT city, count(*), round(sum(price), 2) FROM person JOIN sale ON sale.person = person.id "
        "GROUP BY city ORDER BY 3 DESC LIMIT 20;",
        "SELECT item, group_concat(upper(substr(note, 1, 3)), '-') FROM sale WHERE price > 490 GROUP BY item "
        "ORDER BY item LIMIT 50;",
    ]
    for i in range(count(4000, scale)):
        out.append(
            "SELECT name, (SELECT count(*) FROM sale WHERE sale.person = person.id) FROM person WHERE city = "
            "'city %d' AND age > %d ORDER BY name LIMIT 3;" % (random.below(200), random.below(90))
        )
    out += [
        "UPDATE sale SET note = note || printf(' %08x', id) WHERE id % 3 = 0;",
        "DELETE FROM sale WHERE item LIKE 'item 1%';",
        "SELECT count(*), total(length(note)) FROM sale;",
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
        "SELECT sum(length(hex(randomblob(i %% 40)))) > 0 FROM n;" % count(100000, scale),
        "SELECT length(json_group_array(json_object('n', name, 'a', age))) FROM person;",
    ]
    write(path, "\n".join(out) + "\n")


# ---- a repository for git ----


def repository(path, scale):
    """Some hundred commits over some hundred files of text, as loose objects that git gc then packs."""
    random = Random(5)
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
    subprocess.run(["git", "-C", path, "config", "fastimport.unpackLimit", "100000000"], check=True)
    files = {}
    stream = []
    for commit in range(count(400, scale)):
        message = "commit %d" % commit
        stream.append(
            "commit refs/heads/main\ncommitter A Person <person@example.org> %d +0000\ndata %d\n%s\n"
            % (1700000000 + commit * 60, len(message), message)
        )
        for _ in range(6):
            name = "dir%d/file%d.txt" % (random.below(12), random.below(25))
            lines = files.setdefault(name, ["line %d %d" % (i, random.below(10**9)) for i in range(300)])
            for _ in range(5):
                lines[random.below(len(lines))] = "changed %d in %d" % (random.below(10**9), commit)
            text = "\n".join(lines) + "\n"
            stream.append("M 100644 inline %s\ndata %d\n%s\n" % (name, len(text), text))
    stream.append("done\n")
    subprocess.run(
        ["git", "-C", path, "fast-import", "--quiet", "--done"],
        input="".join(stream).encode(),
        env=environment,
        check=True,
    )


# ---- a site for nginx ----


def site(path, scale):
    """A small file, a directory with many, a text worth compressing, and a page with includes."""
    del scale
    root = os.path.join(path, "html")
    os.makedirs(os.path.join(root, "many"))
    random = Random(6)
    write(os.path.join(root, "small.html"), "<html><body>%s</body></html>\n" % ("small " * 100))
    write(
        os.path.join(root, "text.txt"),
        "\n".join("line %d %d" % (i, random.below(1000)) for i in range(600)) + "\n",
    )
    write(os.path.join(root, "include.shtml"), '<!--#include virtual="/small.html" -->\n' * 4)
    for i in range(60):
        write(os.path.join(root, "many", "file%d.txt" % i), "x" * i)
