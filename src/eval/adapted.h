/* A model and an adapter opened together: what every verb that takes an adapter, and the end of a run, compute with. */
#ifndef LF_EVAL_ADAPTED_H
#define LF_EVAL_ADAPTED_H

#include "adapter/adapter.h"
#include "model/model.h"

typedef struct lf_adapted {
    lf_model *model;
    lf_adapter_file *file; /* NULL: no adapter */
    lf_adapter *adapter;
} lf_adapted;

/* The model in folder `model`, with the adapter in folder `adapter` (NULL: none) put on. A head that the adapter holds
 * takes the place of the model's own, under the names in its lora_ft.json, else LABEL_i. Whether the model can have
 * that head is asked before one is made: LF_EUNSUPPORTED or LF_ESHAPE (see lf_adapter_check_head). On failure, too, the
 * caller closes. */
lf_status lf_adapted_open(lf_adapted *out, const char *model, const char *adapter, const lf_model_opts *o, lf_err *err);
/* The head alone of an adapter's file, where it holds one, as a new trained head of m; refused as above. */
lf_status lf_adapted_head(lf_model *m, const lf_adapter_file *f, lf_err *err);
void lf_adapted_close(lf_adapted *a);

#endif
