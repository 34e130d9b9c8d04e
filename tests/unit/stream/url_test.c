// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream/url.h"

#include <stdio.h>
#include <string.h>

static struct ws_url parse(const char *text)
{
    struct ws_url url;
    struct status st;
    status_clear(&st);
    if (ws_url_parse(text, &url, &st) != STATUS_OK)
        fail_msg("%s: %s", text, st.detail);
    return url;
}

static void takes_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *authority, *target;
        unsigned short port;
        bool tls, numeric;
    } cases[] = {
        {"wss://api.example.com/v1/stream/a-b?x=1&y=2", "api.example.com", "api.example.com",
         "/v1/stream/a-b?x=1&y=2", 443, true, false},
        {"ws://h", "h", "h", "/", 80, false, false},
        {"WS://H:8080", "H", "H:8080", "/", 8080, false, false},
        {"ws://h:80/", "h", "h", "/", 80, false, false},
        {"wss://h:80/", "h", "h:80", "/", 80, true, false},
        {"wss://h?q=1", "h", "h", "/?q=1", 443, true, false},
        {"ws://127.0.0.1:1/", "127.0.0.1", "127.0.0.1:1", "/", 1, false, true},
        {"ws://[::1]:65535/p", "::1", "[::1]:65535", "/p", 65535, false, true},
        {"wss://[2001:db8::7]", "2001:db8::7", "[2001:db8::7]", "/", 443, true, true},
        {"ws://h/a@b:c", "h", "h", "/a@b:c", 80, false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_url url = parse(cases[i].text);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.authority, cases[i].authority);
        assert_string_equal(url.target, cases[i].target);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.tls, cases[i].tls);
        assert_int_equal(url.numeric, cases[i].numeric);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "http://h/",
        "h",
        "wss:/h",
        "wss://",
        "wss:///path",
        "wss://?secret",
        "wss://:443/",
        "wss://h:0/",
        "wss://h:65536/",
        "wss://h:/",
        "wss://h:1x/",
        "wss://h:123456/",
        "wss://user:secret@h/",
        "wss://h/a b",
        "wss://h/a\r\nX: secret",
        "wss://h/\xc3\xa9",
        "wss://h/#secret",
        "wss://[::1/",
        "wss://[::1]x/",
        "wss://[]/",
        "wss://[h]/",
        "wss://[127.0.0.1]/",
        "wss://h\\secret/",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_url url;
        struct status st;
        assert_int_equal(ws_url_parse(cases[i], &url, &st), STATUS_INVALID);
        assert_true(st.detail[0] != '\0');
        assert_null(strstr(st.detail, "secret"));
    }
}

static void bounds_lengths(void **state)
{
    (void)state;
    char text[3000];
    struct ws_url url;
    struct status st;
    snprintf(text, sizeof(text), "wss://h/%0*d", WS_TARGET_MAX - 1, 0);
    assert_int_equal(strlen(parse(text).target), WS_TARGET_MAX);
    snprintf(text, sizeof(text), "wss://h/%0*d", WS_TARGET_MAX, 0);
    assert_int_equal(ws_url_parse(text, &url, &st), STATUS_INVALID);
    snprintf(text, sizeof(text), "wss://%0*d:65535/", WS_HOST_MAX, 0);
    assert_int_equal(strlen(parse(text).host), WS_HOST_MAX);
    snprintf(text, sizeof(text), "wss://%0*d/", WS_HOST_MAX + 1, 0);
    assert_int_equal(ws_url_parse(text, &url, &st), STATUS_INVALID);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_apart),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
