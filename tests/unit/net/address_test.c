// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/address.h"

#include <string.h>
#include <sys/socket.h>

static const char *kind_of(const char *text)
{
    struct sockaddr_storage address;
    if (!address_parse(text, &address))
        fail_msg("\"%s\" is not taken for an address", text);
    return address_not_public((const struct sockaddr *)&address);
}

static void test_public_addresses(void **state)
{
    (void)state;
    // Both neighbours of every special network, where they are public.
    static const char *const texts[] = {
        "1.0.0.0",          "9.255.255.255",   "11.0.0.0",          "100.63.255.255",
        "100.128.0.0",      "126.255.255.255", "128.0.0.0",         "169.253.255.255",
        "169.255.0.0",      "172.15.255.255",  "172.32.0.0",        "191.255.255.255",
        "192.0.1.0",        "192.0.1.255",     "192.0.3.0",         "192.88.98.255",
        "192.88.100.0",     "192.167.255.255", "192.169.0.0",       "198.17.255.255",
        "198.20.0.0",       "198.51.99.255",   "198.51.101.0",      "203.0.112.255",
        "203.0.114.0",      "223.255.255.255", "8.8.8.8",           "2001:4860:4860::8888",
        "2001:200::1",      "2001:db7::1",     "2001:db9::1",       "2a00:1450::1",
        "3fff:1000::1",     "2003::1",         "::ffff:8.8.8.8",    "::8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1", "2606:4700::1111%1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (kind_of(texts[i]) != NULL)
            fail_msg("%s is called %s", texts[i], kind_of(texts[i]));
    }
}

static void test_others_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"0.0.0.0", "unspecified"},
        {"0.255.255.255", "unspecified"},
        {"10.0.0.0", "private"},
        {"10.255.255.255", "private"},
        {"100.64.0.0", "private"},
        {"100.127.255.255", "private"},
        {"127.0.0.1", "loopback"},
        {"127.255.255.255", "loopback"},
        {"169.254.0.0", "link-local"},
        {"169.254.169.254", "link-local"},
        {"172.16.0.0", "private"},
        {"172.31.255.255", "private"},
        {"192.0.0.8", "reserved"},
        {"192.0.2.255", "documentation"},
        {"192.88.99.1", "reserved"},
        {"192.168.0.0", "private"},
        {"192.168.255.255", "private"},
        {"198.18.0.0", "reserved"},
        {"198.19.255.255", "reserved"},
        {"198.51.100.1", "documentation"},
        {"203.0.113.1", "documentation"},
        {"224.0.0.1", "multicast"},
        {"239.255.255.255", "multicast"},
        {"240.0.0.0", "reserved"},
        {"255.255.255.255", "reserved"},
        {"::", "unspecified"},
        {"::1", "loopback"},
        {"::2", "unspecified"},
        {"::127.0.0.1", "loopback"},
        {"::ffff:127.0.0.1", "loopback"},
        {"::ffff:10.1.2.3", "private"},
        {"::ffff:0:10.1.2.3", "reserved"},
        {"64:ff9b::10.1.2.3", "private"},
        {"64:ff9b::169.254.169.254", "link-local"},
        {"64:ff9b:1::1", "reserved"},
        {"100::1", "reserved"},
        {"2001::1", "reserved"},
        {"2001:1ff:ffff::1", "reserved"},
        {"2001:db8::1", "documentation"},
        {"3fff:fff::1", "documentation"},
        {"2002:7f00:1::", "loopback"},
        {"2002:c0a8:101::1", "private"},
        {"4000::1", "reserved"},
        {"5f00::1", "reserved"},
        {"fc00::1", "private"},
        {"fdff::1", "private"},
        {"fe00::1", "reserved"},
        {"fe80::1", "link-local"},
        {"fe80::1%eth0", "link-local"},
        {"febf::1", "link-local"},
        {"fec0::1", "private"},
        {"ff02::1", "multicast"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *kind = kind_of(cases[i][0]);
        if (kind == NULL || strstr(kind, cases[i][1]) == NULL)
            fail_msg("%s is called %s", cases[i][0], kind != NULL ? kind : "public");
    }
}

static void test_other_families_are_not_public(void **state)
{
    (void)state;
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_non_null(address_not_public(&local));
}

static void test_names_are_no_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          "localhost",
        "1.2.3",     "1.2.3.4.5",
        "1.2.3.256", "1::2::3",
        "[::1]",     "1.2.3.4%lo",
        "%",         "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
    struct sockaddr_storage address;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (address_parse(texts[i], &address))
            fail_msg("\"%s\" is taken for an address", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_others_are_named),
        cmocka_unit_test(test_other_families_are_not_public),
        cmocka_unit_test(test_names_are_no_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
