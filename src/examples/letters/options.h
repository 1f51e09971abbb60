/* The command line of lf-letters. */
#ifndef LF_EXAMPLES_LETTERS_OPTIONS_H
#define LF_EXAMPLES_LETTERS_OPTIONS_H

#include "base/error.h"

enum { LF_SPLIT_TRAIN, LF_SPLIT_VAL, LF_SPLIT_TEST, LF_N_SPLITS };
extern const char *const lf_split_names[LF_N_SPLITS]; /* "train", "val", "test" */

typedef struct lf_letters_options {
    const char *out, *letter_case; /* these and the fonts point into argv or to literals */
    const char *fonts[LF_N_SPLITS];
    uint64_t seed, size;
    uint64_t per_class[LF_N_SPLITS];
    bool help;
} lf_letters_options;

/* --name value or --name=value. LF_EUSAGE for an unknown name, a value out of range or one that is missing. */
lf_status lf_letters_options_parse(lf_letters_options *o, int argc, char **argv, lf_err *err);
void lf_letters_options_help(FILE *out);

/* The letters that each font must have, class by class: one alphabet, or two for "both". */
const char *lf_letters_alphabet(const lf_letters_options *o);

#endif
