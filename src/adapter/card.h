/* README.md beside an adapter, the card that a hub shows. Whoever changed it owns it: it ends in a mark with the hash
 * of what stands above, and one whose mark is not that hash, or that has none, is never written over. */
#ifndef LF_ADAPTER_CARD_H
#define LF_ADAPTER_CARD_H

#include "base/error.h"

#define LF_CARD "README.md"

/* Writes `text` and its mark to dir/README.md, unless somebody's own is there, which is said. */
lf_status lf_card_write(const char *dir, const char *text, lf_err *err);
/* Somebody's own card of from_dir goes into to_dir, in the place of what is there. */
lf_status lf_card_keep(const char *from_dir, const char *to_dir, lf_err *err);
/* The card of from_dir, if there is one, for an adapter that was made of that one: without its results, which are those
 * of the other, and with `more` behind it (NULL: nothing). Somebody's own goes as it is. */
lf_status lf_card_copy(const char *from_dir, const char *to_dir, const char *more, lf_err *err);

#endif
