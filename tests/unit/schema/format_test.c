// SPDX-License-Identifier: Apache-2.0
// Each format from both sides.
#include "schema_fixture.h"

#include "schema/format_priv.h"

static bool right(const char *format, const char *text)
{
    enum format found = format_find(format, strlen(format));
    char *copy = malloc(strlen(text) > 0 ? strlen(text) : 1); // reading too far is found

    assert_true(found != FORMAT_UNKNOWN);
    assert_string_equal(format_name(found), format);
    memcpy(copy, text, strlen(text));
    bool ok = format_check(found, copy, strlen(text));
    free(copy);
    return ok;
}

static void check(const char *format, const char *const *good, const char *const *bad)
{
    for (; *good != NULL; good++)
        if (!right(format, *good))
            fail_msg("%s refuses %s", format, *good);
    for (; *bad != NULL; bad++)
        if (right(format, *bad))
            fail_msg("%s accepts %s", format, *bad);
}

static void test_date_time(void **state)
{
    (void)state;
    static const char *const good[] = {"2025-03-14T09:26:53Z",
                                       "2025-03-14T09:26:53.589Z",
                                       "2025-03-14t09:26:53z",
                                       "2025-03-14T09:26:53.123456+05:45",
                                       "2024-02-29T00:00:00-00:00",
                                       "2000-02-29T00:00:00Z",
                                       "1998-12-31T23:59:60Z",
                                       "1998-12-31T15:59:60.123-08:00",
                                       "1990-12-31T18:59:60-05:00",
                                       "1999-01-01T00:59:60+01:00",
                                       "0000-01-01T00:00:00Z",
                                       "2025-03-14T23:59:59+23:59",
                                       NULL};
    static const char *const bad[] = {"2025-03-14 09:26:53Z",
                                      "2025-03-14T09:26:53",
                                      "2025-02-30T00:00:00Z",
                                      "2025-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2025-13-01T00:00:00Z",
                                      "2025-00-01T00:00:00Z",
                                      "2025-01-00T00:00:00Z",
                                      "2025-01-32T00:00:00Z",
                                      "2025-03-14T25:00:00Z",
                                      "2025-03-14T24:00:00Z",
                                      "2025-03-14T09:60:00Z",
                                      "2025-03-14T09:26:61Z",
                                      "2025-03-14T09:26:60Z",
                                      "1998-12-31T22:59:60Z",
                                      "1998-12-31T23:59:60+01:00",
                                      "2025-03-14T09:26:53.Z",
                                      "2025-03-14T09:26:53+5:45",
                                      "2025-03-14T09:26:53+0545",
                                      "2025-03-14T09:26:53+24:00",
                                      "2025-03-14T09:26:53+00:60",
                                      "2025-03-14T09:26Z",
                                      "T25:00:00Z",
                                      "25-03-14T09:26:53Z",
                                      "2025-3-14T09:26:53Z",
                                      "2025-03-14T09:26:53Z ",
                                      "1741944413",
                                      "",
                                      "\xd9\xa1"
                                      "025-03-14T09:26:53Z",
                                      "2025-03-14T09:26:53,5Z",
                                      NULL};
    check("date-time", good, bad);
}

static void test_date_and_time(void **state)
{
    (void)state;
    static const char *const dates[] = {"2025-12-31", "2024-02-29", NULL};
    static const char *const no_dates[] = {"2025-04-31", "2025-1-1", "2025-01-011",
                                           "20250101",   "",         NULL};
    static const char *const times[] = {"00:00:00Z", "23:59:60Z", "01:29:60+01:30",
                                        "08:30:06.28+00:00", NULL};
    static const char *const no_times[] = {"08:30:06",     "24:00:00Z", "1:2:3Z", "22:59:60Z",
                                           "08:30:06 PST", "",          NULL};

    check("date", dates, no_dates);
    check("time", times, no_times);
}

static void test_duration(void **state)
{
    (void)state;
    static const char *const good[] = {"P4DT12H30M5S", "P4Y",   "PT0S",    "P0D", "P1M",
                                       "PT1M",         "PT36H", "P1DT12H", "P2W", NULL};
    static const char *const bad[] = {"PT1D",  "P",    "P1YT",  "PT",    "P2D1Y",  "P1D2H",
                                      "P2S",   "P1",   "P1Y2W", "P1Y2D", "PT1H1S", "4D",
                                      "P1.5D", "P1DT", "",      NULL};
    check("duration", good, bad);
}

