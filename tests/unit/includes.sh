#!/bin/sh
# A folder includes only what stands to its right in docs/architecture.md. Argument: the source tree.
cd "$1/src" || exit 1
status=0
allow() { # folder, then the folders that it may include (itself always)
    folder=$1
    shift
    for found in $(grep -rhoE '#include "[a-z_]+/[a-z_./]*\.h"' "$folder" --include='*.c' --include='*.h' | sed 's/.*"\([a-z_]*\)\/.*/\1/' | sort -u); do
        case " $folder $* " in
        *" $found "*) ;;
        *) echo "src/$folder includes $found/" && status=1 ;;
        esac
    done
}
beside="config io linalg plot stats text"
allow base
for folder in $beside; do allow "$folder" base; done
allow kernels base
allow graph kernels base
allow nn graph kernels base
allow model nn graph kernels base $beside
allow adapter nn graph kernels base $beside
allow text base
allow data text base $beside
allow eval model adapter data nn graph kernels base $beside
allow train eval model adapter data nn graph kernels base $beside
allow tools train eval model adapter data nn graph kernels base $beside
allow report base $beside
allow sweep report adapter kernels base $beside
allow cli
grep -rlE 'immintrin|omp\.h|#pragma omp|cblas|pthread' base config io text graph nn model adapter eval train report sweep plot stats cli && echo "threads, BLAS and intrinsics belong into kernels, linalg or the loader" && status=1
exit $status
