/* A TrueType font file and the outlines of the letters wanted from it.
 *
 * stb_truetype trusts its input, so the file is checked first: every table of the directory lies in the file, the
 * tables that are read have the checksum the directory says, the character map and the glyph index lie in their tables.
 * That finds files that are cut off or damaged. It does not make stb_truetype safe against a file written to attack it
 * (one with right checksums around wrong contents): use fonts from a source you trust. */
#ifndef LF_EXAMPLES_LETTERS_FONT_H
#define LF_EXAMPLES_LETTERS_FONT_H

#include "base/error.h"
#include "examples/letters/stb.h"

typedef struct lf_outline {
    stbtt_vertex *vertices; /* in font units, y upwards */
    int n;
} lf_outline;

typedef struct lf_font lf_font;

/* Loads the outline of each character of `letters` (ASCII). A sound file that cannot serve gives LF_OK, *out = NULL and
 * the reason in `unfit`: CFF outlines, a collection, a symbol font, a letter without glyph. LF_EDATA: a damaged file.
 */
lf_status lf_font_open(lf_font **out, const char *path, const char *letters, char unfit[128], lf_err *err);
void lf_font_free(lf_font *font);

const char *lf_font_path(const lf_font *font);
const lf_outline *lf_font_outline(const lf_font *font, int letter); /* the letter-th of `letters` */
bool lf_font_same_bytes(const lf_font *a, const lf_font *b);

#endif
