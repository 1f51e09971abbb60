/* What a text is that is not what its name says, told by its first bytes: a failed download, a pointer of git, another
 * encoding. Readers of JSON ask before they complain of a bracket. (Files of data that are no text: io/kinds.def.) */
#ifndef LF_BASE_MISTAKEN_H
#define LF_BASE_MISTAKEN_H

#include <stddef.h>

/* "a web page, not the file: ..., what to do"; NULL if it is nothing of the kind. For messages; static. */
const char *lf_mistaken_text(const char *s, size_t n);
/* "UTF-16 text without a mark (little endian); ..."; NULL: these are not its first bytes. */
const char *lf_wide_text(const char *s, size_t n);

#endif