static void test_email(void **state)
{
    (void)state;
    static const char *const good[] = {"joe.bloggs@example.com",
                                       "te~st@example.com",
                                       "\"joe bloggs\"@example.com",
                                       "\"joe\\\"@x\"@example.com",
                                       "joe@[127.0.0.1]",
                                       "joe@[IPv6:::1]",
                                       "a@b",
                                       NULL};
    static const char *const bad[] = {"2962",
                                      ".test@example.com",
                                      "test.@example.com",
                                      "te..st@example.com",
                                      "joe@",
                                      "@example.com",
                                      "joe@-a.com",
                                      "joe@a-.com",
                                      "joe@a..b",
                                      "joe@[127.0.0.300]",
                                      "joe@[127.0.0.1",
                                      "\"joe@example.com",
                                      "\"joe\\",
                                      "joe bloggs@example.com",
                                      "joe@[x:1]",
                                      "joe@a.com,b@c.com",
                                      "",
                                      NULL};
    check("email", good, bad);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const v4[] = {"192.168.0.1", "0.0.0.0", "255.255.255.255", NULL};
    static const char *const no_v4[] = {"256.0.0.1",  "1.2.3",   "1.2.3.4.5",  "01.2.3.4",
                                        "1.2.3.4 ",   "1.2.3.a", "0x7f.1.1.1", "1..2.3",
                                        "1.2.3.4/24", "",        NULL};
    static const char *const v6[] = {"::1",
                                     "::",
                                     "1::",
                                     "1:2:3:4:5:6:7:8",
                                     "::ffff:192.168.0.1",
                                     "1:2:3:4:5:6:1.2.3.4",
                                     "a::b:C",
                                     "1::3:4:5:6:7:8",
                                     NULL};
    static const char *const no_v6[] = {":",
                                        ":1",
                                        "1:",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1::2::3",
                                        "12345::",
                                        "::g",
                                        "1:2:3:4:5:6:7:1.2.3.4",
                                        "::1.2.3",
                                        ":::",
                                        "1:2:3:4::5:6:7:8",
                                        "::1%eth0",
                                        "1.2.3.4",
                                        "::1:",
                                        "",
                                        NULL};

    check("ipv4", v4, no_v4);
    check("ipv6", v6, no_v6);
}

static void test_identifiers(void **state)
{
    (void)state;
    static const char *const uuids[] = {"2eb8aa08-aa98-11ea-b4aa-73b441d16380",
                                        "2EB8AA08-AA98-11EA-B4AA-73B441D16380", NULL};
    static const char *const no_uuids[] = {"2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                                           "2eb8aa08aa9811eab4aa73b441d16380",
                                           "2eb8aa08-aa98-11ea-b4ga-73b441d16380",
                                           "2eb8aa08-aa98-11eab-4aa-73b441d16380",
                                           "",
                                           NULL};
    static const char *const pointers[] = {"", "/", "/a~0b~1c", "//", "/\xc3\xa4", NULL};
    static const char *const no_pointers[] = {"a", "/~", "/~2", "#/a", NULL};
    static const char *const relatives[] = {"0", "1/a", "120#", "0#", "2/", NULL};
    static const char *const no_relatives[] = {"", "/a", "01", "-1", "1a", "0##", "+1/a", NULL};
    static const char *const regexes[] = {"^[a-z]+$", "", "(?<y>\\d{4})", NULL};
    static const char *const no_regexes[] = {"^(abc]", "\\Z", "a**", NULL};

    check("uuid", uuids, no_uuids);
    check("json-pointer", pointers, no_pointers);
    check("relative-json-pointer", relatives, no_relatives);
    check("regex", regexes, no_regexes);
}

static void test_uris(void **state)
{
    (void)state;
    static const char *const uris[] = {"http://foo.bar/?baz=qux#quux",
                                       "urn:oasis:names",
                                       "mailto:a@b",
                                       "http://u:p@h:80/p;a?q",
                                       "ldap://[2001:db8::7]/c=GB?o",
                                       "http://[v1.a:b]/",
                                       "file:///etc",
                                       "tel:+1-816-555-1212",
                                       "a:",
                                       "http://h/%41",
                                       NULL};
    static const char *const no_uris[] = {"//foo",
                                          "/abc",
                                          "abc",
                                          "http://a b",
                                          "http://h/%4",
                                          "http://h/%zz",
                                          "http://[::g]/",
                                          "http://h:80a/",
                                          "http://\xc3\xa4/",
                                          "1a:b",
                                          ":a",
                                          "http://h/<>",
                                          "http://[::1",
                                          "http://[v.x]/",
                                          "http://h/a#b#c",
                                          "",
                                          "bar,\\x://h",
                                          NULL};
    static const char *const references[] = {"",      "/abc",  "#f",   "?q",
                                             "//h/p", "a/b:c", "../x", NULL};
    static const char *const no_references[] = {"a b", "1:b", "#a\\b", "\xc3\xa4", NULL};
    static const char *const iris[] = {
        "http://\xc6\x92\xc3\xb8\xc3\xb8.\xc3\x9f\xc3\xa5r/?\xe2\x88\x82=\xf0\x9f\x98\x80",
        "http://h/?\xee\x80\x80", NULL};
    static const char *const no_iris[] = {"http://h/\xee\x80\x80", "http://h/\xc2\x80", "/abs",
                                          NULL};

    check("uri", uris, no_uris);
    check("uri-reference", references, no_references);
    check("iri", iris, no_iris);
    check("iri-reference", iris, (const char *const[]){"a b", NULL});
}

