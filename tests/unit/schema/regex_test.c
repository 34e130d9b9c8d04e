// SPDX-License-Identifier: Apache-2.0
// Patterns mean what ECMA-262 says, whether they run as a scan or by PCRE2.
#include "schema_fixture.h"

#include "schema/ecma_priv.h"
#include "schema/regex_priv.h"

#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// Debian 12's headers do not have it; kernels from 6.3 on do.
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static struct regex *must(const char *pattern)
{
    struct regex *regex;
    struct status st = {0};

    if (regex_compile(pattern, strlen(pattern), &regex, &st) != STATUS_OK)
        fail_msg("%s: %s", pattern, st.detail);
    return regex;
}

static bool match_bytes(const char *pattern, const char *text, size_t length)
{
    struct regex *regex = must(pattern);
    char *copy = malloc(length > 0 ? length : 1); // reading too far is found

    memcpy(copy, text, length);
    int64_t steps = REGEX_STEPS(length);
    enum regex_result result = regex_match(regex, copy, length, &steps);
    assert_int_not_equal(result, REGEX_LIMIT);
    free(copy);
    regex_destroy(&regex);
    return result == REGEX_MATCH;
}

static bool match(const char *pattern, const char *text)
{
    return match_bytes(pattern, text, strlen(text));
}

static void assert_refused(const char *pattern, const char *message)
{
    struct regex *regex;
    struct status st = {0};

    if (regex_compile(pattern, strlen(pattern), &regex, &st) == STATUS_OK)
        fail_msg("%s is accepted", pattern);
    assert_null(regex);
    if (strstr(st.detail, message) == NULL)
        fail_msg("%s: %s", pattern, st.detail);
}

static bool is_scan(const char *pattern)
{
    struct regex *regex = must(pattern);
    bool scan = regex_is_scan(regex);

    regex_destroy(&regex);
    return scan;
}

static void test_which_are_scans(void **state)
{
    (void)state;
    assert_true(is_scan("^[a-zA-Z0-9_-]+$"));
    assert_true(is_scan("^x-"));
    assert_true(is_scan("^"));
    assert_true(is_scan("^$"));
    assert_true(is_scan("^\\d{4}-\\d{2}-\\d{2}$"));
    assert_true(is_scan("^[a-z_]+\\.[a-z_]+$"));
    assert_true(is_scan("^[^/]*/\\w?$"));
    assert_true(is_scan("^a*b?c+"));
    assert_false(is_scan("a"));
    assert_false(is_scan("^.+$"));
    assert_false(is_scan("^[a-z]+[a-z]$")); // needs to give one back
    assert_false(is_scan("^a?b?a$"));
    assert_false(is_scan("^[^a]*\\W$"));
    assert_false(is_scan("^\\s$"));
    assert_false(is_scan("^a|b$"));
    assert_false(is_scan("^(a)$"));
    assert_false(is_scan("^\xc3\xa4$"));
    assert_false(is_scan("^a$b"));
    assert_false(is_scan("a^"));
    assert_false(is_scan("^abcdefghijklmnop$")); // more pieces than it has room for
}

// A scan agrees with the same pattern in a group, which PCRE2 runs.
static void test_scans_agree(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "[a-c]+", "[^a]+",        "a*b?c+",           "\\d{2,3}-\\w", "[^\\W]{2}", "\\D+",
        "a{0}b",  "[a\\-]{1,2}$", "[\\x41-\\u{5a}]+", "[^\\n]{2,3}",  "[\\d_]*?-", "a{2,}b"};
    static const char *const texts[] = {"",          "a",
                                        "abc",       "abc\n",
                                        "aabcc",     "12-x",
                                        "123-_",     "1234-a",
                                        "b\xc3\xa4", "\xf0\x9f\x98\x80",
                                        "ab",        "a-",
                                        "a-a",       "AZ",
                                        "_9-",       "aab",
                                        "aaab",      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"};
    char scan[64], group[64];

    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        for (int end = 0; end < 2; end++) {
            snprintf(scan, sizeof(scan), "^%s%s", patterns[i], end ? "$" : "");
            snprintf(group, sizeof(group), "^(?:%s)%s", patterns[i], end ? "$" : "");
            if (strstr(scan, "$$") != NULL)
                continue;
            assert_true(is_scan(scan));
            assert_false(is_scan(group));
            for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
                if (match(scan, texts[k]) != match(group, texts[k]))
                    fail_msg("%s and %s differ on \"%s\"", scan, group, texts[k]);
        }
}

