/* What options of other tools are here (known.def). Within src/config. */
#ifndef LF_CONFIG_KNOWN_H
#define LF_CONFIG_KNOWN_H

#include "config/config_internal.h"

typedef enum lf_known_meaning { LF_READ_AS, LF_NO_EFFECT, LF_NOT_HERE } lf_known_meaning;

typedef struct lf_known {
    const char *name;
    bool flag;         /* may stand without a value, and then is true */
    const char *value; /* NULL: any */
    lf_known_meaning meaning;
    const char *text;
} lf_known;

extern const lf_known lf_knowns[];
extern const size_t lf_n_knowns;

/* The first line of this name (dashes are underscores); with a value the first that is for it. NULL: there is none. */
const lf_known *lf_known_find(const char *name, const char *value);

/* Is there a line of this name that is read as the key? */
bool lf_known_is(const char *name, const lf_key *key);

/* Is there a line of this name for this very value? */
bool lf_known_has_value(const char *name, const char *value);

/* Does with NAME = VALUE what its line says: sets the key that it is read as, says that it has no effect, or fails with
 * LF_EUSAGE. `json`: the value as it stands in a file; NULL: `value`, as on the command line. LF_EUSAGE as for an
 * unknown key where there is no line, or its key is not one of the verb. */
lf_status lf_known_set(lf_config *cfg, const char *name, const char *value, const cJSON *json, const char *source,
                       lf_err *err);

#endif
