#!/usr/bin/env bash
# Kills and injected failures: scripts/torture.py, which says what must hold. Arguments: the build folder and, for less
# time than every place takes, how many of them (--kills 250 --failures 2200).
set -euo pipefail
exec python3 "$(dirname "$0")/torture.py" "$@"
