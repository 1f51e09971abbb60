/* The fonts of one split. */
#ifndef LF_EXAMPLES_LETTERS_FONTSET_H
#define LF_EXAMPLES_LETTERS_FONTSET_H

#include "examples/letters/font.h"

typedef struct lf_fontset {
    lf_font **fonts; /* sorted by file name, so that the folder they lie in does not change the pictures */
    int n;
    int64_t capacity;
} lf_fontset;

/* Loads what `list` names: fonts, folders (their .ttf files, subfolders too) and .txt files (a path a line, # starts a
 * comment), separated by commas. Fonts that cannot serve are reported and left out; none left is LF_EDATA. `split` is
 * for messages. Free the set also after a failure. */
lf_status lf_fontset_load(lf_fontset *set, const char *split, const char *list, const char *letters, lf_err *err);
void lf_fontset_free(lf_fontset *set);

/* LF_EUSAGE if a font stands in both. */
lf_status lf_fontset_check_disjoint(const lf_fontset *a, const char *split_a, const lf_fontset *b, const char *split_b,
                                    lf_err *err);

#endif
