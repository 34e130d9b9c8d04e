// SPDX-License-Identifier: Apache-2.0
// URI references: the examples of RFC 3986 section 5.4, normalisation, and odd ones.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/uri_priv.h"

#include <string.h>

static void assert_resolves(const char *base, const char *reference, const char *expected)
{
    struct uri base_uri, uri;
    struct buf out = {0};

    uri_split(base, strlen(base), &base_uri);
    uri_split(reference, strlen(reference), &uri);
    uri_resolve(&base_uri, &uri, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_deinit(&out);
}

static void test_rfc_examples(void **state)
{
    (void)state;
    static const char *const examples[][2] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g#s/../x", "http://a/b/c/g"},
        {"http:g", "http:g"},
    };

    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
        assert_resolves("http://a/b/c/d;p?q", examples[i][0], examples[i][1]);
}

static void test_bases(void **state)
{
    (void)state;
    assert_resolves("http://a", "g", "http://a/g");
    assert_resolves("t:/a", "/..//b", "t:/.//b"); // no authority: "t://b" would have one
    assert_resolves("", "t:/.//b", "t:/.//b");
    assert_resolves("t:/a", "//b/..//c", "t://b//c");
    assert_resolves("", "./a:b", "./a:b"); // no scheme: "a:b" would have one
    assert_resolves("", "g.json", "g.json");
    assert_resolves("", "", "");
    assert_resolves("urn:uuid:1-2", "", "urn:uuid:1-2");
    assert_resolves("urn:example:a?+x", "#/y", "urn:example:a?+x");
    assert_resolves("file:///d/s.json", "../e/t.json", "file:///e/t.json");
    assert_resolves("", ".", "");
    assert_resolves("", "..", "");
    assert_resolves("", "./a", "a");
}

static void test_normal_form(void **state)
{
    (void)state;
    assert_resolves("", "HTTP://User@EXAMPLE.com/%7ea/%2fb%c3%A9?Q",
                    "http://User@example.com/~a/%2Fb%C3%A9?Q");
    assert_resolves("", "http://a/%4", "http://a/%4");
    assert_resolves("", "http://a/%zz", "http://a/%zz");
    assert_resolves("", "1a:b", "1a:b"); // no scheme
    assert_resolves("", "http://a/%00", "http://a/%00");
    assert_resolves("http://a/b", "c%2E%2E/d", "http://a/c../d");
    assert_resolves("http://a/b/", "%2E%2E/d", "http://a/d");
}

static void test_decode(void **state)
{
    (void)state;
    char text[] = "a%20b%41%c3", bad[] = "a%2", worse[] = "%g0";
    size_t length = strlen(text);

    assert_true(uri_percent_decode(text, &length));
    assert_int_equal(length, 5);
    assert_memory_equal(text, "a bA\xc3", 5);
    length = strlen(bad);
    assert_false(uri_percent_decode(bad, &length));
    length = strlen(worse);
    assert_false(uri_percent_decode(worse, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_examples),
        cmocka_unit_test(test_bases),
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
