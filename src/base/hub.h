/* What was named instead of a folder: perhaps what a hub calls a model or a data set, which nothing here fetches. */
#ifndef LF_BASE_HUB_H
#define LF_BASE_HUB_H

#include <stdbool.h>

typedef enum lf_hub_kind { LF_HUB_MODEL, LF_HUB_DATASET } lf_hub_kind;

/* Could it be a name there: "gpt2", "Qwen/Qwen2-0.5B"? */
bool lf_hub_is_name(const char *s);

enum { LF_HUB_HINT = 1200 };

/* "; ... hf download NAME --local-dir DIR, then OPTION DIR" behind a message that there is no such path; for an address
 * (https://, hf://, s3://) that it is to be fetched first. "" if it looks like neither. */
const char *lf_hub_hint(char buf[LF_HUB_HINT], const char *path, lf_hub_kind kind, const char *option);

#endif
