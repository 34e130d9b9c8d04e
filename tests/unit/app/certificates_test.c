// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/certificates.h"
#include "net/fake_ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct files {
    char dir[64];
    char ca[96], junk[96], missing[96];
};

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_files(void **state)
{
    struct files *f = calloc(1, sizeof(*f));
    *state = f;
    if (f == NULL)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/cxsink-certificates-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->ca, sizeof(f->ca), "%s/ca.pem", f->dir);
    snprintf(f->junk, sizeof(f->junk), "%s/junk.pem", f->dir);
    snprintf(f->missing, sizeof(f->missing), "%s/missing.pem", f->dir);
    struct fake_certificate ca = fake_certificate_make(
        &(struct fake_certificate_options){.name = "Test CA", .is_ca = 1, .not_after = 86400},
        NULL);
    fake_write_certificate(&ca, f->ca);
    fake_certificate_free(&ca);
    write_text(f->junk, "this is not PEM\n");
    return 0;
}

static int remove_files(void **state)
{
    struct files *f = *state;
    unlink(f->ca);
    unlink(f->junk);
    unlink(f->missing);
    rmdir(f->dir);
    free(f);
    return 0;
}

// --- what cannot be used ---

static void test_every_fault_is_found(void **state)
{
    struct files *f = *state;
    struct config_auth auths[] = {{.name = "plain"},
                                  {.name = "wrong", .tls = {.ca_file = f->junk}}};
    struct config_stream streams[] = {{.name = "good", .tls = {.ca_file = f->ca}},
                                      {.name = "gone", .tls = {.ca_file = f->missing}},
                                      {.name = "client", .tls = {.cert_file = f->missing}}};
    struct config config = {.auth = auths, .n_auth = 2, .streams = streams, .n_streams = 3};
    struct config_faults faults = {0};
    certificates_check(&config, &faults);
    assert_int_equal(faults.count, 3);
    assert_string_equal(faults.items[0].pointer, "/auth/wrong/tls");
    assert_non_null(strstr(faults.items[0].message, f->junk));
    assert_string_equal(faults.items[1].pointer, "/streams/gone/tls");
    assert_non_null(strstr(faults.items[1].message, f->missing));
    assert_string_equal(faults.items[2].pointer, "/streams/client/tls");
    config_faults_free(&faults);
}

// --- what changed ---

static void test_marks_tell_changes(void **state)
{
    struct files *f = *state;
    struct config_tls none = {0};
    struct config_tls tls = {.ca_file = f->ca, .cert_file = f->missing, .key_file = f->junk};
    struct certificates_mark empty = certificates_mark(&none), before = certificates_mark(&tls);
    struct certificates_mark again = certificates_mark(&tls);
    assert_true(certificates_mark_equal(&before, &again));
    assert_false(certificates_mark_equal(&before, &empty));

    write_text(f->missing, "now it is there");
    struct certificates_mark there = certificates_mark(&tls);
    assert_false(certificates_mark_equal(&before, &there));

    // Another size, then another file of the same size under the name.
    write_text(f->missing, "now it is longer, too");
    struct certificates_mark longer = certificates_mark(&tls);
    assert_false(certificates_mark_equal(&there, &longer));
    char other[112];
    snprintf(other, sizeof(other), "%s.new", f->missing);
    write_text(other, "now it is longer, two");
    assert_int_equal(rename(other, f->missing), 0);
    struct certificates_mark renamed = certificates_mark(&tls);
    assert_false(certificates_mark_equal(&longer, &renamed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_fault_is_found, make_files, remove_files),
        cmocka_unit_test_setup_teardown(test_marks_tell_changes, make_files, remove_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
