/* Any bytes as a GGUF file: one line of error, or keys and tensors whose every byte can be read. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "gguf/format.h"

static uint64_t sum; /* of what was read, so that reading it is not left out */

static void read_all(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++) sum += p[i];
}

static void check_all(const lf_gguf *g) {
    const char *s;
    size_t n;
    double x;
    for (int64_t i = 0; i < lf_gguf_n_keys(g); i++) {
        const lf_gguf_key *k = lf_gguf_key_at(g, i);
        require(k->type < LF_GGUF_N_VALUES && k->type != LF_GGUF_ARRAY && k->name_size <= LF_GGUF_KEY);
        read_all(k->data, k->size);
    }
    for (int64_t i = 0; i < lf_gguf_n_tensors(g); i++) {
        const lf_gguf_tensor *t = lf_gguf_tensor_at(g, i);
        uint64_t numel = 1;
        for (int d = 0; d < t->ndim; d++) numel *= t->shape[d];
        require(numel == t->numel && numel > 0 && t->name_size <= LF_GGUF_NAME && lf_gguf_type_name(t->type));
        read_all(t->data, t->size);
    }
    if (lf_gguf_string(g, "general.architecture", &s, &n)) read_all((const unsigned char *)s, n);
    (void)lf_gguf_number(g, "general.alignment", &x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lf_gguf *g = NULL;
    lf_err err = {0};
    char path[64];
    const int fd = memfd_create("fuzz", 0);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const lf_status rc = lf_gguf_open(&g, path, &err);
    require((rc == LF_OK) == (g != NULL));
    require_said(rc, &err);
    if (g) check_all(g);
    lf_gguf_close(g);
    close(fd);
    require(lf_alloc_live() == 0);
    return 0;
}
