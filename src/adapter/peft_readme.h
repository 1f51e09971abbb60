/* The text beside an adapter that tells how PEFT loads it. */
#ifndef LF_ADAPTER_PEFT_README_H
#define LF_ADAPTER_PEFT_README_H

#include "adapter/adapter.h"

/* nn: the model's modules, of which a's are some. NULL when out of memory; freed by lf_free. */
char *lf_peft_readme(const lf_adapter *a, const lf_nn *nn, const lf_adapter_facts *facts);

#endif
