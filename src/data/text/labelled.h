/* Records that are classified: which of their fields are texts and which is the label, and the labels of all records,
 * read once when the data set is opened. */
#ifndef LF_DATA_TEXT_LABELLED_H
#define LF_DATA_TEXT_LABELLED_H

#include "data/text/internal.h"

/* labelled.c: sets s->fields and s->layout by the first record. *found false, where the label is asked for only if it
 * is there: the record has none, or no text, and s is as it was. */
lf_status lf_text_labelled_choose(lf_text_store *s, const cJSON *record, bool *found, lf_err *err);
bool lf_text_labelled_reads(const lf_text_store *s, const char *field);
const cJSON *lf_text_label_of(const lf_text_store *s, const cJSON *record); /* NULL: none */

/* labels.c. Of all records of s, in their order; *out: lf_labels_free. LF_EDATA: some have none, or none that the
 * problem can have. */
lf_status lf_text_labels_read(lf_labels **out, const lf_text_shards *s, const lf_text_labelling *how, lf_err *err);

#endif
