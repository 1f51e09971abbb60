#include "base/mem.h"
#include "jinja/internal.h"

/* Under the address sanitizer, what stands behind each block may not be touched. */
#if defined(__SANITIZE_ADDRESS__)
#define GUARDED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARDED 1
#endif
#endif
#ifdef GUARDED
#include <sanitizer/asan_interface.h>
#else
#define GUARDED                             0
#define ASAN_POISON_MEMORY_REGION(at, size) (void)(at)
#endif

enum { PIECE = 16384, UNIT = 16 };

void *lf_jmemory_take(lf_jmemory *m, size_t size) {
    const size_t asked = size;
    size = (size + UNIT - 1) / UNIT * UNIT + (GUARDED ? UNIT : 0);
    if (size < asked || size > m->most - m->used) {
        m->refused = true;
        return NULL;
    }
    if (size > m->left) {
        const size_t want = size > PIECE / 4 ? size : PIECE;
        char *piece = lf_arena_alloc(m->arena, want);
        if (!piece) return NULL;
        m->used += size;
        if (want == size) { /* a large one does not end the piece that is begun */
            if (GUARDED) ASAN_POISON_MEMORY_REGION(piece + asked, size - asked);
            return piece;
        }
        m->block = piece;
        m->left = want;
    } else {
        m->used += size;
    }
    char *p = m->block;
    m->block += size;
    m->left -= size;
    if (GUARDED) ASAN_POISON_MEMORY_REGION(p + asked, size - asked);
    return p;
}