static void test_anchors(void **state)
{
    (void)state;
    assert_false(match("^abc$", "abc\n"));
    assert_false(match("^(abc)$", "abc\n"));
    assert_false(match("^(b)", "a\nb"));
    assert_true(match("(b)$", "ab"));
    assert_true(match("\\bword\\b", "a word."));
    assert_false(match("\\bword\\b", "swords"));
    assert_true(match("\\Bor\\B", "word"));
    assert_true(match("", "anything"));
}

static void test_dot_and_classes(void **state)
{
    (void)state;
    assert_true(match("^(.)$", "\xf0\x9f\x98\x80"));
    assert_false(match("^(.)$", "\n"));
    assert_false(match("^(.)$", "\r"));
    assert_false(match("^(.)$", "\xe2\x80\xa8"));
    assert_true(match("^(.)$", "\xc2\x85"));
    assert_true(match("^(\\s)$", "\xef\xbb\xbf"));
    assert_true(match("^[\\s]$", "\xc2\xa0"));
    assert_false(match("^[\\S]$", "\xe2\x80\xa9"));
    assert_true(match("^[\\S]$", "\xed\x9f\xbf"));
    assert_true(match("^[\\S]$", "\xee\x80\x80"));
    assert_false(match("^[^\\s]$", "\x0b"));
    assert_false(match("^(\\d)$", "\xd9\xa3"));
    assert_false(match("^(\\w)$", "\xc3\xa9"));
    assert_true(match("^[\\W]$", "\xc3\xa9"));
    assert_true(match("^[\\D\\d]$", "5"));
    assert_true(match("^([^])$", "\n"));
    assert_false(match("[]", "a"));
    assert_true(match("^[[:a]+$", ":[a"));
    assert_true(match("^[a&&b]+$", "&b"));
    assert_true(match("^[\\b]$", "\b"));
    assert_true(match("^[a-]+$", "-a"));
    assert_true(match("^[\\w-]+$", "-a"));
    assert_true(match("^[\\]\\\\^]+$", "]\\^"));
    assert_true(match("^[\xc3\xa4-\xc3\xbc]+$", "\xc3\xb6"));
}

static void test_escapes(void **state)
{
    (void)state;
    assert_true(match("^\\t\\n\\v\\f\\r$", "\t\n\v\f\r"));
    assert_true(match("^\\cA\\cz$", "\x01\x1a"));
    assert_true(match("^\\x41\\u0042\\u{43}$", "ABC"));
    assert_true(match("^\\ud83d\\ude00$", "\xf0\x9f\x98\x80"));
    assert_true(match("^\\u{1f600}$", "\xf0\x9f\x98\x80"));
    assert_true(match("^[\\ud83d\\ude00]$", "\xf0\x9f\x98\x80"));
    assert_true(match_bytes("^(\\0)$", "", 1));
    assert_true(match("^\\^\\$\\\\\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\/$", "^$\\.*+?()[]{}|/"));
    assert_true(match("^\\-\\@\\#$", "-@#"));
    assert_true(match("^a #b$", "a #b"));
}

