/* What training will see of its data, as JSON for people to look at (docs/preview.md): the members "records" and
 * "counts" of lf_source_type's `preview`. */
#ifndef LF_TASK_PREVIEW_H
#define LF_TASK_PREVIEW_H

#include "base/obj.h"
#include "data/image/dataset.h"
#include "data/text/loader.h"
#include "text/tokenizer.h"

/* text_preview.c: of d, read as opts say, the first n rows; `tokenizer` decodes them. */
lf_status lf_preview_text(const lf_text_dataset *d, const lf_text_encoder *encoder, const lf_tokenizer *tokenizer,
                          const lf_text_loader_opts *opts, int64_t n, lf_obj *out, lf_err *err);

/* text_preview.c: of d, whose records are classified: the first n with their label. */
lf_status lf_preview_classified(const lf_text_dataset *d, const lf_text_encoder *encoder, const lf_tokenizer *tokenizer,
                                const lf_text_loader_opts *opts, int64_t n, lf_obj *out, lf_err *err);

/* pictures_preview.c: the first n that `loader` serves, one a batch, drawn into the file `sheet`; n 0: none, the loader
 * may be NULL. */
lf_status lf_preview_pictures(const lf_dataset *d, lf_loader *loader, const lf_image_processor *p, int64_t n,
                              const char *sheet, lf_obj *out, lf_err *err);

#endif
