#define _POSIX_C_SOURCE 200809L
#include "examples/letters/fontset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

typedef struct loader {
    lf_fontset *set;
    const char *split, *letters;
    lf_err *err;
} loader;

static bool has_suffix(const char *name, const char *suffix) {
    const size_t n = strlen(name), k = strlen(suffix);
    return n > k && strcasecmp(name + n - k, suffix) == 0;
}

static lf_status add_font(const loader *l, const char *path) {
    lf_fontset *set = l->set;
    if (!lf_grow(&set->fonts, &set->capacity, set->n + 1)) return lf_no_memory(l->err, "%s", path);
    char unfit[128];
    lf_font *font;
    const lf_status rc = lf_font_open(&font, path, l->letters, unfit, l->err);
    if (rc) return rc;
    if (font)
        set->fonts[set->n++] = font;
    else
        lf_warn("%s: left out of %s: %s", path, l->split, unfit);
    return LF_OK;
}

static lf_status add_folder(const loader *l, const char *folder) {
    char **names;
    size_t n;
    lf_status rc = lf_list_dir(&names, &n, folder, l->err);
    if (rc) return rc;
    for (size_t i = 0; i < n && !rc; i++) {
        char *path = lf_path_join(folder, names[i]);
        if (!path)
            rc = lf_no_memory(l->err, "%s", folder);
        else if (lf_is_dir(path))
            rc = add_folder(l, path);
        else if (has_suffix(path, ".ttf"))
            rc = add_font(l, path);
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

static char *trim(char *s) {
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1])) s[--n] = '\0';
    return s;
}

static lf_status add_list_file(const loader *l, const char *path) {
    char *text;
    size_t size;
    lf_status rc = lf_file_read(&text, &size, path, l->err);
    if (rc) return rc;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line && !rc; line = strtok_r(NULL, "\n", &rest)) {
        line[strcspn(line, "#")] = '\0';
        line = trim(line);
        if (*line) rc = lf_is_dir(line) ? add_folder(l, line) : add_font(l, line);
    }
    lf_free(text);
    return rc;
}

static lf_status add_item(const loader *l, const char *item) {
    if (lf_is_dir(item)) return add_folder(l, item);
    if (has_suffix(item, ".txt")) return add_list_file(l, item);
    return add_font(l, item);
}

static int by_file_name(const void *a, const void *b) {
    const char *x = lf_font_path(*(lf_font *const *)a), *y = lf_font_path(*(lf_font *const *)b);
    const int names = strcmp(lf_path_base(x), lf_path_base(y));
    return names ? names : strcmp(x, y);
}

lf_status lf_fontset_load(lf_fontset *set, const char *split, const char *list, const char *letters, lf_err *err) {
    const loader l = {set, split, letters, err};
    char *items = lf_strdup(list), *rest = NULL;
    if (!items) return lf_no_memory(err, "--%s-fonts", split);
    lf_status rc = LF_OK;
    for (char *item = strtok_r(items, ",", &rest); item && !rc; item = strtok_r(NULL, ",", &rest))
        rc = add_item(&l, item);
    lf_free(items);
    if (!rc && set->n == 0)
        rc = lf_fail(err, LF_EDATA, "--%s-fonts %s: expected at least one TrueType font with all letters, found none",
                     split, list);
    if (!rc) qsort(set->fonts, (size_t)set->n, sizeof *set->fonts, by_file_name);
    return rc;
}

void lf_fontset_free(lf_fontset *set) {
    for (int i = 0; i < set->n; i++) lf_font_free(set->fonts[i]);
    lf_free(set->fonts);
    *set = (lf_fontset){0};
}

lf_status lf_fontset_check_disjoint(const lf_fontset *a, const char *split_a, const lf_fontset *b, const char *split_b,
                                    lf_err *err) {
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            if (lf_font_same_bytes(a->fonts[i], b->fonts[j]))
                return lf_fail(err, LF_EUSAGE, "%s (%s) is the same font as %s (%s); give each split fonts of its own",
                               lf_font_path(b->fonts[j]), split_b, lf_font_path(a->fonts[i]), split_a);
    return LF_OK;
}
