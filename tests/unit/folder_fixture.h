/* A temporary folder for each test, which must leave neither it nor memory behind. */
#ifndef LF_TEST_FOLDER_FIXTURE_H
#define LF_TEST_FOLDER_FIXTURE_H

#include "memory_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static char folder[64];

/* One of a few buffers, so that two paths fit into one call. */
static inline const char *in_folder(const char *name) {
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void put_text(const char *name, const char *text) {
    assert_int_equal(lf_file_write(in_folder(name), text, strlen(text), NULL), LF_OK);
}

static inline int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/lora-ft-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state) {
    lf_alloc_fail_after(-1);
    return lf_remove_tree(folder, NULL) == LF_OK ? nothing_leaks(state) : -1;
}
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
