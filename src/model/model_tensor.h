/* Parameters and the tensors that files have for them. What a file has the other way round ([in,out]) is turned here and nowhere
 * else. Inside of the folder. */
#ifndef LF_MODEL_TENSOR_H
#define LF_MODEL_TENSOR_H

#include "io/safetensors.h"
#include "nn/nn.h"

/* Shape and type are those of p. `config_path` is named in the error. */
lf_status lf_param_check(const lf_param *p, const lf_st_tensor *t, const char *config_path, lf_err *err);
void lf_param_read(const lf_param *p, const lf_st_tensor *t, float *out); /* numel floats, as p has them */
lf_status lf_param_declare(lf_st_writer *w, const lf_param *p, lf_dtype dtype, lf_err *err);
lf_status lf_param_write(lf_st_writer *w, const lf_param *p, const float *values, lf_err *err);

#endif
