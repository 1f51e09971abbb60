#include "io/rounded.h"

#include <inttypes.h>

enum { CHUNK = 4096 }; /* numbers rounded at once */

lf_status lf_put_rounded(lf_atomic_file *file, const char *tensor, lf_dtype dtype, const float *data, int64_t n,
                         lf_err *err) {
    double buffer[CHUNK]; /* large and aligned enough for every float type */
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i += CHUNK) {
        const int64_t part = n - i < CHUNK ? n - i : CHUNK;
        const int64_t bad = lf_round_f32(buffer, dtype, data + i, part);
        if (bad < part)
            rc = lf_fail(err, LF_EDATA,
                         "%s: tensor '%s': number %" PRId64 " is %g, which is too large for %s; choose another "
                         "save_dtype",
                         file->path, tensor, i + bad, (double)data[i + bad], lf_dtype_name(dtype));
        else
            rc = lf_atomic_put(file, buffer, (size_t)part * lf_dtype_size(dtype), err);
    }
    return rc;
}
