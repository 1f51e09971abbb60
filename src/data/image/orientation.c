/* Cameras write a picture as their sensor lay, and beside it how it is to be turned: in an EXIF block, which is a small
 * TIFF, or in XMP, which is text. Everything that shows pictures turns them, and so do the libraries that a model is
 * trained and used with (PIL's ImageOps.exif_transpose); so does the decoder here. */
#include <string.h>

#include "data/image/internal.h"

typedef struct block {
    const unsigned char *bytes;
    size_t size;
    bool big_endian;
} block;

/* The `n`-byte number at `at`; beyond the end it is 0, which is no tag, no type and no count. */
static uint64_t number(const block *b, uint64_t at, unsigned n) {
    uint64_t value = 0;
    if (at > b->size || n > b->size - at) return 0;
    for (unsigned i = 0; i < n; i++) value = value << 8 | b->bytes[at + (b->big_endian ? i : n - 1 - i)];
    return value;
}

/* Of an entry (tag, type, count, value): a single number, of the types that PIL takes for one. */
static int value_of(const block *b, uint64_t entry, bool wide) {
    static const unsigned char bytes_of_type[] = {[3] = 2, [4] = 4};
    const uint64_t type = number(b, entry + 2, 2), count = number(b, entry + 4, wide ? 8 : 4);
    if (type >= sizeof bytes_of_type || !bytes_of_type[type] || count != 1) return 0;
    const uint64_t value = number(b, entry + (wide ? 12 : 8), bytes_of_type[type]);
    return value <= 8 ? (int)value : 0;
}

int lf_exif_orientation(const unsigned char *bytes, size_t size) {
    enum { TIFF = 42, BIG_TIFF = 43, ORIENTATION = 274 };
    while (size >= 6 && !memcmp(bytes, "Exif\0", 6)) bytes += 6, size -= 6;
    const block b = {bytes, size, size && bytes[0] == 'M'};
    const bool wide = number(&b, 2, 2) == BIG_TIFF;
    if (size < 8 || (memcmp(bytes, "II", 2) && memcmp(bytes, "MM", 2)) || (!wide && number(&b, 2, 2) != TIFF)) return 0;
    const uint64_t directory = wide ? number(&b, 8, 8) : number(&b, 4, 4);
    if (directory >= size) return 0;
    const uint64_t count = number(&b, directory, wide ? 8 : 2), entry_bytes = wide ? 20 : 12;
    uint64_t entry = directory + (wide ? 8 : 2);
    for (uint64_t i = 0; i < count && entry < size; i++, entry += entry_bytes)
        if (number(&b, entry, 2) == ORIENTATION) return value_of(&b, entry, wide);
    return 0;
}

int lf_xmp_orientation(const unsigned char *bytes, size_t size) {
    static const char name[] = "tiff:Orientation", *const opened[] = {"=\"", ">"};
    const size_t n = sizeof name - 1;
    for (size_t at = 0; at + n + 3 <= size; at++) {
        if (memcmp(bytes + at, name, n)) continue;
        for (size_t i = 0; i < 2; i++) {
            const size_t digit = at + n + strlen(opened[i]);
            if (!memcmp(bytes + at + n, opened[i], strlen(opened[i])) && bytes[digit] >= '0' && bytes[digit] <= '9')
                return bytes[digit] - '0';
        }
    }
    return 0;
}

int lf_image_as_stored(const unsigned char *bytes, size_t size) { return (void)bytes, (void)size, 0; }