static void test_properties(void **state)
{
    (void)state;
    assert_true(match("^\\p{Letter}\\p{L}\\p{Lu}$", "\xc3\xa9z\xc3\x89"));
    assert_true(match("^\\p{digit}+$", "4\xe0\xa7\xaa"));
    assert_true(match("^\\p{gc=Nd}\\p{General_Category=Decimal_Number}$", "11"));
    assert_true(match("^\\p{Script=Greek}\\p{sc=Latin}\\p{scx=Cyrillic}$", "\xce\xb1z\xd0\xb6"));
    assert_true(match("^\\p{Script_Extensions=Greek}$", "\xce\xb1"));
    assert_true(match("^[\\p{Lu}_]+$", "A_"));
    assert_true(match("^\\P{Lu}[^\\P{Lu}]$", "aA"));
    assert_true(match("^\\p{Alphabetic}\\p{ASCII}\\p{Any}\\p{Assigned}$", "abcd"));
    assert_false(match("\\P{Assigned}", "a"));
    assert_true(match("^\\p{White_Space}\\p{Emoji}\\p{LC}$", " \xf0\x9f\x98\x80z"));
    assert_refused("\\p{Nonsense}", "Unicode property");
    assert_refused("\\p{gc=Alphabetic}", "Unicode property");
    assert_refused("\\p{Script=Nowhere}", "regular expression library");
    assert_refused("\\p{Script=a b}", "Unicode property");
    assert_refused("\\pL", "property in braces");
    assert_refused("\\p{L", "property in braces");
    assert_refused("\\p{Xan}", "Unicode property");
}

static void test_groups(void **state)
{
    (void)state;
    assert_true(match("^(a|b)+?(?:c)$", "abc"));
    assert_true(match("^(?=a)\\w(?!c)b$", "ab"));
    assert_true(match("(?<=a)b(?<!c)", "ab"));
    assert_false(match("(?<=a)b", "cb"));
    assert_true(match("^(.)\\1$", "aa"));
    assert_false(match("^(.)\\1$", "ab"));
    assert_true(match("^(?<ch>.)\\k<ch>$", "aa"));
    assert_true(match("^(a)?\\1b$", "b")); // a group that took no part is empty
    assert_true(match("^(a|(b))\\2$", "a"));
    assert_true(match("^a||b$", "x"));
    assert_true(match("^(a{2}){2,}$", "aaaa"));
    assert_true(match("^(?:ab){0,1}$", ""));
    assert_true(match("^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\10$", "abcdefghijj"));
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const patterns[][2] = {
        {"(", "a ( without"},
        {"(a", "a ( without"},
        {")", "a ) without"},
        {"[a", "a [ without"},
        {"*a", "repetition of nothing"},
        {"a**", "repetition of nothing"},
        {"a++", "repetition of nothing"},
        {"^*", "repetition of nothing"},
        {"\\b+", "repetition of nothing"},
        {"(?=a)*", "lookaround"},
        {"a{", "must be escaped"},
        {"a{,5}", "must be escaped"},
        {"a{2", "must be escaped"},
        {"a{2,x}", "must be escaped"},
        {"{", "must be escaped"},
        {"}", "must be escaped"},
        {"]", "must be escaped"},
        {"a{3,2}", "out of order"},
        {"a{70000}", "65535"},
        {"[b-a]", "before its start"},
        {"[\\d-a]", "starts with a class"},
        {"[a-\\d]", "ends with a class"},
        {"\\", "nothing to"},
        {"[\\", "nothing to escape"},
        {"\\Z", "does not have"},
        {"\\A", "does not have"},
        {"\\a", "does not have"},
        {"\\_", "does not have"},
        {"\\c1", "needs a letter"},
        {"\\x4", "two hex"},
        {"\\u12", "four hex"},
        {"\\u{}", "without digits"},
        {"\\u{110000}", "beyond"},
        {"\\u{41", "without digits or }"},
        {"\\ud800", "surrogate"},
        {"[\\udc00]", "surrogate"},
        {"\\01", "octal"},
        {"\\1", "does not stand before"},
        {"\\2(a)", "does not stand before"},
        {"\\k<a>", "does not stand before"},
        {"\\ka", "\\k needs"},
        {"(?<a>.)(?<a>.)", "one name"},
        {"(?<>.)", "name is missing"},
        {"(?<1>.)", "name is missing"},
        {"(?<a.)", "name"},
        {"(?<a b>.)", "ASCII"},
        {"(?i)a", "does not have"},
        {"(?>a)", "does not have"},
        {"(?P<a>.)", "does not have"},
        {"(*ACCEPT)", "repetition of nothing"},
        {"(a\\1)", "not supported"},
        {"(?:(a)|b\\1)*", "not supported"},
        {"(?:(a)|b)*\\1", "not supported"},
        {"(?!(a))\\1", "not supported"},
        {"(?<=(a))\\1", "not supported"},
        {"(a)(?<=\\1)", "not supported"},
        {"(?<=a+)b", "library"},
        {"\xff", "not UTF-8"},
    };

    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        assert_refused(patterns[i][0], patterns[i][1]);
}

