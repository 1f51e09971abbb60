/* Numbers as files have them: a model's and an adapter's are float in memory, and rounded as they are written. */
#ifndef LF_IO_ROUNDED_H
#define LF_IO_ROUNDED_H

#include "base/dtype.h"
#include "base/file.h"

/* The next n numbers of `file`, as `dtype`. LF_EDATA, naming the tensor and the number, where a finite one would become
 * infinite. */
lf_status lf_put_rounded(lf_atomic_file *file, const char *tensor, lf_dtype dtype, const float *data, int64_t n,
                         lf_err *err);

#endif
