/* Any bytes as a safetensors file: one line of error, or tensors whose every byte can be read. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "io/safetensors.h"

static void check_tensors(lf_safetensors *st) {
    char hash[33];
    uint64_t total = 0;
    for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        uint64_t numel = 1;
        for (int d = 0; d < t->ndim; d++) numel *= (uint64_t)t->shape[d];
        require(t->ndim <= LF_MAX_DIMS && numel == (uint64_t)t->numel && t->size == numel * lf_dtype_size(t->dtype));
        require(lf_safetensors_find(st, t->name) == t);
        require(i == 0 || strcmp(lf_safetensors_at(st, i - 1)->name, t->name) < 0);
        total += t->size;
    }
    require(lf_safetensors_hash(st, hash, NULL) == LF_OK && strlen(hash) == 32); /* reads all bytes */
    (void)lf_safetensors_metadata(st, "format");
    require(total < UINT64_C(1) << 40);
}

/* Most inputs would fail at the length: where the first byte is odd, it is set right (to the first NUL, or the end). */
static void set_length(uint8_t *bytes, size_t size) {
    const uint8_t *end = size > 8 ? memchr(bytes + 8, 0, size - 8) : NULL;
    const uint64_t length = size < 8 ? 0 : (end ? (size_t)(end - bytes) : size) - 8;
    for (size_t i = 0; i < 8 && i < size; i++) bytes[i] = (uint8_t)(length >> (8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lf_safetensors *st = NULL;
    lf_err err = {0};
    char path[64];
    uint8_t *copy = malloc(size + 1);
    const int fd = memfd_create("fuzz", 0);
    require(copy && fd >= 0);
    if (size > 0) memcpy(copy, data, size);
    if (size > 0 && (copy[0] & 1)) set_length(copy, size);
    require(write(fd, copy, size) == (ssize_t)size);
    free(copy);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const lf_status rc = lf_safetensors_open(&st, path, &err);
    require((rc == LF_OK) == (st != NULL) && (rc == LF_OK) == (err.message[0] == 0) && !strchr(err.message, '\n'));
    if (st) check_tensors(st);
    lf_safetensors_close(st);
    close(fd);
    require(lf_alloc_live() == 0);
    return 0;
}
