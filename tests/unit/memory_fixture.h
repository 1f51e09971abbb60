/* For tests that must leave no memory behind. */
#ifndef LF_TEST_MEMORY_FIXTURE_H
#define LF_TEST_MEMORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static inline int nothing_leaks(void **state) {
    (void)state;
    lf_alloc_fail_after(-1);
    return lf_alloc_live() == 0 ? 0 : -1;
}
#define LEAKLESS(test) cmocka_unit_test_teardown(test, nothing_leaks)

#endif
