// SPDX-License-Identifier: Apache-2.0
// Cron expressions: what they mean, and what is wrong with those that mean nothing.
#include "jobs/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(n) (UINT64_C(1) << (n))
#define EVERY_MINUTE (BIT(60) - 1)
#define EVERY_HOUR (BIT(24) - 1)
#define EVERY_DAY (BIT(32) - 2)
#define EVERY_MONTH (BIT(13) - 2)
#define EVERY_WEEKDAY (BIT(7) - 1)

static void test_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t minutes, hours, days, months, weekdays;
        bool either;
    } cases[] = {
        {"* * * * *", EVERY_MINUTE, EVERY_HOUR, EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {" \t5  4 * *\t* ", BIT(5), BIT(4), EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"0,30 8-10 1 1 1", BIT(0) | BIT(30), BIT(8) | BIT(9) | BIT(10), BIT(1), BIT(1), BIT(1),
         true},
        {"*/20 */7 * * *", BIT(0) | BIT(20) | BIT(40), BIT(0) | BIT(7) | BIT(14) | BIT(21),
         EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"10-20/5,59 23 * * *", BIT(10) | BIT(15) | BIT(20) | BIT(59), BIT(23), EVERY_DAY,
         EVERY_MONTH, EVERY_WEEKDAY, false},
        {"50/5 0 * * *", BIT(50) | BIT(55), BIT(0), EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"0 0 31 jan,MAR-may *", BIT(0), BIT(0), BIT(31), BIT(1) | BIT(3) | BIT(4) | BIT(5),
         EVERY_WEEKDAY, false},
        {"0 0 * * mon-Fri", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH,
         BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5), false},
        {"0 0 * * 7", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, BIT(0), false},
        {"0 0 * * 5-7", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, BIT(5) | BIT(6) | BIT(0), false},
        {"0 0 * * sun", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, BIT(0), false},
        {"0 0 */10 * 1", BIT(0), BIT(0), BIT(1) | BIT(11) | BIT(21) | BIT(31), EVERY_MONTH, BIT(1),
         false}, // a star with a step is a star
        {"0 0 13 * 5", BIT(0), BIT(0), BIT(13), EVERY_MONTH, BIT(5), true},
        {"0 0 29 2 *", BIT(0), BIT(0), BIT(29), BIT(2), EVERY_WEEKDAY, false},
        {"0 0 31 4,5 *", BIT(0), BIT(0), BIT(31), BIT(4) | BIT(5), EVERY_WEEKDAY, false},
        {"0 0 31 2 1", BIT(0), BIT(0), BIT(31), BIT(2), BIT(1), true}, // Mondays
        {"*/100 * * * *", BIT(0), EVERY_HOUR, EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"@hourly", BIT(0), EVERY_HOUR, EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"@Daily", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"@midnight", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY, false},
        {"@weekly", BIT(0), BIT(0), EVERY_DAY, EVERY_MONTH, BIT(0), false},
        {"@monthly", BIT(0), BIT(0), BIT(1), EVERY_MONTH, EVERY_WEEKDAY, false},
        {"@yearly", BIT(0), BIT(0), BIT(1), BIT(1), EVERY_WEEKDAY, false},
        {"@annually", BIT(0), BIT(0), BIT(1), BIT(1), EVERY_WEEKDAY, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cron cron;
        struct status st;
        status_clear(&st);
        if (cron_parse(cases[i].text, &cron, &st) != STATUS_OK)
            fail_msg("%s: %s", cases[i].text, st.detail);
        assert_int_equal(cron.minutes, cases[i].minutes);
        assert_int_equal(cron.hours, cases[i].hours);
        assert_int_equal(cron.days, cases[i].days);
        assert_int_equal(cron.months, cases[i].months);
        assert_int_equal(cron.weekdays, cases[i].weekdays);
        assert_int_equal(cron.either_day, cases[i].either);
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", "the minute field is missing"},
        {"  ", "the minute field is missing"},
        {"* * * *", "the day of the week field is missing"},
        {"* * * * * *", "something follows the fifth field"},
        {"60 * * * *", "the minute field: a value is out of range (0 to 59"},
        {"* 24 * * *", "the hour field: a value is out of range"},
        {"* * 0 * *", "the day of the month field: a value is out of range (1 to 31"},
        {"* * 32 * *", "the day of the month field: a value is out of range"},
        {"* * * 13 *", "the month field: a value is out of range (1 to 12, names such as jan"},
        {"* * * * 8", "the day of the week field: a value is out of range (0 to 7, names"},
        {"10-5 * * * *", "the minute field: a range ends before it begins"},
        {"* * * * fri-mon", "a range ends before it begins"},
        {"*/0 * * * *", "the minute field: a step is 0"},
        {"*/ * * * *", "the minute field: a number is missing"},
        {"5- * * * *", "the minute field: a number is missing"},
        {", * * * *", "the minute field: a number is missing"},
        {"1, * * * *", "the minute field: a number is missing"},
        {"1,,2 * * * *", "the minute field: a number is missing"},
        {"-1 * * * *", "the minute field: a number is missing"},
        {"1.5 * * * *", "something stands in it that does not belong there"},
        {"*5 * * * *", "something stands in it"},
        {"1-5-9 * * * *", "something stands in it"},
        {"99999999999999999999 * * * *", "the minute field: a number is too large"},
        {"*/99999999999999999999 * * * *", "a number is too large"},
        {"jan * * * *", "the minute field: a name is not known"},
        {"* * * janu *", "the month field: a name is not known"},
        {"* * * ja *", "the month field: a name is not known"},
        {"* * * mon *", "the month field: a name is not known"},
        {"* * * * jan", "the day of the week field: a name is not known"},
        {"@reboot", "the nickname is not known"},
        {"@daily x", "the nickname is not known"},
        {"0 0 30 2 *", "it would never come"},
        {"0 0 31 2,4,6,9,11 *", "it would never come"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cron cron;
        struct status st;
        assert_int_equal(cron_parse(cases[i].text, &cron, &st), STATUS_INVALID);
        if (strstr(st.detail, cases[i].told) == NULL)
            fail_msg("%s: %s", cases[i].text, st.detail);
    }
    struct cron cron;
    assert_int_equal(cron_parse("x", &cron, NULL), STATUS_INVALID);
}

// Whatever the text: an answer, and sets within their ranges.
static void test_random_texts(void **state)
{
    (void)state;
    static const char letters[] = "0123456789*/-, ,**  jansu@";
    unsigned seed = 7;
    for (int n = 0; n < 200000; n++) {
        char text[16];
        size_t length = 0;
        for (; length < sizeof(text) - 1; length++) {
            seed = seed * 1103515245u + 12345u;
            text[length] = letters[(seed >> 16) % (sizeof(letters) - 1)];
        }
        text[length] = '\0';
        struct cron cron;
        if (cron_parse(text, &cron, NULL) != STATUS_OK)
            continue;
        assert_true(cron.minutes != 0 && cron.hours != 0 && cron.weekdays != 0);
        assert_true(cron.days != 0 && cron.months != 0);
        assert_int_equal(cron.minutes & ~EVERY_MINUTE, 0);
        assert_int_equal(cron.hours & ~EVERY_HOUR, 0);
        assert_int_equal(cron.days & ~EVERY_DAY, 0);
        assert_int_equal(cron.months & ~EVERY_MONTH, 0);
        assert_int_equal(cron.weekdays & ~EVERY_WEEKDAY, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
