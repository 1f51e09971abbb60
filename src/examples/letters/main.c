/* lf-letters: the target task of the example, made on any machine that has fonts. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "examples/letters/options.h"
#include "examples/letters/render.h"

/* The record of a run; a folder that starts its record with this line is ours to replace. */
#define RECORD      "letters.txt"
#define RECORD_HEAD "lf-letters\n"

typedef struct job {
    lf_letters_options o;
    lf_fontset fonts[LF_N_SPLITS];
    char *partial; /* the output folder until it is whole */
} job;

static lf_status load_fonts(job *j, lf_err *err) {
    lf_status rc = LF_OK;
    for (int s = 0; s < LF_N_SPLITS && !rc; s++) {
        if (!j->o.per_class[s]) continue;
        rc = lf_fontset_load(&j->fonts[s], lf_split_names[s], j->o.fonts[s], lf_letters_alphabet(&j->o), err);
        for (int t = 0; t < s && !rc; t++)
            rc = lf_fontset_check_disjoint(&j->fonts[t], lf_split_names[t], &j->fonts[s], lf_split_names[s], err);
    }
    return rc;
}

/* A folder may be replaced if it is not there, empty, or made by us: --out ~ must not empty a home. */
static lf_status check_replaceable(const char *folder, lf_err *err) {
    if (!lf_is_dir(folder))
        return lf_is_file(folder) ? lf_fail(err, LF_EUSAGE, "--out: %s is a file, expected a folder", folder) : LF_OK;
    char **names = NULL, *record = NULL, *text = NULL;
    size_t n = 0, size = 0;
    lf_status rc = lf_list_dir(&names, &n, folder, err);
    if (rc || n == 0) goto done;
    record = lf_path_join(folder, RECORD);
    if (!record)
        rc = lf_no_memory(err, "%s", folder);
    else if (lf_is_file(record))
        rc = lf_file_read(&text, &size, record, err);
    if (!rc && (!text || strncmp(text, RECORD_HEAD, strlen(RECORD_HEAD)) != 0))
        rc = lf_fail(err, LF_EUSAGE, "--out: %s was not made by lf-letters; name another folder or remove it", folder);
done:
    lf_free(text);
    lf_free(record);
    lf_free(names);
    return rc;
}

static lf_status close_file(FILE *f, bool good, const char *path, lf_err *err) {
    good = good && !ferror(f);
    if (fclose(f) != 0 || !good) return lf_fail_errno(err, "write", path);
    return LF_OK;
}

/* File names only: the same fonts in other folders make the same record. */
static lf_status write_record(const job *j, lf_err *err) {
    char *path = lf_path_join(j->partial, RECORD);
    if (!path) return lf_no_memory(err, "%s", j->partial);
    FILE *f = fopen(path, "wb");
    lf_status rc = f ? LF_OK : lf_fail_errno(err, "create", path);
    if (f) {
        fprintf(f, RECORD_HEAD "seed %" PRIu64 "\nsize %" PRIu64 "\ncase %s\n", j->o.seed, j->o.size, j->o.letter_case);
        for (int s = 0; s < LF_N_SPLITS; s++) {
            fprintf(f, "%s-per-class %" PRIu64 "\n", lf_split_names[s], j->o.per_class[s]);
            for (int i = 0; i < j->fonts[s].n; i++)
                fprintf(f, "%s-font %s\n", lf_split_names[s], lf_path_base(lf_font_path(j->fonts[s].fonts[i])));
        }
        rc = close_file(f, true, path, err);
    }
    lf_free(path);
    return rc;
}

static void write_bytes(void *file, void *data, int size) { fwrite(data, 1, (size_t)size, file); }

static lf_status write_png(const char *path, const uint8_t *pixels, int size, lf_err *err) {
    FILE *f = fopen(path, "wb");
    if (!f) return lf_fail_errno(err, "create", path);
    const int good = stbi_write_png_to_func(write_bytes, f, size, size, 1, pixels, size);
    return close_file(f, good != 0, path, err);
}

