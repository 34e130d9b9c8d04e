// SPDX-License-Identifier: Apache-2.0
// Addresses to listen at.
#include "config_support.h"

#include "config/listen_priv.h"

static void takes_addresses_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned short port;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:9464", "127.0.0.1", 9464, true},
        {"127.1.2.3:1", "127.1.2.3", 1, true},
        {"localhost:65535", "localhost", 65535, true},
        {"127.0.0.1:0", "127.0.0.1", 0, true},
        {"[::1]:9464", "::1", 9464, true},
        {"0.0.0.0:80", "0.0.0.0", 80, false},
        {"[::]:80", "::", 80, false},
        {"10.0.0.1:80", "10.0.0.1", 80, false},
        {"[fe80::1]:80", "fe80::1", 80, false},
        {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *host = NULL;
        unsigned short port = 0;
        assert_true(listen_parse(cases[i].text, &host, &port));
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
        assert_int_equal(listen_is_loopback(host), cases[i].loopback);
        free(host);
    }
}

static void refuses_the_rest(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        ":9464",
        "9464",
        "127.0.0.1",
        "127.0.0.1:",
        "1.2.3.4:65536",
        "1.2.3.4:1x",
        "1.2.3.4:-1",
        "1.2.3.4: 1",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1:80",
        "[]:80",
        "[:80",
        "[127.0.0.1]:80",
        "host.example:80",
        "*:80",
        "1.2.3:80",
        "1.2.3.4:123456",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *host = NULL;
        unsigned short port;
        if (listen_parse(cases[i], &host, &port))
            fail_msg("%s was taken", cases[i]);
        assert_null(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_addresses_apart),
        cmocka_unit_test(refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
