#include "io/zlib_memory.h"

#include "base/mem.h"

static voidpf take(voidpf opaque, uInt count, uInt size) {
    (void)opaque;
    return lf_calloc(count, size);
}

static void give(voidpf opaque, voidpf block) {
    (void)opaque;
    lf_free(block);
}

z_stream lf_zlib_stream(void) { return (z_stream){.zalloc = take, .zfree = give}; }
