#!/usr/bin/env bash
# Installs what the tests need, builds with gcc and clang without warnings, and passes all tests, also with address and
# undefined-behaviour sanitizers. Can be run again safely. Build folders: build-gcc, build-clang, build-sanitize.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
# shellcheck disable=SC2086
need_packages $build_packages $test_packages $run_packages

build() { # folder, compiler, options...
    local folder=$1 compiler=$2
    shift 2
    cmake -S . -B "$folder" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DLF_WERROR=ON "$@" >/dev/null
    cmake --build "$folder"
}

build build-gcc gcc
ctest --test-dir build-gcc --output-on-failure
build build-clang clang
ctest --test-dir build-clang --output-on-failure
build build-sanitize gcc -DLF_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
# leaks are counted by our own allocator in the tests; libraries keep what they cache
ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build-sanitize --output-on-failure
