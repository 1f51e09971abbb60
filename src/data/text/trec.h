/* Lines "CLASS:subclass text"; also where the name of the file says plain text. */
#ifndef LF_DATA_TEXT_TREC_H
#define LF_DATA_TEXT_TREC_H

#include "data/text/internal.h"

extern const lf_text_format lf_text_trec;

/* Is each line that is not blank of that form, and is there one? */
bool lf_text_trec_fits(const lf_text_map *m);

#endif
