#include "examples/letters/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

const char *const lf_split_names[LF_N_SPLITS] = {"train", "val", "test"};

static const struct {
    const char *name, *letters;
} cases[] = {{"upper", UPPER}, {"lower", LOWER}, {"both", UPPER LOWER}};
enum { N_CASES = sizeof cases / sizeof *cases };

/* A text option has max 0; the others are integers in [min, max]. */
typedef struct option {
    const char *name;
    size_t offset;
    const char *fallback;
    uint64_t min, max;
    const char *help;
} option;

#define AT(field) offsetof(lf_letters_options, field)
static const option table[] = {
    {"out", AT(out), NULL, 0, 0, "folder to make; one that an earlier run made is replaced, any other is left alone"},
    {"seed", AT(seed), "1", 0, UINT64_MAX, "the same seed and fonts give the same bytes"},
    {"size", AT(size), "28", 8, 512, "pixels a side"},
    {"case", AT(letter_case), "upper", 0, 0,
     "upper, lower or both; with both, I and l look alike in many fonts, and l is of class L"},
    {"train-per-class", AT(per_class[LF_SPLIT_TRAIN]), "200", 0, 9999,
     "pictures of each letter; 0 leaves the split out"},
    {"val-per-class", AT(per_class[LF_SPLIT_VAL]), "50", 0, 9999, "likewise"},
    {"test-per-class", AT(per_class[LF_SPLIT_TEST]), "100", 0, 9999, "likewise"},
    {"train-fonts", AT(fonts[LF_SPLIT_TRAIN]), NULL, 0, 0,
     "fonts, folders of fonts, .txt lists of fonts; comma separated"},
    {"val-fonts", AT(fonts[LF_SPLIT_VAL]), NULL, 0, 0, "likewise; no font may serve two splits"},
    {"test-fonts", AT(fonts[LF_SPLIT_TEST]), NULL, 0, 0, "likewise"},
};
enum { N_OPTIONS = sizeof table / sizeof *table };

static lf_status set(lf_letters_options *o, const option *k, const char *text, lf_err *err) {
    void *const field = (char *)o + k->offset;
    if (k->max == 0) {
        memcpy(field, &text, sizeof text);
        return LF_OK;
    }
    char *end;
    errno = 0;
    const uint64_t value = strtoull(text, &end, 10);
    /* strtoull takes signs and blanks; a number here starts with a digit */
    if (*text < '0' || *text > '9' || *end || errno || value < k->min || value > k->max)
        return lf_fail(err, LF_EUSAGE, "--%s: expected an integer in [%" PRIu64 ", %" PRIu64 "], got '%s'", k->name,
                       k->min, k->max, text);
    memcpy(field, &value, sizeof value);
    return LF_OK;
}

/* The option that `arg` ("--name" or "--name=value") names; *value is what follows '=', or NULL. */
static const option *find(const char *arg, const char **value) {
    if (strncmp(arg, "--", 2) != 0) return NULL;
    arg += 2;
    const size_t n = strcspn(arg, "=");
    *value = arg[n] ? arg + n + 1 : NULL;
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(table[i].name) == n && strncmp(table[i].name, arg, n) == 0) return &table[i];
    return NULL;
}

static lf_status check(const lf_letters_options *o, lf_err *err) {
    if (!o->out || !*o->out) return lf_fail(err, LF_EUSAGE, "--out is missing: name the folder to make");
    if (!lf_letters_alphabet(o))
        return lf_fail(err, LF_EUSAGE, "--case: expected upper, lower or both, got '%s'", o->letter_case);
    uint64_t pictures = 0;
    for (int s = 0; s < LF_N_SPLITS; s++) {
        pictures += o->per_class[s];
        if (o->per_class[s] && !o->fonts[s])
            return lf_fail(err, LF_EUSAGE, "--%s-fonts is missing: name fonts, or give --%s-per-class 0",
                           lf_split_names[s], lf_split_names[s]);
    }
    return pictures ? LF_OK
                    : lf_fail(err, LF_EUSAGE, "--train-per-class, --val-per-class and --test-per-class are all 0");
}

lf_status lf_letters_options_parse(lf_letters_options *o, int argc, char **argv, lf_err *err) {
    *o = (lf_letters_options){0};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < N_OPTIONS && !rc; i++)
        if (table[i].fallback) rc = set(o, &table[i], table[i].fallback, err);
    for (int i = 1; i < argc && !rc; i++) {
        const char *value;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            o->help = true;
            return LF_OK;
        }
        const option *k = find(argv[i], &value);
        if (!k) return lf_fail(err, LF_EUSAGE, "unknown option '%s'; lf-letters --help lists them", argv[i]);
        if (!value && i + 1 == argc) return lf_fail(err, LF_EUSAGE, "%s: its value is missing", argv[i]);
        rc = set(o, k, value ? value : argv[++i], err);
    }
    return rc ? rc : check(o, err);
}

const char *lf_letters_alphabet(const lf_letters_options *o) {
    for (size_t i = 0; i < N_CASES; i++)
        if (strcmp(cases[i].name, o->letter_case) == 0) return cases[i].letters;
    return NULL;
}

void lf_letters_options_help(FILE *out) {
    fputs("usage: lf-letters --out DIR --train-fonts F,... --val-fonts F,... --test-fonts F,... [options]\n"
          "Renders the 26 letters from TrueType fonts, turned, sheared, moved and with noise, to\n"
          "DIR/{train,val,test}/{A..Z}/NNNN.png: grey, bright on black. DIR/letters.txt records how.\n\n",
          out);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const option *k = &table[i];
        fprintf(out, "  --%-16s %s", k->name, k->help);
        if (k->max && k->max < UINT64_MAX) fprintf(out, " [%" PRIu64 "-%" PRIu64 "]", k->min, k->max);
        if (k->fallback) fprintf(out, " (default %s)", k->fallback);
        fputc('\n', out);
    }
}
