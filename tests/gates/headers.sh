#!/bin/sh
# Each header of ours compiles alone, so that a file may include what it needs in any order; the public one also as C++.
# Arguments: the source tree, the compiler, options of it (folders of the libraries' headers).
root=$1
compiler=$2
shift 2
cd "$root" || exit 1
status=0
check="$compiler -std=c17 -fsyntax-only -Wall -Wextra -pedantic -Werror -Isrc -Iinclude $*"
find include src -name '*.h' | sort | xargs -P "$(nproc)" -I '{}' sh -c '
    printf "#include \"%s\"\ntypedef int no_empty_unit;\n" "$(echo "$1" | sed "s,^src/,,; s,^include/,,")" |
        $2 -x c - || { echo "$1 does not compile alone"; exit 1; }' headers '{}' "$check" || status=1
for cxx in "clang -x c++" "c++ -x c++" "$compiler -x c++"; do
    echo 'int main() { return 0; }' | $cxx -fsyntax-only - 2>/dev/null || continue
    echo '#include "lora_ft.h"' | $cxx -fsyntax-only -std=c++11 -Wall -Wextra -pedantic -Werror -Iinclude - ||
        { echo "include/lora_ft.h does not compile as C++" && status=1; }
    exit $status
done
echo "no C++ compiler here: include/lora_ft.h was not checked as C++"
exit $status
