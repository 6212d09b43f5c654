#!/usr/bin/env python3
"""Writes the bill of materials of an installed tree: SPDX 2.3, as JSON, on standard output.

usage: sbom.py TREE NAME VERSION EPOCH SODIUM_VERSION

Every regular file of TREE is listed with its SHA-1 (which SPDX demands) and SHA-256, and libsodium as what is linked
statically into the files of the hardened library. SODIUM_VERSION `none` says that it is not. The same tree and words
give the same bytes: the date is EPOCH, the namespace is made from the checksums.
"""

import datetime
import hashlib
import json
import os
import sys


def checksums(path):
    sha1, sha256 = hashlib.sha1(), hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            sha1.update(piece)
            sha256.update(piece)
    return sha1.hexdigest(), sha256.hexdigest()


def list_files(tree):
    found = []
    for directory, _, names in os.walk(tree):
        found += [os.path.join(directory, name) for name in names]
    return sorted(path for path in found if not os.path.islink(path))


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    tree, name, version, epoch, sodium = sys.argv[1:]
    if not os.path.isdir(tree):
        sys.exit(f"sbom.py: '{tree}' is not a directory")
    files, relations, sha1s = [], [], []
    product = "SPDXRef-Package"
    for number, path in enumerate(list_files(tree)):
        sha1, sha256 = checksums(path)
        relative = os.path.relpath(path, tree)
        sha1s.append(sha1)
        linked = "mimalloc-secure" in relative and relative.endswith((".a", ".o", version)) and sodium != "none"
        files.append({
            "SPDXID": f"SPDXRef-File-{number}",
            "fileName": f"./{relative}",
            "checksums": [{"algorithm": "SHA1", "checksumValue": sha1},
                          {"algorithm": "SHA256", "checksumValue": sha256}],
            "licenseConcluded": "MIT AND ISC" if linked else "MIT",
            "copyrightText": "NOASSERTION",
        })
        relations.append((product, "CONTAINS", f"SPDXRef-File-{number}"))
        if linked:
            relations.append((f"SPDXRef-File-{number}", "STATIC_LINK", "SPDXRef-libsodium"))
    if not files:
        sys.exit(f"sbom.py: there are no files in '{tree}'")
    code = hashlib.sha1("".join(sorted(sha1s)).encode()).hexdigest()
    packages = [{
        "SPDXID": product, "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True, "packageVerificationCode": {"packageVerificationCodeValue": code},
        "licenseConcluded": "MIT AND ISC" if sodium != "none" else "MIT", "licenseDeclared": "MIT",
        "copyrightText": "NOASSERTION",
    }]
    if sodium != "none":
        packages.append({
            "SPDXID": "SPDXRef-libsodium", "name": "libsodium", "versionInfo": sodium,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "ISC",
            "licenseDeclared": "ISC", "copyrightText": "2013-2017 Frank Denis",
        })
    made = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
    json.dump({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name}-{version}", "documentNamespace": f"urn:sha1:{code}",
        "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: sbom.py"]},
        "packages": packages, "files": files,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in [("SPDXRef-DOCUMENT", "DESCRIBES", product)] + relations],
    }, sys.stdout, indent=1, sort_keys=True)
    print()


main()
