// SPDX-License-Identifier: Apache-2.0
// Descriptors: what a configuration needs, and what the process is given.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void what_is_needed(void **state)
{
    (void)state;
    struct config_api apis[] = {{.max_connections = 8}, {.max_connections = 100}};
    struct config config = {.n_streams = 1, .postgres = {.connections = 2}};
    size_t bare = limits_descriptors(&config);
    config.n_streams = 101;
    assert_true(limits_descriptors(&config) >= bare + 100);
    size_t many = limits_descriptors(&config);
    config.jobs = (struct config_jobs){.concurrency = 8, .apis = apis, .n_apis = 2};
    assert_int_equal(limits_descriptors(&config), many); // "jobs" is not there
    config.jobs.enabled = true;
    assert_true(limits_descriptors(&config) >= many + 108 + 8);
}

static void what_the_process_is_given(void **state)
{
    (void)state;
    struct config config = {.n_streams = 1};
    struct config_faults faults = {0};
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    limits_apply(&config); // raised, but not without an end
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max < 4096 ? limit.rlim_max : 4096);
    limits_check(&config, &faults);
    assert_int_equal(faults.count, 0);
    limit.rlim_cur = limit.rlim_max = 90; // for good: the last test
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    limits_apply(&config);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 90);
    limits_check(&config, &faults);
    assert_int_equal(faults.count, 1);
    assert_non_null(strstr(faults.items[0].message, "LimitNOFILE="));
    config_faults_free(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(what_the_process_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
