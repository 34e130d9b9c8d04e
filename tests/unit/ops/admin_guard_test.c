// SPDX-License-Identifier: Apache-2.0
// Who is served: hosts, origins, tokens as texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ops/admin_priv.h"

static void a_host_is_read_as_a_whole(void **state)
{
    char name[400];
    (void)state;
    assert_true(admin_guard_host("127.0.0.1", "localhost:9464"));
    assert_true(admin_guard_host("192.0.2.7", "192.0.2.7"));
    assert_true(admin_guard_host("2001:db8::7", "[2001:DB8::7]:9464"));
    assert_false(admin_guard_host("192.0.2.7", "192.0.2.70"));
    assert_false(admin_guard_host("192.0.2.7", "192.0.2"));
    assert_false(admin_guard_host("192.0.2.7", ""));
    assert_true(admin_guard_host("::", "192.0.2.7"));
    assert_false(admin_guard_host("::", "example.com"));
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_false(admin_guard_host("127.0.0.1", name));
}

static void an_origin_is_the_hosts(void **state)
{
    (void)state;
    assert_true(admin_guard_origin("", "localhost:9464"));
    assert_true(admin_guard_origin("http://localhost:9464", "localhost:9464"));
    assert_true(admin_guard_origin("https://LOCALHOST:9464", "localhost:9464"));
    assert_true(admin_guard_origin("http://[::1]:9464", "[::1]:9464"));
    assert_false(admin_guard_origin("null", "localhost:9464"));
    assert_false(admin_guard_origin("null", "null"));
    assert_false(admin_guard_origin("http://", ""));
    assert_false(admin_guard_origin("http://localhost", "localhost:9464"));
    assert_false(admin_guard_origin("http://localhost:9464.evil.io", "localhost:9464"));
    assert_false(admin_guard_origin("http://evil.io://localhost:9464", "localhost:9464"));
    assert_false(admin_guard_origin("http://127.0.0.1:9464", "localhost:9464"));
}

static void a_token_is_the_same_or_not(void **state)
{
    (void)state;
    assert_true(admin_guard_token("secret", "secret", 6));
    assert_false(admin_guard_token("secret", "secreT", 6));
    assert_false(admin_guard_token("secret", "secret", 5));
    assert_false(admin_guard_token("secret", "secret\0", 7));
    assert_false(admin_guard_token("secret", "", 0));
    assert_true(admin_guard_bearer(NULL, ""));
    assert_true(admin_guard_bearer("secret", "bearer secret"));
    assert_false(admin_guard_bearer("secret", "Bearer  secret"));
    assert_false(admin_guard_bearer("secret", "Bearer secret "));
    assert_false(admin_guard_bearer("secret", "secret"));
    assert_false(admin_guard_bearer("secret", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_read_as_a_whole),
        cmocka_unit_test(an_origin_is_the_hosts),
        cmocka_unit_test(a_token_is_the_same_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
