/* A reader of GGUF files that is the tests' own, and their tensors beside those of safetensors. */
#ifndef LF_TESTS_GGUF_FIXTURE_H
#define LF_TESTS_GGUF_FIXTURE_H

#include "cli/lm_cli_fixture.h"

typedef struct part {
    char name[80];
    uint32_t type; /* of a key; of an array that of its values, + 100 */
    uint64_t count, dims[4];
    const unsigned char *data;
} part;

static struct {
    char *bytes;
    size_t size, at;
    part keys[64], tensors[64];
    int n_keys, n_tensors;
} file;

static uint64_t take(size_t n) {
    uint64_t value = 0;
    assert_true(file.at + n <= file.size);
    for (size_t i = 0; i < n; i++) value |= (uint64_t)(unsigned char)file.bytes[file.at++] << (8 * i);
    return value;
}

static void take_name(char *to) {
    const uint64_t n = take(8);
    assert_true(n < 80 && file.at + n <= file.size);
    memcpy(to, file.bytes + file.at, n);
    to[n] = 0;
    file.at += n;
}

static void skip_value(uint32_t type) {
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    assert_true(type < 13 && type != 9);
    file.at += type == 8 ? take(8) : sizes[type];
}

__attribute__((unused)) static void parse(const char *name) {
    lf_err err = {0};
    lf_free(file.bytes);
    memset(&file, 0, sizeof file);
    if (lf_file_read(&file.bytes, &file.size, text("%s/%s", root, name), &err)) fail_msg("%s", err.message);
    assert_memory_equal(file.bytes, "GGUF\3\0\0\0", 8);
    file.at = 8;
    file.n_tensors = (int)take(8);
    file.n_keys = (int)take(8);
    assert_true(file.n_tensors < 64 && file.n_keys < 64);
    for (int i = 0; i < file.n_keys; i++) {
        part *k = &file.keys[i];
        take_name(k->name);
        k->type = (uint32_t)take(4);
        k->count = 1;
        const bool array = k->type == 9;
        if (array) {
            k->type = (uint32_t)take(4);
            k->count = take(8);
        }
        k->data = (unsigned char *)file.bytes + file.at;
        for (uint64_t v = 0; v < k->count; v++) skip_value(k->type);
        if (array) k->type += 100;
    }
    uint64_t end = 0, offsets[64];
    for (int i = 0; i < file.n_tensors; i++) {
        part *t = &file.tensors[i];
        take_name(t->name);
        const uint64_t ndim = take(4);
        t->count = 1;
        assert_true(ndim >= 1 && ndim <= 4);
        for (uint64_t d = 0; d < ndim; d++) t->count *= t->dims[d] = take(8);
        t->type = (uint32_t)take(4);
        offsets[i] = take(8);
        assert_int_equal(offsets[i] % 32, 0);
        assert_int_equal(offsets[i], end); /* no gap but for the padding, and none over another */
        end += (t->count * (t->type ? 2 : 4) + 31) / 32 * 32;
    }
    const size_t data = (file.at + 31) / 32 * 32;
    assert_int_equal(data + end, file.size);
    for (int i = 0; i < file.n_tensors; i++) file.tensors[i].data = (unsigned char *)file.bytes + data + offsets[i];
}

static const part *find(const part *parts, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(parts[i].name, name) == 0) return &parts[i];
    return NULL;
}
__attribute__((unused)) static const part *key(const char *name) {
    const part *k = find(file.keys, file.n_keys, name);
    if (!k) fail_msg("there is no key '%s'", name);
    return k;
}
__attribute__((unused)) static const part *tensor(const char *name) {
    const part *t = find(file.tensors, file.n_tensors, name);
    if (!t) fail_msg("there is no tensor '%s'", name);
    return t;
}

__attribute__((unused)) static double key_number(const char *name) {
    const part *k = key(name);
    uint32_t bits = 0;
    float x;
    memcpy(&bits, k->data, k->type == 7 ? 1 : 4);
    memcpy(&x, &bits, 4);
    assert_true(k->type == 4 || k->type == 6 || k->type == 7);
    return k->type == 6 ? (double)x : bits;
}

__attribute__((unused)) static void key_says(const char *name, const char *want) {
    const part *k = key(name);
    assert_int_equal(k->type, 8);
    assert_memory_equal(k->data + 8, want, strlen(want));
    assert_int_equal(k->data[0], strlen(want));
}

__attribute__((unused)) static float number_at(const part *t, uint64_t i) {
    float x;
    if (t->type == 0) return memcpy(&x, t->data + 4 * i, 4), x;
    uint16_t half;
    memcpy(&half, t->data + 2 * i, 2);
    return t->type == 1 ? lf_f16_to_f32(half) : lf_bf16_to_f32(half);
}

/* ---- against safetensors ---- */

__attribute__((unused)) static const lf_st_tensor *other(const lf_safetensors *st, const char *name) {
    const lf_st_tensor *t = lf_safetensors_find(st, name);
    if (!t) fail_msg("there is no tensor '%s'", name);
    return t;
}

/* Is t the tensor of st, its rows turned within `heads` heads of D (0: as they are), rounded to half of its digits?
 * times: of the numbers of st. */
__attribute__((unused)) static void same_tensor(const part *t, const lf_st_tensor *u, int64_t heads, double times) {
    const int64_t rows = u->shape[0], n = u->numel / rows, D = heads ? rows / heads : rows;
    assert_int_equal(t->count, u->numel);
    assert_int_equal(t->dims[u->ndim - 1], rows);
    if (u->ndim == 2) assert_int_equal(t->dims[0], n);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = i % D, from = !heads ? i : i - at + at % 2 * (D / 2) + at / 2;
        for (int64_t j = 0; j < n; j++) {
            float want;
            lf_to_f32(&want, (const char *)u->data + (size_t)(from * n + j) * lf_dtype_size(u->dtype), u->dtype, 1);
            want = (float)(times * (double)want);
            uint16_t half = t->type == 1 ? lf_f32_to_f16(want) : lf_f32_to_bf16(want);
            if (t->type) want = t->type == 1 ? lf_f16_to_f32(half) : lf_bf16_to_f32(half);
            if (fabs((double)number_at(t, (uint64_t)(i * n + j)) - (double)want) > (times == 1 ? 0 : 1e-6))
                fail_msg("%s: number [%d,%d] is %g, expected %g", t->name, (int)i, (int)j,
                         (double)number_at(t, (uint64_t)(i * n + j)), (double)want);
        }
    }
}

__attribute__((unused)) static int free_file(void **state) {
    lf_free(file.bytes);
    return teardown(state);
}

#endif
