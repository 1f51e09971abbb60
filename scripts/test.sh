#!/usr/bin/env bash
# Installs what the tests need, builds with gcc and clang without warnings, and passes all tests, also with address and
# undefined-behaviour sanitizers; the seeds of each fuzz target are tests. With --long, also what takes longer: a build for
# libFuzzer and 20 seconds of each target; what gcc's and clang's builds train, compared; kills and failures at 120 and 600
# places of a run, and folders that a loss of power may leave at 60 of its points; the tests that kill, stop and wait for a program, twenty times, and twenty times
# beside four busy loops with the program stopped for two seconds at each event; the suite beside the loops, twice; and all
# numbers of ranks under mpirun, with signals and a killed rank, and on two machines that are network namespaces (as root).
# Can be run again safely. Build folders: build-gcc, build-clang, build-sanitize, build-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
long=false
case ${1-} in
--long) long=true ;;
'') ;;
*) echo "scripts/test.sh: unexpected '$1'; it takes nothing but --long" >&2 && exit 2 ;;
esac
# shellcheck disable=SC2086
need_packages $build_packages $test_packages $run_packages

build() { # folder, compiler, options...
    local folder=$1 compiler=$2
    shift 2
    cmake -S . -B "$folder" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DLF_WERROR=ON -DBUILD_TESTING=ON "$@" >/dev/null
    cmake --build "$folder"
}

busy=()
stop_busy() {
    [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" 2>/dev/null || true
    busy=()
}
trap stop_busy EXIT
start_busy() { # four loops that want all they can get
    for _ in 1 2 3 4; do
        (while :; do :; done) &
        busy+=($!)
    done
}

suite() { # build folder, options of ctest; side by side, because no test looks at the clock
    ctest --test-dir "$1" --output-on-failure -j"$(nproc)" "${@:2}"
}

scripts/format.sh --check
build build-gcc gcc
suite build-gcc
build build-clang clang
suite build-clang -LE gate # what reads sources alone has passed
build build-sanitize gcc -DLF_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
# leaks are counted by our own allocator in the tests; libraries keep what they cache
ASAN_OPTIONS=detect_leaks=0 suite build-sanitize -LE gate

if $long; then
    build build-fuzz clang -DLF_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
    tests/fuzz/run.sh build-fuzz 20
    scripts/two-builds.sh build-gcc build-clang
    need_packages strace
    scripts/torture.sh build-gcc --kills 120 --failures 600
    python3 scripts/power-loss.py build-gcc --points 60 --each 2
    LF_TEST_LONG=1 ctest --test-dir build-gcc --output-on-failure -R '^test_(mpi|continual)$'
    if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null; then scripts/check-mpi-hosts.sh build-gcc; fi
    if command -v chromium >/dev/null; then python3 scripts/check-hostile-pages.py build-gcc; fi
    held='test_(sweep|signals|lm_generate)$' # all that includes tests/cli/stop_fixture.h
    ctest --test-dir build-gcc --output-on-failure -j3 --repeat until-fail:20 -R "$held"
    start_busy
    LF_TEST_STOP=2 ctest --test-dir build-gcc --output-on-failure -j3 --repeat until-fail:20 -R "$held"
    suite build-gcc
    suite build-gcc
    stop_busy
fi
