/* Number formats in files and in compute buffers. */
#ifndef LF_BASE_DTYPE_H
#define LF_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* enum, name in safetensors, bytes */
#define LF_DTYPE_LIST(X)                                                                                               \
    X(LF_F64, "F64", 8)                                                                                                \
    X(LF_F32, "F32", 4)                                                                                                \
    X(LF_F16, "F16", 2)                                                                                                \
    X(LF_BF16, "BF16", 2)                                                                                              \
    X(LF_I64, "I64", 8)                                                                                                \
    X(LF_I32, "I32", 4)                                                                                                \
    X(LF_I16, "I16", 2)                                                                                                \
    X(LF_I8, "I8", 1)                                                                                                  \
    X(LF_U64, "U64", 8) X(LF_U32, "U32", 4) X(LF_U16, "U16", 2) X(LF_U8, "U8", 1) X(LF_BOOL, "BOOL", 1)

typedef enum lf_dtype {
#define LF_DTYPE_ENUM(e, name, size) e,
    LF_DTYPE_LIST(LF_DTYPE_ENUM)
#undef LF_DTYPE_ENUM
        LF_N_DTYPES
} lf_dtype;

size_t lf_dtype_size(lf_dtype t);
const char *lf_dtype_name(lf_dtype t);
bool lf_dtype_parse(const char *name, lf_dtype *out);
bool lf_dtype_is_float(lf_dtype t); /* F64, F32, F16 or BF16 */

float lf_bf16_to_f32(uint16_t h);
uint16_t lf_f32_to_bf16(float f); /* round to nearest even; NaN stays NaN */
float lf_f16_to_f32(uint16_t h);
uint16_t lf_f32_to_f16(float f); /* round to nearest even; overflow to infinity */

/* n numbers of a float type to and from float. src may be unaligned. */
void lf_to_f32(float *dst, const void *src, lf_dtype src_type, int64_t n);
void lf_from_f32(void *dst, lf_dtype dst_type, const float *src, int64_t n);
/* The same for files. The place of the first finite number that has become infinite; n: there is none. Rounding may
 * lose digits, but not that a number is one. */
int64_t lf_round_f32(void *dst, lf_dtype dst_type, const float *src, int64_t n);

#endif
