// SPDX-License-Identifier: Apache-2.0
// Versions and ranges: tables distilled from a comparison with npm's semver, and random texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/semver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct semver parse(const char *text)
{
    struct semver version;
    struct status st;
    status_clear(&st);
    if (semver_parse(text, &version, &st) != STATUS_OK)
        fail_msg("%s", st.detail);
    return version;
}

static void parses_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t part[3];
        const char *prerelease;
    } cases[] = {
        {"1.2.3", {1, 2, 3}, NULL},
        {"0.0.0", {0, 0, 0}, NULL},
        {" \t=v1.2.3\n", {1, 2, 3}, NULL},
        {"v10.20.30-a.b", {10, 20, 30}, "a.b"},
        {"1.2.3-0.x-y.Z9--", {1, 2, 3}, "0.x-y.Z9--"},
        {"1.2.3-0a+001.b", {1, 2, 3}, "0a"},
        {"1.2.3+-.0", {1, 2, 3}, NULL},
        {"9007199254740991.0.9007199254740991", {SEMVER_NUMBER_MAX, 0, SEMVER_NUMBER_MAX}, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct semver version = parse(cases[i].text);
        for (unsigned j = 0; j < 3; j++)
            assert_int_equal(version.part[j], cases[i].part[j]);
        assert_int_equal(version.prerelease != NULL, cases[i].prerelease != NULL);
        if (version.prerelease == NULL)
            continue;
        assert_int_equal(version.prerelease_length, strlen(cases[i].prerelease));
        assert_memory_equal(version.prerelease, cases[i].prerelease, version.prerelease_length);
    }
}

static void says_what_is_wrong_with_a_version(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "a number is missing"},
        {"latest", "a number is missing"},
        {"1", "it has not three numbers"},
        {"1.2", "it has not three numbers"},
        {"1.2.x", "it has not three numbers"},
        {"1.2+b", "it has not three numbers"},
        {"1..3", "a number is missing"},
        {"1.2.", "a number is missing"},
        {"-1.2.3", "a number is missing"},
        {"01.2.3", "leading zero"},
        {"1.2.03", "leading zero"},
        {"1.2.3-01", "a number in its pre-release has a leading zero"},
        {"1.2.3-", "its pre-release has an empty part"},
        {"1.2.3-a..b", "its pre-release has an empty part"},
        {"1.2.3+", "its build metadata have an empty part"},
        {"1.2.3-a+b+c", "something follows it"},
        {"1.2.3.4", "something follows it"},
        {"1.2.3 4", "something follows it"},
        {"1.2.3-\xc3\xa9", "its pre-release has an empty part"},
        {"vv1.2.3", "a number is missing"},
        {"v 1.2.3", "a number is missing"},
        {"V1.2.3", "a number is missing"},
        {"9007199254740992.0.0", "greater than 9007199254740991"},
        {"1.2.99999999999999999999999999999999999999", "greater than 9007199254740991"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct semver version;
        struct status st;
        assert_int_equal(semver_parse(cases[i].text, &version, &st), STATUS_INVALID);
        if (strstr(st.detail, cases[i].sentence) == NULL)
            fail_msg("\"%s\": %s", cases[i].text, st.detail);
    }
    char text[SEMVER_MAX + 2] = "1.2.3-";
    memset(text + 6, 'a', SEMVER_MAX - 6);
    parse(text); // as long as may be
    text[SEMVER_MAX] = 'a';
    struct semver version;
    struct status st;
    assert_int_equal(semver_parse(text, &version, &st), STATUS_INVALID);
    assert_non_null(strstr(st.detail, "longer than 256 bytes"));
}

// Each is greater than the one before it.
static const char *const ascending[] = {
    "0.0.0-0", "0.0.0-a", "0.0.0", "0.0.1", "0.1.0-rc.1", "0.1.0", "0.9.0", "0.10.0",
    // The row of section 11 of the specification, and what is between.
    "1.0.0-0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-99999999999999999998",
    "1.0.0-99999999999999999999", "1.0.0-100000000000000000000", "1.0.0-100000000000000000000.0",
    "1.0.0--", "1.0.0-1a", "1.0.0-A", "1.0.0-Z", "1.0.0-a", "1.0.0-alpha", "1.0.0-alpha.1",
    "1.0.0-alpha.1.0", "1.0.0-alpha.2", "1.0.0-alpha.beta", "1.0.0-alpha-", "1.0.0-alphax",
    "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.9007199254740990",
    "1.0.9007199254740991", "2.0.0", "2.1.0", "2.1.1", "10.0.0", "9007199254740991.0.0"};

