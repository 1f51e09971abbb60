/* Documents that are given in memory, to a task on text that is open. */
#include "task/language.h"

lf_status lf_language_give(lf_task *t, lf_data_role role, const cJSON *records, lf_err *err) {
    lf_language *l = lf_language_of(t);
    const lf_status rc = records ? lf_language_open_text(t, err) : LF_OK;
    if (rc) return rc;
    lf_text_loader_free(l->loaders[role]);
    lf_text_dataset_free(l->data[role]);
    l->loaders[role] = NULL;
    l->data[role] = NULL;
    if (!records) return LF_OK;
    const lf_text_dataset_opts o = {.records = records, .key = LF_GIVEN_TEXTS, .chat = &l->text->chat};
    return lf_text_dataset_open(&l->data[role], &o, err);
}
