/* Which format a picture has: what it begins with decides, its name only where there is nothing to see. */
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "data/image/internal.h"

static const lf_image_decoder decoders[] = {
#define LF_IMAGE_DECODER(...) {__VA_ARGS__},
#include "data/image/decoders.def"
#undef LF_IMAGE_DECODER
};

enum { N_DECODERS = sizeof decoders / sizeof *decoders };

/* Do the bytes begin with one of "a|b"? A '?' is any byte. */
static bool begins_with(const unsigned char *bytes, size_t size, const char *signatures) {
    for (lf_slice s; lf_next_item(&signatures, &s);) {
        const size_t n = (size_t)s.length;
        size_t i = 0;
        while (i < n && i < size && (s.start[i] == '?' || (unsigned char)s.start[i] == bytes[i])) i++;
        if (i == n) return true;
    }
    return false;
}

const lf_image_decoder *lf_image_decoder_of(const unsigned char *bytes, size_t size, const char *name) {
    for (int i = 0; i < N_DECODERS; i++)
        if (begins_with(bytes, size, decoders[i].signatures)) return &decoders[i];
    for (int i = 0; i < N_DECODERS; i++) /* without a signature almost anything could be one: only under its own name */
        if (!decoders[i].signatures && lf_has_extension(name, decoders[i].extensions)) return &decoders[i];
    return NULL;
}

const char *lf_image_format(const unsigned char *bytes, size_t size, const char *name) {
    const lf_image_decoder *d = lf_image_decoder_of(bytes, size, name);
    return d ? d->name : NULL;
}

bool lf_image_has_extension(const char *name) {
    for (int i = 0; i < N_DECODERS; i++)
        if (lf_has_extension(name, decoders[i].extensions)) return true;
    return false;
}

const char *lf_image_extensions(char *buf, size_t size) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < N_DECODERS; i++) {
        const char *list = decoders[i].extensions;
        for (lf_slice e; used < size && lf_next_item(&list, &e);)
            used += (size_t)snprintf(buf + used, size - used, "%s%.*s", used ? ", " : "", e.length, e.start);
    }
    return buf;
}

const char *lf_image_names(char *buf, size_t size) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < N_DECODERS && used < size; i++)
        if (decoders[i].signatures)
            used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", decoders[i].name);
    return buf;
}
