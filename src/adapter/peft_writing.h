/* An adapter that is being written in PEFT's form. Inside of the folder, by peft_write*.c. */
#ifndef LF_ADAPTER_PEFT_WRITING_H
#define LF_ADAPTER_PEFT_WRITING_H

#include "adapter/adapter_internal.h"

typedef struct lf_peft_writing {
    const lf_adapter *a; /* NULL: a head alone */
    const lf_nn *nn;
    const lf_adapter_facts *facts;
    const char *dir; /* aside, as yet */
} lf_peft_writing;

/* A module's and a parameter's name, and an adapter's rank, as they are written: a residual start takes twice the rank.
 */
const char *lf_peft_written_name(const lf_peft_writing *w, const lf_module *m);
const char *lf_peft_written_param(const lf_peft_writing *w, const lf_param *p);
int64_t lf_peft_written_rank(const lf_peft_writing *w, int64_t r);
/* What stands behind the last dot of a name. */
const char *lf_peft_leaf(const char *name);
/* A layer before the head that was trained with it. */
bool lf_peft_is_saved_inner(const lf_peft_writing *w, const lf_module *m);
/* adapter_config.json. Only keys that PEFT has known since 2024, so that older readers take the file too. */
lf_status lf_peft_write_config(const lf_peft_writing *w, lf_err *err);

#endif