static void orders_versions(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(ascending); i++) {
        for (size_t j = 0; j <= i; j++) {
            struct semver a = parse(ascending[i]), b = parse(ascending[j]);
            int forth = semver_compare(&a, &b), back = semver_compare(&b, &a);
            bool right = i == j ? forth == 0 && back == 0 : forth > 0 && back < 0;
            if (!right)
                fail_msg("%s and %s: %d, %d", ascending[i], ascending[j], forth, back);
        }
    }
    struct semver a = parse("1.2.3-b+x"), b = parse("1.2.3-b+y.z");
    assert_int_equal(semver_compare(&a, &b), 0);
}

// Blanks separate the versions.
static const struct {
    const char *range, *in, *out;
} ranges[] = {
    // The tutorial's own pairs, which its regular expression got wrong.
    {"^1.6.0", "1.6.0 1.6.2 1.99.0 v1.6.2+build", "1.5.9 2.0.0 0.6.0 1.6.0-rc.1 11.6.0"},
    {"^4.17.21", "4.17.21 4.18.0", "4.17.20 5.0.0 5.0.0-0"},
    // Exact.
    {"1.2.3", "1.2.3 1.2.3+b", "1.2.4 1.2.2 1.2.3-a"},
    {"=1.2.3", "1.2.3", "1.2.4"},
    {"= v1.2.3", "1.2.3", "1.2.4"},
    {"v1.2.3", "1.2.3", "1.2.4"},
    {"1.2.3+build", "1.2.3 1.2.3+other", "1.2.4"},
    {"1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.2+x", "1.2.3 1.2.3-beta.3 1.2.3-beta"},
    // Comparators.
    {">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.3+b 1.2.4-a"},
    {">=1.2.3", "1.2.3 1.2.4", "1.2.2 1.2.3-a"},
    {"<1.2.3", "1.2.2 0.0.0", "1.2.3 1.2.3-a 1.2.2-a"},
    {"<=1.2.3", "1.2.3 0.0.0", "1.2.4 1.2.3-a"},
    {">= \t 1.2.3", "1.2.3", "1.2.2"},
    {">=1.2.3 <2.0.0", "1.2.3 1.9.9", "2.0.0 1.2.2 2.0.0-a"},
    {"  >=1.2.3   <1.4 ", "1.2.3 1.3.99", "1.4.0 1.2.2"},
    {">1.2.3 <1.2.3", "", "1.2.3 1.2.2 1.2.4"},
    {">=1.0.0 <3.0.0 <2.0.0", "1.5.0", "2.0.0 2.5.0"},
    {"1.2.3 1.2.4", "", "1.2.3 1.2.4"},
    // Comparators with a part of a version.
    {">1", "2.0.0", "1.0.0 1.9.9 2.0.0-a"},
    {">1.2", "1.3.0", "1.2.0 1.2.9 1.3.0-a"},
    {">=1", "1.0.0 2.0.0", "0.9.9 1.0.0-a"},
    {">=1.2", "1.2.0", "1.1.9"},
    {"<1", "0.9.9", "1.0.0 1.0.0-0"},
    {"<1.2", "1.1.9", "1.2.0 1.2.0-0"},
    {"<=1", "1.9.9 0.0.0", "2.0.0 2.0.0-0"},
    {"<=1.2.x", "1.2.9", "1.3.0"},
    {"=1", "1.0.0 1.9.9", "2.0.0 0.9.9"},
    {"=1.x", "1.0.0 1.9.9", "2.0.0 0.9.9"},
    {"<*", "", "0.0.0 1.2.3 0.0.0-0"},
    {">x", "", "0.0.0 1.2.3"},
    {">=*", "0.0.0 1.2.3", "1.2.3-a"},
    {"<=X", "0.0.0 1.2.3", "1.2.3-a"},
    // Parts and stars.
    {"", "0.0.0 1.2.3", "1.2.3-a"},
    {"  ", "1.2.3", "1.2.3-a"},
    {"*", "0.0.0 1.2.3", "1.2.3-a 0.0.0-0"},
    {"x", "1.2.3", "1.2.3-a"},
    {"x.x.x", "1.2.3", "1.2.3-a"},
    {"x.X.*-beta", "1.2.3", "1.2.3-beta"},
    {"1", "1.0.0 1.9.9", "2.0.0 0.9.9 1.0.0-a 2.0.0-0"},
    {"1.x", "1.0.0 1.9.9", "2.0.0 10.0.0"},
    {"1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"},
    {"1.2.x", "1.2.0 1.2.9", "1.3.0 1.2.0-a"},
    {"1.2.*-beta+b", "1.2.0", "1.3.0 1.2.0-beta"},
    {"1.2+b", "1.2.0", "1.3.0"},
    {"0.x", "0.0.0 0.9.9", "1.0.0"},
    {"* >=1.2.3", "1.2.3", "1.2.2"},
    // Carets.
    {"^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0 1.2.4-beta 1.2.3-beta 2.0.0-0"},
    {"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 0.3.0-0"},
    {"^0.0.3", "0.0.3", "0.0.4 0.0.2 0.1.0"},
    {"^0.0.0", "0.0.0", "0.0.1"},
    {"^1.2", "1.2.0 1.9.0", "2.0.0 1.1.9"},
    {"^0.2", "0.2.0 0.2.9", "0.3.0"},
    {"^0.0", "0.0.0 0.0.9", "0.1.0"},
    {"^0", "0.0.0 0.9.9", "1.0.0"},
    {"^0.x", "0.0.0 0.9.9", "1.0.0"},
    {"^1", "1.0.0 1.9.9", "2.0.0"},
    {"^1.x.x", "1.0.0 1.9.9", "2.0.0"},
    {"^*", "0.0.0 9.9.9", "1.0.0-a"},
    {"^ 1.2.3", "1.2.3", "2.0.0"},
    {"^v1.2.3", "1.2.3", "2.0.0"},
    {"^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.9.0", "1.2.3-beta.1 1.2.4-beta.2 2.0.0"},
    {"^0.0.3-beta", "0.0.3-beta 0.0.3-rc 0.0.3", "0.0.3-alpha 0.0.4"},
    {"^0.0.0-a", "0.0.0-a 0.0.0", "0.0.1 0.0.1-b"},
    {"^1.2.x-beta", "1.2.0 1.9.0", "1.2.0-beta 2.0.0"},
    // Tildes.
    {"~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2 1.3.0-0"},
    {"~1.2", "1.2.0 1.2.9", "1.3.0"},
    {"~1", "1.0.0 1.9.9", "2.0.0"},
    {"~0.2.3", "0.2.3 0.2.9", "0.3.0"},
    {"~0", "0.0.0 0.9.9", "1.0.0"},
    {"~x", "1.2.3", "1.2.3-a"},
    {"~>1.2.3", "1.2.3 1.2.9", "1.3.0"},
    {"~> 1.2", "1.2.0", "1.3.0"},
    {"~ 1.2", "1.2.0", "1.3.0"},
    {"~1.2.3-beta.2", "1.2.3-beta.4 1.2.3 1.2.9", "1.2.4-beta.2 1.3.0 1.2.3-beta.1"},
    // Hyphens.
    {"1.2.3 - 2.3.4", "1.2.3 2.3.4 2.0.0", "1.2.2 2.3.5 1.2.3-a"},
    {"1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9"},
    {"1.2.3 - 2.3", "2.3.9", "2.4.0 2.4.0-0"},
    {"1.2.3 - 2", "2.9.9", "3.0.0"},
    {" 1.2.3  -\t2 ", "2.9.9", "3.0.0"},
    {"* - 2", "0.0.0 2.9.9", "3.0.0"},
    {"1 - *", "1.0.0 9.0.0", "0.9.9"},
    {"x - x", "0.0.0", "1.0.0-a"},
    {"v1.2.3 - v2", "1.2.3", "3.0.0"},
    {"1.2.3-a - 2.3.4-b", "1.2.3-a 1.2.3 2.3.4-a 2.3.4-b", "2.3.4 2.3.4-c 2.0.0-a"},
    {"1.2.3+a - 2.3.4+b", "1.2.3 2.3.4", "2.3.5"},
    // Alternatives.
    {"1.2.3 || 2.x", "1.2.3 2.0.0", "1.2.4 3.0.0"},
    {"<1||>=2 <2.5 || 9.9.9", "0.1.0 2.4.9 9.9.9", "1.0.0 2.5.0"},
    {"1.0.0 - 1.5.0||~3.1", "1.5.0 3.1.9", "1.5.1 3.2.0"},
    {"||", "1.2.3", "1.2.3-a"},
    {"1.2.3 ||", "1.2.3 9.9.9", "1.2.3-a"},
    {"<x || 1.2.3", "1.2.3", "1.2.4"},
    {"1.2.3-a || 2", "1.2.3-a 2.0.0", "1.2.3-b 1.2.3"},
    {"* || 1.2.3-a", "1.2.3", "1.2.3-a"},
    {"1.2.3-a || >=0", "1.2.3", "1.2.3-a"},
    {"1.2.3-a || 0.0.0 - x", "1.2.3", "1.2.3-a"},
    {">=0.0.0 <2 || 1.2.3-a", "1.2.3 1.2.3-a", "2.0.0"},
    // A pre-release is let in by its own set alone, and by its own triple alone.
    {">=1.2.3-a <2.0.0", "1.2.3-a 1.2.3-b 1.9.9", "1.2.4-a 2.0.0-a"},
    {">1.2.3-alpha.3", "1.2.3-alpha.7 3.4.5", "3.4.5-alpha.9 1.2.3-alpha.3"},
    {">=1.2.3-a || <3", "1.2.3-b 2.0.0", "1.3.0-a"},
    {"<2.0.0-b", "1.9.9 2.0.0-a", "2.0.0-b 2.0.0 1.9.9-a"},
    {">=1.2.3 <1.2.3-z", "", "1.2.3-b 1.2.3"},
    {">=1.0.0 <2.0.0-b", "1.0.0 2.0.0-a", "2.0.0"},
    {"1.0.0-99999999999999999999", "1.0.0-99999999999999999999", "1.0.0-99999999999999999998"},
    {"<=9007199254740991.0.0", "9007199254740991.0.0", "9007199254740991.0.1"},
};

