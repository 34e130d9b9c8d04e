// SPDX-License-Identifier: Apache-2.0
// Branches of anyOf and oneOf that are passed over could not have passed: with the choice and
// without it the verdicts are the same, only the work is not.
#include "schema_fixture.h"

#include "core/buf.h"
#include "schema/validate_priv.h"

#define TAGGED(keyword)                                                                            \
    "{\"" keyword "\":["                                                                           \
    "{\"properties\":{\"t\":{\"const\":\"a\"},\"x\":{\"type\":\"string\"}},\"required\":[\"t\"]}," \
    "{\"properties\":{\"t\":{\"enum\":[\"b\",\"c\"]}},\"required\":[\"t\",\"x\"]},"                \
    "{\"properties\":{\"t\":{\"type\":\"string\",\"enum\":[\"c\"]},\"x\":{\"minimum\":3}}},"       \
    "{\"type\":\"null\"},{\"type\":[\"integer\",\"array\"]}]}"

static const char *const schemas[] = {
    TAGGED("anyOf"),
    TAGGED("oneOf"),
    // through references and allOf, with a branch that asks for nothing
    "{\"oneOf\":[{\"$ref\":\"#/$defs/a\"},{\"allOf\":[{\"$ref\":\"#/$defs/b\"},{\"type\":"
    "\"object\"}]},{\"required\":[\"x\"]}],\"$defs\":{\"a\":{\"properties\":{\"t\":{\"const\":"
    "\"a\"}}},\"b\":{\"properties\":{\"t\":{\"const\":\"b\"}},\"required\":[\"t\"]}}}",
    // kinds by const, enum and false
    "{\"anyOf\":[{\"const\":1},{\"enum\":[\"a\",null,[]]},false,{\"const\":{\"t\":\"a\"}}]}",
    "{\"oneOf\":[{\"const\":true},{\"const\":false},{\"enum\":[true,2]},{\"type\":\"number\"}]}",
    // a value that strings do not limit; two that look at the same string in two ways
    "{\"anyOf\":[{\"properties\":{\"t\":{\"enum\":[\"a\",1]}}},{\"properties\":{\"t\":{\"const\":"
    "\"b\"}},\"type\":\"object\"},{\"properties\":{\"t\":{\"const\":\"b\"}},\"minProperties\":2}]}",
    "{\"anyOf\":[{\"properties\":{\"t\":{\"allOf\":[{\"const\":\"a\"}]},\"x\":{\"const\":\"1\"}}},"
    "{\"properties\":{\"t\":{\"const\":\"b\"},\"x\":{\"const\":\"2\"}},\"required\":[\"x\"]}]}",
    // one limit within another
    "{\"oneOf\":[{\"properties\":{\"t\":{\"const\":\"a\"}},\"anyOf\":[{\"properties\":{\"x\":{"
    "\"const\":\"1\"}}},{\"properties\":{\"x\":{\"const\":\"2\"}}}]},{\"properties\":{\"t\":{"
    "\"const\":\"b\"}}}]}",
    // names and strings that need escapes, and such as words do not tell apart
    "{\"oneOf\":[{\"properties\":{\"\\n\":{\"const\":\"\\\"\"}},\"required\":[\"\\n\"]},{"
    "\"properties\":{\"\\n\":{\"const\":\"\\\\\"}}}]}",
    "{\"not\":{\"anyOf\":[{\"properties\":{\"t\":{\"const\":\"a\"}},\"required\":[\"t\"]},{"
    "\"properties\":{\"t\":{\"const\":\"b\"}},\"required\":[\"t\"]}]}}",
};

static const char *const values[] = {
    "null",
    "true",
    "false",
    "1",
    "1.0",
    "1.5",
    "2",
    "-0",
    "\"a\"",
    "\"\\u0061\"",
    "\"b\"",
    "[]",
    "[1]",
    "{}",
    "{\"t\":\"a\"}",
    "{\"t\":\"\\u0061\"}",
    "{\"\\u0074\":\"b\"}",
    "{\"t\":\"b\"}",
    "{\"t\":\"c\"}",
    "{\"t\":\"c\",\"x\":3}",
    "{\"t\":\"c\",\"x\":2}",
    "{\"t\":\"b\",\"x\":1}",
    "{\"x\":1,\"t\":\"a\"}",
    "{\"x\":\"1\",\"t\":\"a\"}",
    "{\"x\":\"2\",\"t\":\"b\"}",
    "{\"t\":1}",
    "{\"t\":null}",
    "{\"t\":[\"a\"]}",
    "{\"t\":\"other\"}",
    "{\"t\":\"\"}",
    "{\"x\":\"2\"}",
    "{\"\\n\":\"\\\"\"}",
    "{\"\\n\":\"\\\\\"}",
    "{\"\\n\":\"\"}",
    "{\"t\":\"b\",\"u\":{}}",
};

