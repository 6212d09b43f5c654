#!/bin/bash
# Real program: git on a repository it is given as a stream: import, log, blame, grep, diff, merge, repack
# with threads, bisect-like checkouts, fsck. Names, dates and contents are fixed, so every hash is too.
set -euo pipefail
commits=300 files=40
if [[ $1 == long ]]; then commits=4000 files=80; fi
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_PAGER=cat LC_ALL=C TZ=UTC
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org GIT_COMMITTER_DATE='1700000000 +0000'

stream() {
  awk -v commits="$commits" -v files="$files" '
    BEGIN {
      for (f = 0; f < files; f++) for (l = 0; l < 150; l++) line[f, l] = "file " f " line " l
      for (c = 1; c <= commits; c++) {
        f = (c * 7) % files
        for (k = 0; k < 9; k++) line[f, (c * 31 + k * 17) % 150] = "file " f " changed by " c " at " k
        body = ""
        for (l = 0; l < 150; l++) body = body line[f, l] "\n"
        message = "Change number " c "\n\nTouches file " f ".\n"
        printf "commit refs/heads/main\nmark :%d\nauthor A <a@example.org> %d +0000\n", c, 1600000000 + c * 60
        printf "committer C <c@example.org> %d +0000\ndata %d\n%s", 1600000000 + c * 60, length(message), message
        if (c > 1) printf "from :%d\n", c - 1
        printf "M 100644 inline dir%d/file%d.txt\ndata %d\n%s\n", f % 5, f, length(body), body
      }
      print "done"
    }'
}

git init -q -b main repo
cd repo
stream | git fast-import --quiet --done
git checkout -q main
git rev-parse HEAD 'HEAD^{tree}'
git log --stat | sha256sum
git log -p --no-color -n 40 | sha256sum
git blame --porcelain dir0/file0.txt | sha256sum
git grep -c 'changed by' | sha256sum
git checkout -q -b side HEAD~10
echo 'a line of the side branch' >>dir1/file1.txt
git commit -q -a -m 'Side'
git checkout -q main
git merge -q --no-edit side
git rev-parse HEAD
git diff --no-color HEAD~30 HEAD | sha256sum
git -c pack.threads=2 repack -q -a -d -f --depth=20
git rev-list --objects --all | sort | sha256sum
git clone -q . ../copy
git -C ../copy log -n 1 --format=%H
git fsck --full --no-progress --strict
git archive HEAD | sha256sum
git status --short
