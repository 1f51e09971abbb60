#define STB_TRUETYPE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "examples/letters/stb.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"

/* In a contour whose only point is off the curve stb_truetype 1.26 looks at the point behind it, even at the end of its
 * array. Fonts with such contours exist (fonts-dkg-handwriting). */
#define SLACK (2 * sizeof(stbtt_vertex))

static void *or_exit(void *p, size_t size) {
    if (!p) {
        lf_err err = {0};
        lf_no_memory(&err, "%zu bytes", size);
        fprintf(stderr, "lf-letters: %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    return p;
}

void *lf_stb_calloc(size_t size) { return or_exit(lf_calloc(1, size + SLACK), size); }
void *lf_stb_realloc(void *p, size_t size) { return or_exit(lf_realloc(p, size), size); }
void lf_stb_free(void *p) { lf_free(p); }
