/* How much memory there is: what the system, control groups of either version and ulimit say, the least of them. */
#define _POSIX_C_SOURCE 200809L
#include "folder_fixture.h"

#include <sys/resource.h>

#include "base/machine.h"

#define GB ((int64_t)1 << 30)

static void put_file(const char *name, const char *content) {
    lf_err err = {0};
    char *path = lf_strdup(in_folder(name));
    *strrchr(path, '/') = 0;
    assert_int_equal(lf_mkdir_p(path, &err), LF_OK);
    lf_free(path);
    assert_int_equal(lf_file_write(in_folder(name), content, strlen(content), &err), LF_OK);
}

static int64_t memory(void) { return lf_machine_memory(in_folder("")); }

static void test_of_the_system(void **state) {
    (void)state;
    assert_true(memory() < 0);
    put_file("proc/meminfo", "MemTotal:       65536000 kB\nMemFree:  1 kB\nMemAvailable:   8388608 kB\n");
    assert_true(memory() == 8 * GB);
    assert_true(lf_machine_memory("") > 0); /* here */
}

static void test_of_groups(void **state) {
    (void)state;
    put_file("proc/meminfo", "MemAvailable:   8388608 kB\n");
    put_file("proc/self/cgroup", "0::/user/run\n");
    put_file("sys/fs/cgroup/user/run/memory.max", "max\n");
    put_file("sys/fs/cgroup/user/run/memory.current", "1000\n");
    assert_true(memory() == 8 * GB);
    put_file("sys/fs/cgroup/user/memory.max", "4294967296\n"); /* the one above */
    put_file("sys/fs/cgroup/user/memory.current", "3221225472\n");
    assert_true(memory() == GB);
    put_file("sys/fs/cgroup/user/memory.stat", "anon 5\ninactive_file 1073741824\nactive_file 1073741824\nfile 7\n");
    assert_true(memory() == 3 * GB);
    put_file("sys/fs/cgroup/user/memory.current", "9221225472\n"); /* more than it may */
    assert_true(memory() == 0);
    /* in a container the group's own name may not be there, but the root is it */
    put_file("proc/self/cgroup", "12:cpu:/x\n5:memory:/docker/1\n0::/\n");
    put_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
    put_file("sys/fs/cgroup/memory/memory.usage_in_bytes", "2147483648\n");
    put_file("sys/fs/cgroup/memory/memory.stat", "cache 5\ntotal_inactive_file 1073741824\n");
    assert_true(memory() == GB);
}

static void test_of_ulimit(void **state) {
    (void)state;
    struct rlimit old, small;
    put_file("proc/meminfo", "MemAvailable:   8388608 kB\n");
    put_file("proc/self/status", "Name:\tx\nVmSize:\t 1048576 kB\nVmData:\t 1048576 kB\n");
    assert_int_equal(getrlimit(RLIMIT_DATA, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)(3 * GB);
    if (old.rlim_max != RLIM_INFINITY && small.rlim_cur > old.rlim_max) skip();
    assert_true(memory() == 8 * GB || old.rlim_cur != RLIM_INFINITY);
    assert_int_equal(setrlimit(RLIMIT_DATA, &small), 0);
    const int64_t there = memory();
    assert_int_equal(setrlimit(RLIMIT_DATA, &old), 0);
    assert_true(there == 2 * GB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_of_the_system, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_of_groups, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_of_ulimit, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
