// SPDX-License-Identifier: Apache-2.0
// The messages with an id: the table, the catalog that is printed from it (run with
// CXSINK_REGENERATE=1 to write it), and what journalctl makes of it. Runs at the top of the source
// tree.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fsio.h"
#include "core/log_event.h"
#include "core/mem.h"
#include "support/capture.h"

#define CATALOG "systemd/cxsink.catalog"

static void ids_are_hex_and_differ(void **state)
{
    (void)state;
    for (int i = 0; i < LOG_ID_COUNT; i++) {
        const char *id = log_event_id((enum log_id)i);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(id, log_event_id((enum log_id)j));
    }
}

static void a_line_carries_its_id(void **state)
{
    struct capture captured;
    char want[128];
    (void)state;
    capture_start(&captured);
    log_init(LOG_TARGET_JSON, LOG_LEVEL_INFO);
    log_event(LOG_ID_SPOOL_FULL, &(struct log_fields){.stream = "calls"}, "full: %d", 7);
    snprintf(
        want, sizeof(want),
        "\"level\":\"warn\",\"stream\":\"calls\",\"message_id\":\"%s\",\"message\":\"full: 7\"",
        log_event_id(LOG_ID_SPOOL_FULL));
    const char *text = capture_take(&captured);
    bool has_all = strstr(text, want) != NULL;
    log_event(LOG_ID_STARTED, NULL, "bare");
    text = capture_take(&captured);
    has_all = has_all && strstr(text, "\"level\":\"info\",\"message_id\":\"") != NULL;
    capture_stop(&captured);
    assert_true(has_all);
}

// A line that is held back is told with the id of those before it.
static void a_count_of_repeats_carries_the_id(void **state)
{
    struct capture captured;
    (void)state;
    capture_start(&captured);
    log_init(LOG_TARGET_JSON, LOG_LEVEL_INFO);
    for (int i = 0; i < 9; i++)
        log_event(LOG_ID_STREAM_DOWN, &(struct log_fields){.stream = "calls"}, "no. %d", i);
    capture_take(&captured);
    log_flush_repeats(true);
    const char *text = capture_take(&captured);
    bool told = strstr(text, log_event_id(LOG_ID_STREAM_DOWN)) != NULL &&
                strstr(text, "\"stream\":\"calls\"") != NULL &&
                strstr(text, "held back 1 more lines like: no. 8") != NULL;
    capture_stop(&captured);
    assert_true(told);
}

static void the_catalog_is_as_printed(void **state)
{
    struct buf printed = {0}, stored = {0};
    (void)state;
    log_event_print_catalog(&printed);
    if (getenv("CXSINK_REGENERATE") != NULL)
        assert_int_equal(fsio_write_file(CATALOG, printed.data, printed.len, 0644, NULL), 0);
    assert_int_equal(fsio_read_file(CATALOG, 1 << 20, &stored, NULL), 0);
    if (strcmp(buf_text(&printed), buf_text(&stored)) != 0)
        fail_msg(CATALOG " is not what the table prints; run this test with CXSINK_REGENERATE=1");
    for (const char *line = buf_text(&printed); *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    buf_deinit(&printed);
    buf_deinit(&stored);
}

// --- the real parser ---

// What a command of sh writes; it finds the root of a system for it in $ROOT. Owned.
static char *run(const char *command)
{
    struct buf output = {0};
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    for (int c; (c = fgetc(pipe)) != EOF;)
        buf_append(&output, &(char){(char)c}, 1);
    assert_int_equal(pclose(pipe), 0);
    char *text = mem_strdup(buf_text(&output));
    buf_deinit(&output);
    return text;
}

static void journalctl_takes_the_catalog(void **state)
{
    char dir[] = "/tmp/log_event_test.XXXXXX";
    (void)state;
    if (system("journalctl --version >/dev/null 2>&1") != 0) {
        print_message("skipped: there is no journalctl on this machine\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    setenv("ROOT", dir, 1);
    free(run("mkdir -p $ROOT/usr/lib/systemd/catalog $ROOT/var/lib/systemd/catalog"));
    free(run("cp " CATALOG " $ROOT/usr/lib/systemd/catalog"));
    char *said = run("journalctl --update-catalog --root=$ROOT 2>&1");
    char *list = run("journalctl --list-catalog --root=$ROOT 2>&1");
    free(run("rm -r $ROOT"));
    size_t found = 0;
    for (int i = 0; i < LOG_ID_COUNT; i++)
        found += strstr(list, log_event_id((enum log_id)i)) != NULL;
    bool named = strstr(list, "cxsink: The spool is full, the stream pauses") != NULL;
    bool silent = said[0] == '\0';
    free(said);
    free(list);
    assert_true(silent);
    assert_true(named);
    assert_int_equal(found, LOG_ID_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_hex_and_differ),
        cmocka_unit_test(a_line_carries_its_id),
        cmocka_unit_test(a_count_of_repeats_carries_the_id),
        cmocka_unit_test(the_catalog_is_as_printed),
        cmocka_unit_test(journalctl_takes_the_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
