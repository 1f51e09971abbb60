/* A safetensors file from a few lines of text, so that a target for what is made of tensors need not guess a header
 * whose lengths and offsets fit (fuzz_safetensors does): "NAME DTYPE SIZE SIZE ..." a line. */
#ifndef LF_TEST_FUZZ_TENSORS_H
#define LF_TEST_FUZZ_TENSORS_H

#include "base/dtype.h"
#include "fuzz.h"
#include "io/safetensors.h"

enum { TENSORS_MOST = 80, TENSORS_MOST_NUMBERS = 1 << 16 };

typedef struct fuzz_tensor {
    char name[200];
    lf_dtype dtype;
    int ndim;
    int64_t shape[LF_MAX_DIMS], numel;
} fuzz_tensor;

/* false: no such line, or too large a tensor for a test. */
static inline bool read_tensor(fuzz_tensor *t, char *line) {
    char *rest = NULL, *name = strtok_r(line, " ", &rest), *type = name ? strtok_r(NULL, " ", &rest) : NULL;
    *t = (fuzz_tensor){.numel = 1};
    if (!type || !lf_dtype_parse(type, &t->dtype) || strlen(name) >= sizeof t->name) return false;
    memcpy(t->name, name, strlen(name) + 1);
    for (char *size; (size = strtok_r(NULL, " ", &rest));) {
        if (t->ndim == LF_MAX_DIMS) return false;
        const int64_t n = strtoll(size, NULL, 10);
        if (n < 0 || n > TENSORS_MOST_NUMBERS) return false;
        t->shape[t->ndim++] = n;
        t->numel *= n;
        if (t->numel > TENSORS_MOST_NUMBERS) return false;
    }
    return true;
}

/* Small finite numbers of any type, or, where `data` has bytes, those again and again. */
static inline void fill_tensor(unsigned char *to, const fuzz_tensor *t, const char *data, size_t n) {
    const size_t each = lf_dtype_size(t->dtype), size = (size_t)t->numel * each;
    for (size_t i = 0; i < size; i++) to[i] = n ? (unsigned char)data[i % n] : 0;
    for (int64_t i = 0; !n && i < t->numel && lf_dtype_is_float(t->dtype); i++) {
        const float x = 0.01f * (float)(i % 7 - 3);
        lf_from_f32(to + (size_t)i * each, t->dtype, &x, 1);
    }
}

/* Writes the file; lines that are none, and names that were, are left out. */
static inline void put_tensors(const char *path, fuzz_part lines, const char *data, size_t n) {
    static fuzz_tensor all[TENSORS_MOST];
    static unsigned char bytes[8 * TENSORS_MOST_NUMBERS];
    int count = 0;
    lf_st_writer *w = NULL;
    char *rest = NULL;
    for (char *line = strtok_r(lines.s, "\n", &rest); line && count < TENSORS_MOST;
         line = strtok_r(NULL, "\n", &rest)) {
        bool is_new = read_tensor(&all[count], line);
        for (int i = 0; i < count; i++) is_new = is_new && strcmp(all[i].name, all[count].name) != 0;
        count += is_new;
    }
    require(lf_st_writer_new(&w, path, NULL) == LF_OK);
    lf_status rc = LF_OK;
    for (int i = 0; i < count && !rc; i++)
        rc = lf_st_writer_declare(w, all[i].name, all[i].dtype, all[i].ndim, all[i].shape, NULL);
    for (int i = 0; i < count && !rc; i++) {
        fill_tensor(bytes, &all[i], data, n);
        rc = lf_st_writer_write(w, bytes, (size_t)all[i].numel * lf_dtype_size(all[i].dtype), NULL);
    }
    if (rc) /* a name that is no UTF-8 */
        lf_st_writer_abort(w);
    else
        require(lf_st_writer_commit(w, NULL) == LF_OK);
}

#endif
