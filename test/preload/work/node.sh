#!/bin/bash
# Real program: node.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
unset NODE_OPTIONS NODE_PATH
exec node "$here/node.js" "$1"