static bool verdict(const struct schema *schema, const char *json, int64_t *work_r)
{
    struct tape tape;
    size_t length = strlen(json);
    struct run run = {
        .schema = schema, .tape = &tape, .work = RUN_WORK(length), .steps = REGEX_STEPS(length)};

    tape_init(&tape, 0);
    if (!tape_parse(&tape, json, length))
        fail_msg("%s: %s", json, tape.error_message);
    bool passed = run_verdict(&run);
    *work_r = RUN_WORK(length) - run.work;
    tape_deinit(&tape);
    return passed;
}

// Takes the choices away; returns how many there were.
static unsigned forget_choices(struct schema *schema)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < schema->n_program; i++) {
        const struct instruction *in = &schema->program[i];
        if (in->op != OP_ANY_OF && in->op != OP_ONE_OF)
            continue;
        n += in->u.list->choice != NULL;
        ((struct block_list *)in->u.list)->choice = NULL;
    }
    return n;
}

static void test_same_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(schemas) / sizeof(*schemas); i++) {
        struct schema *with = must_compile(schemas[i]), *without = must_compile(schemas[i]);
        int64_t work_with, work_without, sum_with = 0, sum_without = 0;
        assert_true(forget_choices(without) > 0);
        for (size_t k = 0; k < sizeof(values) / sizeof(*values); k++) {
            bool passed = verdict(with, values[k], &work_with);
            if (verdict(without, values[k], &work_without) != passed)
                fail_msg("%s\n  %s %s", schemas[i], passed ? "accepts" : "refuses", values[k]);
            sum_with += work_with;
            sum_without += work_without;
        }
        assert_true(sum_with < sum_without);
        schema_destroy(&with);
        schema_destroy(&without);
    }
}

// {"oneOf":[{"properties":{"kind":{"const":"kind-0"}},...},...]}
static struct schema *compile_union(unsigned branches, unsigned strings)
{
    struct buf text = {0};
    buf_append_text(&text, "{\"oneOf\":[");
    for (unsigned i = 0; i < branches; i++) {
        buf_printf(&text, "%s{\"required\":[\"kind\"],\"properties\":{\"kind\":{\"enum\":[",
                   i > 0 ? "," : "");
        for (unsigned k = 0; k < strings; k++)
            buf_printf(&text, "%s\"kind-%u\"", k > 0 ? "," : "", i * strings + k);
        buf_append_text(&text, "]}}}");
    }
    buf_append_text(&text, "]}");
    struct schema *schema = must_compile(buf_text(&text));
    buf_deinit(&text);
    return schema;
}

// One branch is run of however many; of too many, or with too many strings, all.
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        unsigned branches, strings;
        bool told_apart;
    } sizes[] = {{2, 1, true},  {64, 1, true},  {65, 1, false},
                 {64, 8, true}, {64, 9, false}, {2, 256, true}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct schema *schema = compile_union(sizes[i].branches, sizes[i].strings);
        char json[64];
        int64_t work, least;
        assert_true(verdict(schema, "{\"kind\":\"kind-0\"}", &least));
        for (unsigned k = 0; k < sizes[i].branches * sizes[i].strings; k++) {
            snprintf(json, sizeof(json), "{\"kind\":\"kind-%u\"}", k);
            assert_true(verdict(schema, json, &work));
            assert_true(!sizes[i].told_apart || work == least);
        }
        assert_true(sizes[i].told_apart == (least < 10));
        assert_false(verdict(schema, "{\"kind\":\"kind\"}", &work));
        assert_true(!sizes[i].told_apart || work < least); // no branch at all
        schema_destroy(&schema);
    }
}

// Twelve levels of ten references each, ten to the power of twelve ways: they are not all gone.
static void test_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    int64_t work;
    buf_append_text(&text,
                    "{\"anyOf\":[{\"$ref\":\"#/$defs/d0\"},{\"type\":\"null\"}],\"$defs\":{");
    for (unsigned i = 0; i < 12; i++) {
        buf_printf(&text, "\"d%u\":{\"allOf\":[", i);
        for (unsigned k = 0; k < 10; k++)
            buf_printf(&text, "%s{\"$ref\":\"#/$defs/d%u\"}", k > 0 ? "," : "", i + 1);
        buf_append_text(&text, "]},");
    }
    buf_append_text(&text, "\"d12\":{\"type\":\"null\"}}}");
    struct schema *schema = must_compile(buf_text(&text));
    assert_false(verdict(schema, "7", &work));
    schema_destroy(&schema);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_verdicts),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
