// SPDX-License-Identifier: Apache-2.0
#include "jobs/job.h"

#include "core/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_states_have_names(void **state)
{
    (void)state;
    enum job_state parsed;
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        assert_true(job_state_parse(job_state_name((enum job_state)i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_string_equal(job_state_name(JOB_POLLING), "polling");
    parsed = JOB_FAILED;
    assert_false(job_state_parse("Queued", &parsed));
    assert_false(job_state_parse("", &parsed));
    assert_int_equal(parsed, JOB_FAILED);
}

static void test_final_states(void **state)
{
    (void)state;
    assert_false(job_state_is_final(JOB_QUEUED) || job_state_is_final(JOB_RUNNING) ||
                 job_state_is_final(JOB_POLLING));
    assert_true(job_state_is_final(JOB_SUCCEEDED) && job_state_is_final(JOB_FAILED) &&
                job_state_is_final(JOB_CANCELLED));
}

static void test_frees(void **state)
{
    (void)state;
    struct job *job = NULL;
    job_free(&job);
    job = mem_zalloc(sizeof(*job)); // half-built
    job->id = mem_strdup("j");
    job_free(&job);
    assert_null(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_have_names),
        cmocka_unit_test(test_final_states),
        cmocka_unit_test(test_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
