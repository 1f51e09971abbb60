#!/usr/bin/env bash
# Two builds of the program (of gcc and of clang, say) train the same: the first one's test_builds, with every set of
# kernels of both. Arguments: the two build folders. Prints how far each is from the first one's reference.
set -euo pipefail
if [ $# -ne 2 ] || [ ! -x "$1/tests/test_builds" ] || [ ! -x "$2/lora-ft" ]; then
  echo "usage: $0 BUILD OTHER_BUILD, both built" >&2
  exit 2
fi
LF_OTHER_BUILD=$(cd "$2" && pwd) exec "$1/tests/test_builds"