static void test_bounds_of_the_parser(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    char *deep = malloc(MANY * 4 + 1);

    memset(deep, '(', MANY);
    deep[MANY] = '\0';
    assert_refused(deep, "too many groups");
    for (size_t i = 0; i < MANY; i++)
        memcpy(deep + 2 * i, "()", 3);
    assert_refused(deep, "too many groups");
    memcpy(deep, "(a)", 3);
    for (size_t i = 0; i < 600; i++)
        memcpy(deep + 3 + 2 * i, "\\1", 3);
    assert_refused(deep, "too many references");
    free(deep);
    size_t huge = 2 << 20;
    char *dots = malloc(huge);
    memset(dots, '.', huge);
    struct regex *regex;
    assert_int_equal(regex_compile(dots, huge, &regex, NULL), STATUS_INVALID);
    free(dots);
}

// Runs a pattern over `length` bytes of `unit` again and again, and `tail`; *taken_r: the steps.
static enum regex_result run_long(const char *pattern, const char *unit, size_t length,
                                  const char *tail, int64_t *taken_r)
{
    size_t unit_length = strlen(unit), tail_length = strlen(tail);
    char *text = malloc(length + tail_length + 1);
    struct regex *regex = must(pattern);

    for (size_t i = 0; i < length; i++)
        text[i] = unit[i % unit_length];
    memcpy(text + length, tail, tail_length);
    int64_t steps = REGEX_STEPS(length);
    enum regex_result result = regex_match(regex, text, length + tail_length, &steps);
    *taken_r = REGEX_STEPS(length) - steps;
    int64_t again = REGEX_STEPS(length);
    assert_int_equal(regex_match(regex, text, length + tail_length, &again), result);
    assert_true(again == steps); // always the same
    regex_destroy(&regex);
    free(text);
    return result;
}

// Whatever makes a pattern slow, it ends, and close to where the steps do.
static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *unit;
        size_t length;
        const char *tail;
    } slow[] = {
        {"^(a+)+$", "a", 63, "!"},
        {"^(a|a)*$", "a", 63, "!"},
        {"^(a?){40}a{40}$", "a", 60, "!"},
        {"^a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?[^a]{30}", "a", 50, ""},
        {"^(?:\\w+\\s?)*$", "abcde ", 5000, "!"},
        {"^a*a*[bc]", "a", 300000, ""},
        {"^a*?a*?[bc]", "a", 300000, ""},
        {".*foo.*bar", "foo ", 200000, "r"},
        {"(?:\\w+\\s)*$", "abcde ", 200000, "!"},
        {"(?=.*x)(?=.*y)z", "abz", 200000, ""},
        {"(?<!ab)b|(?=a*c)d|a{3000}b", "a", 300000, ""},
        {"(?:(?:[ab]{60}){10}){5}d", "ab", 1000000, "_d"},
        {"[ab]{2000}c?d", "ab", 1000000, ""},
        {"^(a*)\\1c?d", "a", 200000, "xd"},
    };
    int64_t taken;

    for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++) {
        if (run_long(slow[i].pattern, slow[i].unit, slow[i].length, slow[i].tail, &taken) !=
            REGEX_LIMIT)
            fail_msg("%s is not given up after %lld steps", slow[i].pattern, (long long)taken);
        assert_true(taken > REGEX_STEPS(slow[i].length));
        assert_true(taken < REGEX_STEPS(slow[i].length) + 1000000);
    }
}

