/* Numbers of JSON as they stand in the text. cJSON keeps doubles, in which 9007199254740993 becomes ...992 and 1.0 is
 * 1; so what a double does not say of a number is kept beside it. */
#ifndef LF_BASE_JSON_NUMBER_H
#define LF_BASE_JSON_NUMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/string.h"

/* True, and *out set, if `item` is a number that is an integer of 64 bits (1.0 is; above 2^53 only one that is written
 * as an integer). Use this, never valueint, for list elements. */
bool lf_json_exact_i64(const cJSON *item, int64_t *out);
/* As Python reads it: written with a point or an exponent, or not whole. */
bool lf_json_is_float(const cJSON *item);
/* The text of an integer that a double may not hold, or NULL. Borrowed. */
const char *lf_json_long_integer(const cJSON *item);
/* Puts a number as Python's str() writes it: integers as they stand, 1.0 as 1.0, 1e5 as 100000.0. False: no memory. */
bool lf_json_put_number(lf_string *out, const cJSON *number);
/* Puts a string, number or truth value as text; false if the value is none of those. */
bool lf_json_put_value(lf_string *out, const cJSON *value);
/* From here on whole floats print as they were written: 1.0 as 1.0, which is 1 otherwise. For a file whose readers tell
 * floats from integers; to cJSON they are text. */
void lf_json_keep_floats(cJSON *json);
/* Python's repr() of a float: the fewest digits that read back to f. Returns its bytes. */
size_t lf_float_repr(char out[40], double f);

/* ---- what json.c does while it reads ---- */

enum { LF_JSON_DIGITS = 4300 }; /* of an integer: what Python's int() reads */

typedef struct lf_json_noted {
    size_t at, size; /* in the text */
    size_t number;   /* how many numbers stand before it */
} lf_json_noted;

/* Of one text: the numbers of which a double does not say all. */
typedef struct lf_json_numbers {
    lf_json_noted *at; /* lf_free */
    size_t n, capacity;
    size_t count; /* of all numbers so far */
} lf_json_numbers;

/* Checks the number at text[at] and notes it if need be; *size is its bytes. What is longer than cJSON reads is
 * overwritten in `text`. Returns what is wrong with it, or NULL; *no_memory: it is that. */
const char *lf_json_scan_number(lf_json_numbers *numbers, char *text, size_t at, size_t *size, bool *no_memory);
/* Gives the items of the parsed text their numbers; `text` as it came. False: no memory. */
bool lf_json_keep_numbers(const lf_json_numbers *numbers, const char *text, cJSON *json);

#endif
