/* Which format a file of text has. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/slice.h"
#include "data/text/internal.h"
#include "io/unpack.h"
#include "parquet/parquet.h"

#define LF_TEXT_FORMAT(name, extensions, beginning) extern const lf_text_format lf_text_##name;
#include "data/text/formats.def"
#undef LF_TEXT_FORMAT

static const struct {
    const lf_text_format *format;
    const char *extensions, *beginning;
} formats[] = {
#define LF_TEXT_FORMAT(name, extensions, beginning) {&lf_text_##name, extensions, beginning},
#include "data/text/formats.def"
#undef LF_TEXT_FORMAT
};

enum { N_FORMATS = sizeof formats / sizeof *formats };

const lf_text_format *lf_text_format_named(const char *name) {
    for (int i = 0; i < N_FORMATS; i++)
        if (!strcmp(name, formats[i].format->name)) return formats[i].format;
    return NULL;
}

/* The extension in small letters, that of a packing left out; false: there is none of a usual length. */
static bool extension_of(char out[16], const char *path) {
    const char *base = lf_path_base(path), *dot = NULL;
    const size_t n = lf_packing_stem(base);
    for (size_t i = 0; i < n; i++)
        if (base[i] == '.') dot = base + i;
    const size_t size = dot ? n - (size_t)(dot + 1 - base) : 0;
    if (size == 0 || size >= 16) return false;
    for (size_t i = 0; i < size; i++) out[i] = (char)tolower((unsigned char)dot[1 + i]);
    out[size] = 0;
    return true;
}

const lf_text_format *lf_text_format_by_name_of(const char *path) {
    char extension[16];
    if (!extension_of(extension, path)) return NULL;
    for (int i = 0; i < N_FORMATS; i++)
        if (lf_has_item(formats[i].extensions, extension)) return formats[i].format;
    return NULL;
}

const char *lf_text_dataset_format_of(const char *name, const char *begins, size_t n) {
    const lf_text_format *f = lf_text_format_by_name_of(name);
    if (!f) f = lf_text_format_by_beginning(begins, n, 1);
    return f ? f->name : NULL;
}

const lf_text_format *lf_text_format_by_beginning(const char *text, size_t n, size_t least) {
    while (n > 0 && memchr(" \t\r\n", *text, 4)) text++, n--;
    for (int i = 0; i < N_FORMATS; i++) {
        const char *wanted = formats[i].beginning;
        const size_t size = wanted ? strlen(wanted) : 0;
        if (size && size >= least && size <= n && !memcmp(text, wanted, size)) return formats[i].format;
    }
    return NULL;
}

const char *lf_text_format_names(char *buf, size_t size) {
    *buf = 0;
    for (int i = 0; i < N_FORMATS; i++) lf_list_append(buf, size, formats[i].format->name);
    return buf;
}

/* ---- files of plain text ---- */

/* READMEs and the like describe a folder; they are no part of what is in it. */
bool lf_text_is_about_folder(const char *name) { return strncasecmp(name, "readme.", strlen("readme.")) == 0; }

bool lf_text_is_plain_name(const char *name) {
    static const char *const extensions[] = {".txt", ".text", ".md"};
    const size_t n = lf_packing_stem(name);
    bool known = false;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        const size_t e = strlen(extensions[i]);
        known = known || (n > e && strncasecmp(name + n - e, extensions[i], e) == 0);
    }
    return known && !lf_text_is_about_folder(name);
}
