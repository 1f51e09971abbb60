/* The table of what options of other tools are here (known.def). */
#include "config/known.h"

const lf_known lf_knowns[] = {
#define FLAG                                       true
#define VALUE                                      false
#define READ_AS                                    LF_READ_AS
#define NO_EFFECT                                  LF_NO_EFFECT
#define NOT_HERE                                   LF_NOT_HERE
#define LF_KNOWN(name, form, value, meaning, text) {#name, form, value, meaning, text},
#include "config/known.def"
#undef LF_KNOWN
};
const size_t lf_n_knowns = sizeof lf_knowns / sizeof *lf_knowns;
