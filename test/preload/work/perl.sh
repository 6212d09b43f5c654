#!/bin/bash
# Real program: perl.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
unset PERL5LIB PERL5OPT
exec /usr/bin/perl "$here/perl.pl" "$1"