static lf_status write_class(const job *j, lf_renderer *r, int split, int letter, lf_err *err) {
    char *folder = lf_format("%s/%s/%c", j->partial, lf_split_names[split], 'A' + letter);
    if (!folder) return lf_no_memory(err, "%s", j->partial);
    lf_status rc = lf_mkdir_p(folder, err);
    for (uint32_t i = 0; i < j->o.per_class[split] && !rc; i++) {
        char *path = lf_format("%s/%04" PRIu32 ".png", folder, i);
        const uint8_t *pixels = lf_render(r, &j->fonts[split], (uint32_t)split, (uint32_t)letter, i);
        if (!path || !pixels)
            rc = lf_no_memory(err, "%s", folder);
        else
            rc = write_png(path, pixels, (int)j->o.size, err);
        lf_free(path);
    }
    lf_free(folder);
    return rc;
}

static lf_status write_splits(const job *j, lf_err *err) {
    const int n_cases = (int)strlen(lf_letters_alphabet(&j->o)) / LF_LETTERS_CLASSES;
    lf_renderer *r = lf_renderer_new((int)j->o.size, n_cases, j->o.seed);
    if (!r) return lf_no_memory(err, "%s", j->partial);
    lf_status rc = LF_OK;
    for (int s = 0; s < LF_N_SPLITS && !rc; s++)
        for (int letter = 0; letter < LF_LETTERS_CLASSES && j->o.per_class[s] && !rc; letter++)
            rc = write_class(j, r, s, letter, err);
    lf_renderer_free(r);
    return rc;
}

/* Beside the output folder: DIR.tmp, its record written first so that a run that was killed leaves a folder the next
 * one knows as its own. */
static lf_status write_all(job *j, lf_err *err) {
    j->partial = lf_format("%s.tmp", j->o.out);
    if (!j->partial) return lf_no_memory(err, "%s", j->o.out);
    lf_status rc = check_replaceable(j->o.out, err);
    if (!rc) rc = check_replaceable(j->partial, err);
    if (!rc) rc = lf_remove_tree(j->partial, err);
    if (rc) return rc;
    rc = lf_mkdir_p(j->partial, err);
    if (!rc) rc = write_record(j, err);
    if (!rc) rc = write_splits(j, err);
    if (!rc) rc = lf_replace_dir(j->partial, j->o.out, err);
    if (rc) lf_remove_tree(j->partial, NULL); /* the first failure is the one to tell */
    return rc;
}

static void report(const job *j) {
    for (int s = 0; s < LF_N_SPLITS; s++)
        if (j->o.per_class[s])
            printf("%s/%s: %" PRIu64 " pictures, %d letters from %d fonts\n", j->o.out, lf_split_names[s],
                   LF_LETTERS_CLASSES * j->o.per_class[s], LF_LETTERS_CLASSES, j->fonts[s].n);
}

/* "DIR/" names DIR, and its temporary folder must stand beside it, not inside. */
static void cut_slashes(char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') path[--n] = '\0';
}

int main(int argc, char **argv) {
    job j = {0};
    lf_err err = {0};
    char *out = NULL;
    lf_status rc = lf_letters_options_parse(&j.o, argc, argv, &err);
    if (!rc && j.o.help) {
        lf_letters_options_help(stdout);
        return 0;
    }
    if (!rc) {
        j.o.out = out = lf_strdup(j.o.out);
        if (!out) rc = lf_no_memory(&err, "--out");
    }
    if (!rc) cut_slashes(out);
    if (!rc) rc = load_fonts(&j, &err);
    if (!rc) rc = write_all(&j, &err);
    if (rc)
        fprintf(stderr, "lf-letters: %s\n", err.message);
    else
        report(&j);
    for (int s = 0; s < LF_N_SPLITS; s++) lf_fontset_free(&j.fonts[s]);
    lf_free(j.partial);
    lf_free(out);
    return lf_status_exit_code(rc);
}
