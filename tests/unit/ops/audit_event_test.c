// SPDX-License-Identifier: Apache-2.0
// The table of audit events: config/audit.md is as printed from it (run with CXSINK_REGENERATE=1 to
// write it), and some of them are messages of the catalog. Runs at the top of the source tree.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/fsio.h"
#include "ops/audit.h"
#include "ops/audit_event.h"
#include "support/capture.h"

#define PAGE "config/audit.md"

static void the_page_is_as_printed(void **state)
{
    struct buf printed = {0}, stored = {0};
    (void)state;
    audit_event_print(&printed);
    if (getenv("CXSINK_REGENERATE") != NULL)
        assert_int_equal(fsio_write_file(PAGE, printed.data, printed.len, 0644, NULL), 0);
    assert_int_equal(fsio_read_file(PAGE, 1 << 20, &stored, NULL), 0);
    if (strcmp(buf_text(&printed), buf_text(&stored)) != 0)
        fail_msg(PAGE " is not what the table prints; run this test with CXSINK_REGENERATE=1");
    buf_deinit(&printed);
    buf_deinit(&stored);
}

static void some_events_are_messages_of_the_catalog(void **state)
{
    struct capture captured;
    char want[128];
    (void)state;
    assert_int_equal(audit_event_message("stream.connected"), LOG_ID_STREAM_UP);
    assert_int_equal(audit_event_message("job.running"), LOG_ID_COUNT);
    assert_int_equal(audit_event_message("no.such"), LOG_ID_COUNT);
    snprintf(want, sizeof(want),
             "\"level\":\"warn\",\"audit\":\"breaker.open\",\"message_id\":\"%s\"",
             log_event_id(LOG_ID_BREAKER_OPEN));
    capture_start(&captured);
    log_init(LOG_TARGET_JSON, LOG_LEVEL_ERROR);
    audit_write(NULL, "breaker.open", NULL, NULL, 0);
    bool told = strstr(capture_take(&captured), want) != NULL;
    audit_write(NULL, "job.running", NULL, NULL, 0);
    told = told && strstr(capture_take(&captured), "message_id") == NULL;
    capture_stop(&captured);
    assert_true(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_as_printed),
        cmocka_unit_test(some_events_are_messages_of_the_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