static void expect_all(const char *range, const char *versions, bool expected)
{
    char list[256];
    snprintf(list, sizeof(list), "%s", versions);
    char *rest = NULL;
    for (char *v = strtok_r(list, " ", &rest); v != NULL; v = strtok_r(NULL, " ", &rest)) {
        struct status st;
        bool satisfied = !expected;
        status_clear(&st);
        if (semver_satisfies(v, range, &satisfied, &st) != STATUS_OK)
            fail_msg("%s in \"%s\": %s", v, range, st.detail);
        if (satisfied != expected)
            fail_msg("%s in \"%s\": %d", v, range, satisfied);
    }
}

static void knows_what_is_in_a_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct status st;
        expect_all(ranges[i].range, ranges[i].in, true);
        expect_all(ranges[i].range, ranges[i].out, false);
        assert_int_equal(semver_check_range(ranges[i].range, &st), STATUS_OK);
    }
}

// A range joined with one that nothing is in, whichever comes first, is what it was.
static void joins_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        char joined[256];
        snprintf(joined, sizeof(joined), "%s || <0.0.0", ranges[i].range);
        expect_all(joined, ranges[i].in, true);
        expect_all(joined, ranges[i].out, false);
        snprintf(joined, sizeof(joined), "<0.0.0||%s", ranges[i].range);
        expect_all(joined, ranges[i].in, true);
        expect_all(joined, ranges[i].out, false);
    }
}

