// SPDX-License-Identifier: Apache-2.0
// What the simulator remembers, and that it forgets the oldest when there is no room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

static void effects_are_found_by_key(void **state)
{
    struct sim_effects effects = {0};
    (void)state;
    assert_null(sim_effect_find(&effects, 1));
    // the same bucket, three times
    for (uint64_t i = 0; i < 3; i++)
        sim_effect_add(&effects, 5 + i * SIM_EFFECTS_MAX)->polls = (uint32_t)i;
    for (uint64_t i = 0; i < 3; i++) {
        struct sim_effect *effect = sim_effect_find(&effects, 5 + i * SIM_EFFECTS_MAX);
        assert_non_null(effect);
        assert_int_equal(effect->polls, i);
        assert_int_equal(effect->number, i + 1);
    }
    assert_null(sim_effect_find(&effects, 5 + 3 * (uint64_t)SIM_EFFECTS_MAX));
    assert_null(sim_effect_find(&effects, 6));
    sim_effects_deinit(&effects);
    assert_null(sim_effect_find(&effects, 5));
}

static void the_oldest_effect_is_forgotten(void **state)
{
    struct sim_effects effects = {0};
    uint64_t many = 2 * (uint64_t)SIM_EFFECTS_MAX + 10;
    (void)state;
    // few buckets with long chains would be slow: a key each, every third bucket twice
    for (uint64_t i = 0; i < many; i++)
        sim_effect_add(&effects, i * 3);
    assert_null(sim_effect_find(&effects, (many - SIM_EFFECTS_MAX - 1) * 3));
    for (uint64_t i = many - SIM_EFFECTS_MAX; i < many; i++)
        assert_int_equal(sim_effect_find(&effects, i * 3)->number, i + 1);
    sim_effects_deinit(&effects);
}

static void documents_are_replaced_and_bounded(void **state)
{
    static char text[SIM_DOCUMENT_BYTES + 1];
    struct sim_documents documents = {0};
    char name[16];
    (void)state;
    memset(text, 'x', sizeof(text));
    assert_null(sim_document_find(&documents, "a"));
    assert_true(sim_document_put(&documents, "a", "one", 3));
    assert_true(sim_document_put(&documents, "a", "two and more", 3));
    assert_string_equal(sim_document_find(&documents, "a"), "two");
    assert_false(sim_document_put(&documents, "a", text, sizeof(text)));
    assert_string_equal(sim_document_find(&documents, "a"), "two");
    assert_true(sim_document_put(&documents, "long", text, sizeof(text) - 1));
    assert_int_equal(strlen(sim_document_find(&documents, "long")), SIM_DOCUMENT_BYTES);
    for (int i = 0; i < SIM_DOCUMENTS_MAX - 1; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_true(sim_document_put(&documents, name, name, strlen(name)));
    }
    assert_null(sim_document_find(&documents, "a"));
    assert_non_null(sim_document_find(&documents, "long"));
    assert_string_equal(sim_document_find(&documents, "n1022"), "n1022");
    sim_documents_deinit(&documents);
    assert_null(sim_document_find(&documents, "long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_are_found_by_key),
        cmocka_unit_test(the_oldest_effect_is_forgotten),
        cmocka_unit_test(documents_are_replaced_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
