// SPDX-License-Identifier: Apache-2.0
// The last audit events: what is new since a mark, and no more than there is room for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ops/audit_recent_priv.h"

static void add(struct audit_recent *recent, const char *members)
{
    struct buf line = {0};
    buf_append_text(&line, members);
    audit_recent_add(recent, &line);
    buf_deinit(&line);
}

static const char *json(const struct audit_recent *recent, uint64_t *mark, struct buf *out)
{
    buf_clear(out);
    audit_recent_json(recent, mark, out);
    return buf_text(out);
}

static void each_is_told_once_a_mark(void **state)
{
    struct audit_recent recent = {0};
    struct buf out = {0};
    uint64_t mark = 0, other = 0;
    (void)state;
    assert_string_equal(json(&recent, &mark, &out), "[]");
    add(&recent, "{\"event\":\"a\"");
    add(&recent, "{\"event\":\"b\"");
    assert_string_equal(json(&recent, &mark, &out), "[{\"event\":\"a\"},{\"event\":\"b\"}]");
    assert_string_equal(json(&recent, &mark, &out), "[]");
    add(&recent, "{\"event\":\"c\"");
    assert_string_equal(json(&recent, &mark, &out), "[{\"event\":\"c\"}]");
    assert_string_equal(json(&recent, &other, &out),
                        "[{\"event\":\"a\"},{\"event\":\"b\"},{\"event\":\"c\"}]");
    buf_deinit(&out);
    audit_recent_deinit(&recent);
}

static void the_oldest_make_room(void **state)
{
    struct audit_recent recent = {0};
    struct buf out = {0};
    uint64_t mark = 0;
    (void)state;
    for (int i = 0; i < 3 * AUDIT_RECENT_MAX + 7; i++) {
        char members[16];
        snprintf(members, sizeof(members), "{\"n\":%d", i);
        add(&recent, members);
        if (i == 10)
            json(&recent, &mark, &out);
    }
    const char *text = json(&recent, &mark, &out); // this one fell behind
    assert_memory_equal(text, "[{\"n\":207},{\"n\":208},", 21);
    assert_string_equal(text + strlen(text) - 10, "{\"n\":306}]");
    buf_deinit(&out);
    audit_recent_deinit(&recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once_a_mark),
        cmocka_unit_test(the_oldest_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