static void says_what_is_wrong_with_a_range(void **state)
{
    (void)state;
    static const struct {
        const char *range, *sentence;
    } cases[] = {
        {"latest", "a number is missing"},
        {">", "a number is missing"},
        {"^", "a number is missing"},
        {"~ ", "a number is missing"},
        {"1.2.3 -", "a number is missing"},
        {"1.2.3 - ", "a number is missing"},
        {"- 1.2.3", "a number is missing"},
        {"1.2.3 -2", "a number is missing"},
        {"1.2.3- 2", "its pre-release has an empty part"},
        {"1..2", "a number is missing"},
        {"1.", "a number is missing"},
        {"> = 1.2.3", "a number is missing"},
        {"=>1.2.3", "a number is missing"},
        {"==1.2.3", "a number is missing"},
        {">==1.2.3", "a number is missing"},
        {"v=1.2.3", "a number is missing"},
        {"==1.2", "a number is missing"},
        {"v=1.2", "a number is missing"},
        {"^=1.2", "a number is missing"},
        {"> =1.2", "a number is missing"},
        {"< =*", "a number is missing"},
        {"=1 - 2", "a number is missing"},
        {"~ >1.2", "a number is missing"},
        {"^^1.2", "a number is missing"},
        {"!1.2", "a number is missing"},
        {"1.2.3,2", "something follows a version"},
        {"1.2.3<2", "something follows a version"},
        {"1.2.3.4", "something follows a version"},
        {"1.2-beta", "something follows a version"},
        {"1.2.3*", "something follows a version"},
        {"*1.2.3", "something follows a version"},
        {"1.x.3", "a number follows an x"},
        {"x.1", "a number follows an x"},
        {"01.2.3", "leading zero"},
        {"^1.02", "leading zero"},
        {">=1.2.3-01", "leading zero"},
        {"1.2.3+", "its build metadata have an empty part"},
        {"1 - 2 - 3", "something follows a hyphen range"},
        {"1.2.3 - 2 <3", "something follows a hyphen range"},
        {">1 - 2", "a number is missing"},
        {"1 | 2", "a single |"},
        {"1|", "a single |"},
        {"1 || 2 |", "a single |"},
        {"1.2.3 || latest", "a number is missing"},
        {"^9007199254740992", "greater than 9007199254740991"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct status st;
        bool satisfied = true;
        status_clear(&st);
        assert_int_equal(semver_satisfies("1.2.3", cases[i].range, &satisfied, &st),
                         STATUS_INVALID);
        assert_false(satisfied);
        if (strstr(st.detail, cases[i].sentence) == NULL ||
            strstr(st.detail, "is no range of versions") == NULL)
            fail_msg("\"%s\": %s", cases[i].range, st.detail);
        assert_int_equal(semver_check_range(cases[i].range, NULL), STATUS_INVALID);
    }
    struct status st;
    bool satisfied;
    assert_int_equal(semver_satisfies("one", "*", &satisfied, &st), STATUS_INVALID);
    assert_non_null(strstr(st.detail, "\"one\" is no version"));
}

// --- random texts ---

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

// Whatever the bytes, an answer and no read beyond them (the sanitizers watch); what is a version
// equals itself, and is in the range of its own name, as in its caret and its tilde.
static void takes_any_text(void **state)
{
    (void)state;
    static const char alphabet[] = "0123999.....--+vx*^~<>=| |ab";
    uint32_t seed = 20260501;
    unsigned versions = 0, in_ranges = 0;
    for (unsigned i = 0; i < 300000; i++) {
        char text[24] = "1.2.3-a";
        size_t length = next_random(&seed) % (sizeof(text) - 1);
        size_t from = i % 2 ? 0 : (next_random(&seed) % 7); // half start like a version
        for (size_t j = from; j < length; j++)
            text[j] = alphabet[next_random(&seed) % (sizeof(alphabet) - 1)];
        text[length] = '\0';
        struct semver version;
        bool satisfied;
        in_ranges += semver_satisfies("1.2.3", text, &satisfied, NULL) == STATUS_OK;
        if (semver_parse(text, &version, NULL) != STATUS_OK)
            continue;
        versions++;
        assert_int_equal(semver_compare(&version, &version), 0);
        const char *bare = text + strspn(text, " =v");
        char range[32];
        for (const char *op = "^~="; *op != '\0'; op++) {
            snprintf(range, sizeof(range), "%c%s", *op, bare);
            expect_all(range, bare, true);
        }
    }
    assert_true(versions > 1000);
    assert_true(in_ranges > 10000);
}

// The order of random versions is one: never a > b > c > a.
static void order_is_total(void **state)
{
    (void)state;
    static const char *const tails[] = {"", "-0", "-1", "-a", "-a.0", "-a.1", "-a.b", "--", "-10"};
    struct semver v[8 * COUNT(tails)];
    for (size_t i = 0; i < COUNT(v); i++) {
        char text[32];
        const char *tail = tails[i % COUNT(tails)];
        size_t n = i / COUNT(tails);
        snprintf(text, sizeof(text), "%zu.%zu.%zu", n & 1, n >> 1 & 1, n >> 2 & 1);
        v[i] = parse(text);
        v[i].prerelease = *tail != '\0' ? tail + 1 : NULL;
        v[i].prerelease_length = *tail != '\0' ? strlen(tail + 1) : 0;
    }
    for (size_t a = 0; a < COUNT(v); a++) {
        for (size_t b = 0; b < COUNT(v); b++) {
            int ab = semver_compare(&v[a], &v[b]);
            assert_int_equal(ab == 0, a == b);
            assert_int_equal(ab > 0, semver_compare(&v[b], &v[a]) < 0);
            for (size_t c = 0; ab > 0 && c < COUNT(v); c++) {
                if (semver_compare(&v[b], &v[c]) > 0)
                    assert_true(semver_compare(&v[a], &v[c]) > 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_versions), cmocka_unit_test(says_what_is_wrong_with_a_version),
        cmocka_unit_test(orders_versions), cmocka_unit_test(knows_what_is_in_a_range),
        cmocka_unit_test(joins_ranges),    cmocka_unit_test(says_what_is_wrong_with_a_range),
        cmocka_unit_test(takes_any_text),  cmocka_unit_test(order_is_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