static void test_uri_templates(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",  "http://x/{term:1}/{term}", "{+a.b,c*}", "{?x,y}", "a%20b", "{%41b}", "\xc3\xa4{#v}",
        NULL};
    static const char *const bad[] = {"{",      "}",    "{a",    "{}",  "{a:0}", "{a:12345}",
                                      "{a..b}", "{a.}", "{a b}", "a b", "%4",    "{=a}",
                                      "<a>",    "{a,}", "{%4}",  NULL};
    check("uri-template", good, bad);
}

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void test_hostnames(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "1host",
                                       "a--b.Example",
                                       "ab--cd.example",
                                       "127.0.0.1",
                                       LABEL_63 "." LABEL_63 "." LABEL_63 ".a",
                                       "xn--4gbwdl.xn--wgbh1c",
                                       "XN--4GBWDL.com",
                                       "xn--mnchen-3ya.de",
                                       NULL};
    static const char *const bad[] = {"",
                                      ".",
                                      "a.",
                                      ".a",
                                      "a..b",
                                      "-a",
                                      "a-.b",
                                      "a_b",
                                      "a b",
                                      "a\n",
                                      LABEL_63 "l",
                                      LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63,
                                      "m\xc3\xbcnchen.de",
                                      "a\xe3\x80\x82"
                                      "b",
                                      "xn--",
                                      "xn--X",
                                      "xn--7a",
                                      "0.xn--4gbwdl",
                                      NULL};

    check("hostname", good, bad);
}

static void test_idn_hostnames(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "m\xc3\xbcnchen.de", "xn--mnchen-3ya.de",
                                       "a\xef\xbd\xa1"
                                       "b",
                                       // Hebrew beside Latin, with digits of one kind at its end
                                       "a.\xd7\x90"
                                       "1",
                                       "\xd7\x90\xd9\xa0.b", NULL};
    static const char *const bad[] = {
        "", "a\xef\xbd\xa1", "a_\xc3\xbc", "-\xc3\xbc", "M\xc3\xbcnchen",
        "cafe\xcc\x81", // not normalised
        // in a name with Hebrew: digits first, modifiers that have no direction first or last
        "0a.\xd7\x90",
        "\xca\xb9"
        "a.\xd7\x90",
        "a\xca\xb9.\xd7\x90",
        "\xdb\xb1"
        "a.\xd7\x90",
        // digits of both kinds
        "\xd7\x90"
        "0\xd9\xa0",
        "\xd8\xa7\xdb\xb0\xd9\xa0", NULL};
    char long_label[2 * 64 + 1] = "";

    check("idn-hostname", good, bad);
    assert_true(right("idn-hostname", "\xca\xb9"
                                      "a.b"));
    for (int i = 0; i < 64; i++)
        strcat(long_label, "\xc3\xbc");
    assert_false(right("idn-hostname", long_label));
    long_label[2 * 58] = '\0'; // "xn--" and the digits do not leave room for it
    assert_false(right("idn-hostname", long_label));
    assert_false(format_check(FORMAT_IDN_HOSTNAME, "\xc3\xbc\0a", 4));
    assert_false(format_check(FORMAT_HOSTNAME, "xn--a\0b", 7));
}

static void test_idn_email(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a@b", "\xc3\xbc@\xc3\xbc.de", "\"\xc3\xbc b\"@a", "a@cafe\xcc\x81.com", "a@[127.0.0.1]",
        NULL};
    static const char *const bad[] = {"\xc3\xbc",
                                      "a@",
                                      "@a",
                                      "a\xef\xbc\xa0"
                                      "b",
                                      "a@-\xc3\xbc",
                                      NULL};

    check("idn-email", good, bad);
    check("email", (const char *const[]){NULL},
          (const char *const[]){"\xc3\xbc@a", "a@\xc3\xbc", "\"\xc3\xbc\"@a", NULL});
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(format_find("date", 4), FORMAT_DATE);
    assert_int_equal(format_find("dates", 5), FORMAT_UNKNOWN);
    assert_int_equal(format_find("", 0), FORMAT_UNKNOWN);
    assert_string_equal(format_name(FORMAT_UNKNOWN), "unknown");
    assert_false(format_check(FORMAT_UNKNOWN, "", 0));
    assert_string_equal(format_nearest("datetime", 8), "date-time");
    assert_string_equal(format_nearest("Email", 5), "email");
    assert_string_equal(format_nearest("url", 3), "uri");
    assert_null(format_nearest("int64", 5));
    assert_null(format_nearest("unknown", 7));
    assert_null(format_nearest("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date_time), cmocka_unit_test(test_date_and_time),
        cmocka_unit_test(test_duration),  cmocka_unit_test(test_email),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_uris),      cmocka_unit_test(test_uri_templates),
        cmocka_unit_test(test_hostnames), cmocka_unit_test(test_idn_hostnames),
        cmocka_unit_test(test_idn_email), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
