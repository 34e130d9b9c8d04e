// SPDX-License-Identifier: Apache-2.0
// jobs/semver and jobs/cron: a version in the first line, a range or a cron expression behind it.
#include "fuzz.h"

#include "jobs/cron.h"
#include "jobs/semver.h"

static void check_versions(const char *a, const char *b)
{
    struct semver x, y;
    struct status st = {0};
    bool is_version = semver_parse(a, &x, &st) == STATUS_OK, satisfied = false;

    FUZZ_CHECK(is_version || st.detail[0] != '\0', "no sentence");
    bool is_range = semver_check_range(b, &st) == STATUS_OK;
    bool asked = semver_satisfies(a, b, &satisfied, &st) == STATUS_OK;
    FUZZ_CHECK(asked == (is_version && is_range), "%s in %s", a, b);
    if (!is_version)
        return;
    FUZZ_CHECK(semver_compare(&x, &x) == 0, "%s", a);
    if (semver_parse(b, &y, NULL) != STATUS_OK)
        return;
    int order = semver_compare(&x, &y), back = semver_compare(&y, &x);
    FUZZ_CHECK((order < 0) == (back > 0) && (order == 0) == (back == 0), "%s, %s", a, b);
    if (asked) // a version is a range of those equal to it
        FUZZ_CHECK(satisfied == (order == 0), "%s, %s", a, b);
}

static void check_cron(const char *text)
{
    struct cron cron;
    struct status st = {0};
    if (cron_parse(text, &cron, &st) != STATUS_OK) {
        FUZZ_CHECK(st.detail[0] != '\0', "no sentence");
        return;
    }
    FUZZ_CHECK(cron.minutes != 0 && cron.minutes >> 60 == 0, "%s", text);
    FUZZ_CHECK(cron.hours != 0 && cron.hours >> 24 == 0, "%s", text);
    FUZZ_CHECK(cron.months != 0 && (cron.months & 1) == 0 && cron.months >> 13 == 0, "%s", text);
    FUZZ_CHECK(cron.days != 0 && (cron.days & 1) == 0, "%s", text);
    FUZZ_CHECK(cron.weekdays != 0 && cron.weekdays >> 7 == 0, "%s", text);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_piece rest = {(const char *)data, size}, line = fuzz_line(&rest);
    char *first = fuzz_text(line.data, line.size), *second = fuzz_text(rest.data, rest.size);
    check_versions(first, second);
    check_cron(second);
    free(first);
    free(second);
    return 0;
}