// A long text alone is no reason to give up.
static void test_long_texts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *unit, *tail;
    } fast[] = {
        {"^(?:a|b|c|d|e| )*$", "abcde ", ""},
        {"^(?:[a-z]+ ?)+$", "abcde ", ""},
        {"^(\\w+\\s)*(\\w*)$", "abcde ", "a"},
        {"(?:foo|bar|baz)$", "some text, fo, ba ", "baz"},
        {"[A-Za-z0-9]{40}", "every word is short ", "0123456789012345678901234567890123456789"},
        {".*needle", "some text, ned, nee ", "needle"},
    };
    int64_t taken;

    for (size_t i = 0; i < sizeof(fast) / sizeof(*fast); i++)
        if (run_long(fast[i].pattern, fast[i].unit, 1 << 20, fast[i].tail, &taken) != REGEX_MATCH)
            fail_msg("%s takes %lld steps", fast[i].pattern, (long long)taken);
}

// So is one that wants more memory than there is for a match.
static void test_memory_limit(void **state)
{
    (void)state;
    const size_t length = 4 << 20;
    int64_t taken;

    assert_int_equal(run_long("^(?:(a)(b)?(b)?(b)?(b)?(b)?)*$", "a", length, "", &taken),
                     REGEX_LIMIT);
    assert_true(taken < REGEX_STEPS(length));
}

static void test_steps_are_shared(void **state)
{
    (void)state;
    struct regex *regex = must("^(a+)+$");
    int64_t steps = 100;

    assert_int_equal(regex_match(regex, "aaa", 3, &steps), REGEX_MATCH);
    assert_true(steps < 100 && steps > 0);
    assert_int_equal(regex_match(regex, "aaa", 3, &steps), REGEX_LIMIT);
    assert_true(steps < 0);
    steps = 1000;
    assert_int_equal(regex_match(regex, "aaa", 3, &steps), REGEX_MATCH); // still of use
    regex_destroy(&regex);
    assert_null(regex);
    regex_destroy(&regex);
}

// In a process that may not make code: what `regex` answers there.
static int run_interpreted(const char *pattern, const char *text, size_t length, int64_t *steps)
{
    int64_t answer[2];
    int ends[2], how;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct regex *regex = NULL;
        answer[0] = -1;
        answer[1] = *steps;
        if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0 &&
            regex_compile(pattern, strlen(pattern), &regex, NULL) == STATUS_OK)
            answer[0] = regex_match(regex, text, length, &answer[1]);
        regex_destroy(&regex);
        _exit(write(ends[1], answer, sizeof(answer)) != sizeof(answer));
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], answer, sizeof(answer)), sizeof(answer));
    close(ends[0]);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(how, 0);
    *steps = answer[1];
    return (int)answer[0];
}

// Where the system forbids compiled code (MemoryDenyWriteExecute=), patterns are interpreted, with
// the same answers and the same count.
static void test_interpreted(void **state)
{
    (void)state;
    size_t length = 1 << 20;
    char *text = malloc(length);
    int64_t steps = REGEX_STEPS(20), compiled = steps;

    if (run_interpreted("a", "a", 1, &compiled) < 0) {
        print_message("skipped: this kernel has no PR_SET_MDWE\n");
        free(text);
        skip();
    }
    compiled = steps;
    const char *mail = "john.doe@example.com", *pattern = "^[^@ ]+@[^@ ]+\\.(?:com|net)$";
    struct regex *regex = must(pattern);
    assert_int_equal(regex_match(regex, mail, 20, &compiled), REGEX_MATCH);
    regex_destroy(&regex);
    assert_int_equal(run_interpreted(pattern, mail, 20, &steps), REGEX_MATCH);
    assert_true(steps == compiled);
    assert_int_equal(run_interpreted(pattern, mail, 19, &steps), REGEX_NO_MATCH);
    memset(text, 'a', length);
    steps = REGEX_STEPS(length);
    assert_int_equal(run_interpreted("^a*a*[bc]", text, length, &steps), REGEX_LIMIT);
    assert_true(steps < 0);
    // more memory than there is for a match
    steps = REGEX_STEPS(length);
    assert_int_equal(
        run_interpreted("^(?:(a)(b)?(b)?(b)?(b)?(b)?(b)?(b)?)*$", text, length, &steps),
        REGEX_LIMIT);
    assert_true(steps > 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_are_scans),
        cmocka_unit_test(test_scans_agree),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_dot_and_classes),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds_of_the_parser),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_steps_are_shared),
        cmocka_unit_test(test_interpreted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
