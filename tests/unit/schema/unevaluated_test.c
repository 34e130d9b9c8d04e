// SPDX-License-Identifier: Apache-2.0
// unevaluatedProperties and unevaluatedItems: what is known beforehand and what is recorded give
// the same verdicts; what failures say; which schemas record at all.
#include "schema_fixture.h"

#include "core/buf.h"
#include "schema/program_priv.h"

static bool has_op(const struct schema *schema, enum opcode op)
{
    for (uint32_t i = 0; i < schema->n_program; i++)
        if (schema->program[i].op == op)
            return true;
    return false;
}

static bool text_has_op(const char *text, enum opcode op)
{
    struct schema *schema = must_compile(text);
    bool has = has_op(schema, op);

    schema_destroy(&schema);
    return has;
}

// --- known beforehand, or recorded ---------------------------------------------------------------

static void test_known_beforehand(void **state)
{
    (void)state;
    static const char *const known[] = {
        "{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}",
        "{\"allOf\":[{\"properties\":{\"a\":true}},{\"$ref\":\"#/$defs/b\"}],"
        "\"unevaluatedProperties\":false,\"$defs\":{\"b\":{\"patternProperties\":{\"^x\":{}}}}}",
        // what the branches name is named already
        "{\"properties\":{\"kind\":true,\"a\":true},\"anyOf\":[{\"properties\":{\"kind\":{"
        "\"const\":"
        "1}}},{\"properties\":{\"\\u0061\":{}}}],\"unevaluatedProperties\":false}",
        "{\"anyOf\":[{\"properties\":{\"a\":true}}],\"additionalProperties\":true,"
        "\"unevaluatedProperties\":false}",
        "{\"not\":{\"properties\":{\"a\":true}},\"unevaluatedProperties\":false}",
        "{\"prefixItems\":[true,true],\"anyOf\":[{\"prefixItems\":[{}]}],"
        "\"unevaluatedItems\":false}",
        "{\"$dynamicRef\":\"#x\",\"unevaluatedProperties\":false,"
        "\"$defs\":{\"x\":{\"$dynamicAnchor\":\"x\",\"properties\":{\"a\":{}}}}}",
        "{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\",\"contains\":{},"
        "\"unevaluatedItems\":false}",
    };
    static const char *const recorded[] = {
        "{\"anyOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
        "{\"oneOf\":[{\"patternProperties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
        "{\"if\":{\"properties\":{\"a\":{}}},\"unevaluatedProperties\":false}",
        "{\"dependentSchemas\":{\"a\":{\"properties\":{\"b\":{}}}},\"unevaluatedProperties\":{}}",
        "{\"contains\":{},\"unevaluatedItems\":false}",
        "{\"anyOf\":[{\"prefixItems\":[true,{}]}],\"prefixItems\":[{}],\"unevaluatedItems\":false}",
        "{\"anyOf\":[{\"unevaluatedItems\":true}],\"unevaluatedItems\":false}",
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (text_has_op(known[i], OP_TRACK))
            fail_msg("recorded needlessly: %s", known[i]);
    for (size_t i = 0; i < sizeof(recorded) / sizeof(*recorded); i++)
        if (!text_has_op(recorded[i], OP_TRACK))
            fail_msg("not recorded: %s", recorded[i]);
}

// --- both ways -----------------------------------------------------------------------------------

// A generator of schemas and values over few names; the same in every run.
struct maker {
    uint32_t seed;
    struct buf text;
};

static unsigned pick(struct maker *maker, unsigned n)
{
    maker->seed = maker->seed * 1664525 + 1013904223;
    return (maker->seed >> 16) % n;
}

static void make_branch(struct maker *maker, unsigned depth);

static void make_branches(struct maker *maker, const char *keyword, unsigned depth)
{
    unsigned n = 1 + pick(maker, 2);

    buf_printf(&maker->text, "\"%s\":[", keyword);
    for (unsigned i = 0; i < n; i++) {
        buf_append_text(&maker->text, i > 0 ? "," : "");
        make_branch(maker, depth + 1);
    }
    buf_append_text(&maker->text, "],");
}

// Members of a schema, each with a comma behind it.
static void make_members(struct maker *maker, unsigned depth)
{
    static const char *const members[] = {
        "\"properties\":{\"a\":{\"type\":\"integer\"}},",
        "\"properties\":{\"b\":true,\"c\":{\"type\":\"string\"}},",
        "\"patternProperties\":{\"^[cd]$\":true},",
        "\"required\":[\"b\"],",
        "\"prefixItems\":[{\"type\":\"integer\"}],",
        "\"prefixItems\":[true,true],",
        "\"items\":{\"type\":\"integer\"},",
        "\"contains\":{\"type\":\"string\"},",
        "\"dependentSchemas\":{\"a\":{\"properties\":{\"d\":true}}},",
        "\"unevaluatedProperties\":{\"type\":\"integer\"},",
        "\"unevaluatedItems\":false,",
        "",
    };
    static const char *const lists[] = {"allOf", "allOf", "allOf", "allOf", "anyOf", "oneOf"};

    buf_append_text(&maker->text, members[pick(maker, sizeof(members) / sizeof(*members))]);
    if (depth < 3)
        make_branches(maker, lists[pick(maker, 6)], depth);
    if (depth < 2 && pick(maker, 3) == 0) {
        buf_append_text(&maker->text, "\"if\":");
        make_branch(maker, depth + 1);
        buf_append_text(&maker->text, ",\"then\":");
        make_branch(maker, depth + 1);
        buf_append_text(&maker->text, ",\"not\":{\"not\":");
        make_branch(maker, depth + 1);
        buf_append_text(&maker->text, "},");
    }
}

static void make_branch(struct maker *maker, unsigned depth)
{
    if (pick(maker, 8) == 0) {
        buf_append_text(&maker->text, "true");
        return;
    }
    buf_append_text(&maker->text, "{");
    make_members(maker, depth);
    buf_append_text(&maker->text, "\"title\":\"\"}");
}

static void make_value(struct maker *maker, struct buf *out)
{
    static const char *const values[] = {"1", "\"x\"", "null"};
    bool object = pick(maker, 2) == 0;
    const char *comma = "";

    buf_clear(out);
    buf_append_text(out, object ? "{" : "[");
    for (char name = 'a'; name <= 'e'; name++) {
        if (pick(maker, 2) == 0)
            continue;
        buf_append_text(out, comma);
        if (object)
            buf_printf(out, "\"%c\":", name);
        buf_append_text(out, values[pick(maker, 3)]);
        comma = ",";
    }
    buf_append_text(out, object ? "}" : "]");
}

static bool passes(const struct schema *schema, const char *json)
{
    struct schema_error errors[FIXTURE_ERRORS];
    size_t n;

    return run_schema(schema, json, strlen(json), errors, FIXTURE_ERRORS, &n);
}

// Branches that evaluate nothing of the values made here, but could: so what the root evaluates has
// to be recorded.
#define FORCE_RECORD                                                                            \
    "\"dependentSchemas\":{\"zz\":{\"additionalProperties\":true}},\"$ref\":\"#/$defs/maybe\"," \
    "\"$defs\":{\"maybe\":{\"contains\":{\"const\":\"zz\"},\"minContains\":0}},"

// The same schema twice: as it is, and so that all has to be recorded.
static void test_both_ways(void **state)
{
    (void)state;
    struct maker maker = {.seed = 4711};
    struct buf forced = {0}, value = {0};
    unsigned known = 0, differing = 0;

    for (unsigned i = 0; i < 2000; i++) {
        buf_clear(&maker.text);
        buf_append_text(&maker.text, "{\"allOf\":[");
        make_branch(&maker, 0);
        buf_append_text(&maker.text, ",");
        make_branch(&maker, 0);
        buf_append_text(&maker.text,
                        "],\"unevaluatedProperties\":false,\"unevaluatedItems\":false}");
        buf_clear(&forced);
        buf_printf(&forced, "{" FORCE_RECORD "%s", buf_text(&maker.text) + 1);
        struct schema *plain = must_compile(buf_text(&maker.text));
        struct schema *recording = must_compile(buf_text(&forced));
        known += !has_op(plain, OP_TRACK) && has_op(recording, OP_TRACK);
        unsigned valid = 0;
        for (unsigned k = 0; k < 8; k++) {
            make_value(&maker, &value);
            bool expected = passes(plain, buf_text(&value));
            valid += expected;
            if (passes(recording, buf_text(&value)) != expected)
                fail_msg("%s\n  %s", buf_text(&maker.text), buf_text(&value));
        }
        differing += valid > 0 && valid < 8;
        schema_destroy(&plain);
        schema_destroy(&recording);
    }
    assert_in_range(known, 50, 1900);
    assert_in_range(differing, 200, 2000);
    buf_deinit(&maker.text);
    buf_deinit(&forced);
    buf_deinit(&value);
}

// More members than a word has bits, and records within records.
static void test_many_members(void **state)
{
    (void)state;
    struct schema *schema = must_compile(
        "{\"anyOf\":[{\"patternProperties\":{\"[02468]$\":{\"$ref\":\"#\"}}},{\"type\":\"null\"}],"
        "\"unevaluatedProperties\":{\"type\":\"integer\"}}");
    struct buf text = {0};

    for (int bad = -1; bad < 200; bad += 67) {
        buf_clear(&text);
        for (int i = 0; i < 200; i++)
            buf_printf(&text, "%s\"n%d\":%s", i > 0 ? "," : "{", i,
                       i == bad     ? "\"\""
                       : i % 2 == 0 ? "{\"1\":7}"
                                    : "1");
        buf_append_text(&text, "}");
        assert_int_equal(passes(schema, buf_text(&text)), bad < 0 || bad % 2 == 0);
    }
    buf_deinit(&text);
    schema_destroy(&schema);
}

// --- what is told --------------------------------------------------------------------------------

static void test_failures(void **state)
{
    (void)state;
    assert_failure("{\"allOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
                   "{\"a\":1,\"b\":2}", 0, "/b", "/unevaluatedProperties", "unevaluatedProperties",
                   "this member is not allowed");
    assert_failure("{\"anyOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
                   "{\"a\":1,\"b\":2}", 0, "/b", "/unevaluatedProperties", "unevaluatedProperties",
                   "nothing is allowed here");
    assert_failure("{\"anyOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":{\"type\":"
                   "\"null\"}}",
                   "{\"b\":null,\"c\":2}", 0, "/c", "/unevaluatedProperties/type", "type",
                   "expected null, found number");
    assert_failure("{\"prefixItems\":[true],\"unevaluatedItems\":false}", "[1,2,3]", 1, "/2",
                   "/unevaluatedItems", "unevaluatedItems", NULL);
    assert_failure("{\"contains\":{\"const\":1},\"unevaluatedItems\":false}", "[1,2]", 0, "/1",
                   "/unevaluatedItems", "unevaluatedItems", NULL);
    assert_int_equal(
        count_failures("{\"contains\":{\"const\":1},\"unevaluatedItems\":false}", "[1,2,1,3]"), 2);
    assert_failure("{\"oneOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},{\"type\":\"null\"}],"
                   "\"unevaluatedProperties\":false}",
                   "{\"a\":1}", 0, "", "/oneOf", "oneOf", NULL);
}

static void test_faults_inside(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"unevaluatedProperties\":{\"typ\":1},\"additionalProperties\":{}}",
        "{\"unevaluatedItems\":{\"typ\":1},\"items\":{}}",
        "{\"unevaluatedItems\":{\"typ\":1},\"anyOf\":[{\"items\":{}}]}",
        "{\"unevaluatedProperties\":{},\"anyOf\":[{\"properties\":{\"a\":{\"typ\":1}}}]}",
        "{\"unevaluatedProperties\":{},\"allOf\":[{\"anyOf\":{\"typ\":{\"not\":{}}}}]}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct schema_fault fault;
        struct schema *schema;
        size_t n; // told once, in however many forms the schema is compiled
        assert_int_equal(
            schema_compile("s", texts[i], strlen(texts[i]), &schema, &fault, 1, &n, NULL),
            STATUS_INVALID);
        assert_int_equal(n, 1);
        assert_non_null(strstr(fault.pointer, i < 4 ? "/typ" : "/anyOf"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_beforehand), cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_many_members),     cmocka_unit_test(test_failures),
        cmocka_unit_test(test_faults_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
