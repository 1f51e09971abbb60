/* JSON objects and lists to be written: put in one thing after the other, ask once at the end whether there was memory.
 *
 *     lf_obj o = lf_obj_new();
 *     lf_obj_string(&o, "name", m->name);
 *     lf_obj_put(&o, "modules", modules_json(m));
 *     return lf_obj_take(&o);
 */
#ifndef LF_BASE_OBJ_H
#define LF_BASE_OBJ_H

#include "base/json.h"

typedef struct lf_obj {
    cJSON *json; /* an object or a list */
    bool failed; /* there was no memory: sticky, nothing is put any more */
} lf_obj;

lf_obj lf_obj_new(void);
lf_obj lf_list_new(void);
lf_obj lf_obj_of(cJSON *json); /* to go on with; takes it over; NULL: it could not be made */

/* Takes item over, in whatever state o is; NULL: it could not be made, and so cannot o. */
void lf_obj_put(lf_obj *o, const char *key, cJSON *item);
void lf_obj_copy(lf_obj *o, const char *key, const cJSON *value); /* NULL: null, as below */
void lf_obj_number(lf_obj *o, const char *key, double value);     /* null unless finite */
/* Bytes that are no UTF-8 (of a file's name, say) come out as U+FFFD: what is written is JSON. */
void lf_obj_string(lf_obj *o, const char *key, const char *value);
void lf_obj_text(lf_obj *o, const char *key, const char *s, size_t n); /* may hold NUL bytes: for printing alone */
void lf_obj_bool(lf_obj *o, const char *key, bool value);
void lf_obj_drop(lf_obj *o, const char *key); /* if it is there: to put another */
void lf_list_put(lf_obj *list, cJSON *item);  /* as lf_obj_put */
void lf_list_string(lf_obj *list, const char *value);

/* The object, for cJSON_Delete; NULL if it has failed, which lf_json_write and lf_json_write_line understand. o is
 * empty after. */
cJSON *lf_obj_take(lf_obj *o);
lf_status lf_obj_write_in(lf_obj *o, const char *dir, const char *name, bool sort_keys, lf_err *err); /* takes o */

#endif
