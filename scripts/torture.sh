#!/usr/bin/env bash
# Kills and injected failures: scripts/torture.py, which says what must hold. Arguments: the build folder and, for less
# time, a step between the places (1: every one).
set -euo pipefail
exec python3 "$(dirname "$0")/torture.py" "$@"
