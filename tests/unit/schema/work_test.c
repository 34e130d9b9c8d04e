// SPDX-License-Identifier: Apache-2.0
// What validation takes, counted in steps (struct run's `work`): at twice the size about twice as
// much, for whatever an event can hold; where schemas multiply, it is given up. And what the count
// does not see: tables, whose entries must not come to lie in one place.
#include "schema_fixture.h"

#include "core/buf.h"
#include "schema/compile_priv.h"
#include "schema/validate_priv.h"

#define LEAST 2000 // elements or members

typedef void (*make_fn)(struct buf *out, unsigned i);

static int64_t work_of(const struct schema *schema, const struct buf *json, bool *valid_r)
{
    struct tape tape;
    struct run run = {.schema = schema, .tape = &tape, .work = RUN_WORK(json->len)};

    tape_init(&tape, 0);
    if (!tape_parse(&tape, json->data, json->len))
        fail_msg("%s at %zu", tape.error_message, tape.error_offset);
    run.steps = REGEX_STEPS(json->len);
    *valid_r = run_verdict(&run);
    int64_t work = RUN_WORK(json->len) - run.work;
    tape_deinit(&tape);
    return work;
}

// --- what grows ----------------------------------------------------------------------------------

static void make_number(struct buf *out, unsigned i)
{
    buf_printf(out, "%u.5", i);
}

static void make_string(struct buf *out, unsigned i)
{
    buf_printf(out, "\"value %u\"", i);
}

static void make_escaped(struct buf *out, unsigned i)
{
    buf_printf(out, "\"\\u0076alue %u\"", i);
}

static void make_object(struct buf *out, unsigned i)
{
    buf_printf(out, "{\"a\":%u,\"b\":{\"c\":[null,true]}}", i);
}

static void make_array(struct buf *out, unsigned i)
{
    buf_printf(out, "[[%u],[],\"x\"]", i);
}

static void make_member(struct buf *out, unsigned i)
{
    buf_printf(out, "\"member_%u\":%u", i, i);
}

static void make_deep(struct buf *out, unsigned i)
{
    for (unsigned k = 0; k < 100; k++)
        buf_append_text(out, "[");
    buf_printf(out, "%u", i);
    for (unsigned k = 0; k < 100; k++)
        buf_append_text(out, "]");
}

static void make_long(struct buf *out, unsigned i)
{
    buf_append_text(out, "\"");
    for (unsigned k = 0; k < 50; k++)
        buf_printf(out, "some text %u \xc3\xa4", i);
    buf_append_text(out, "\"");
}

static void make_digits(struct buf *out, unsigned i)
{
    buf_printf(out, "1%0900u.0", i);
}

static void make_json(struct buf *out, make_fn make, unsigned n)
{
    bool object = make == make_member;

    buf_clear(out);
    for (unsigned i = 0; i < n; i++) {
        buf_append_text(out, i > 0 ? "," : object ? "{" : "[");
        make(out, i);
    }
    buf_append_text(out, object ? "}" : "]");
}

#define TREE "{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}]}"

static const struct {
    const char *name;
    const char *schema;
    make_fn make;
} linear[] = {
    {"nothing", "{}", make_object},
    {"unique numbers", "{\"uniqueItems\":true}", make_number},
    {"unique strings", "{\"uniqueItems\":true}", make_string},
    {"unique escaped strings", "{\"uniqueItems\":true}", make_escaped},
    {"unique objects", "{\"uniqueItems\":true}", make_object},
    {"unique arrays", "{\"uniqueItems\":true,\"items\":{\"uniqueItems\":true}}", make_array},
    {"multiples",
     "{\"items\":{\"multipleOf\":0.5,\"minimum\":0.1,\"type\":[\"integer\",\"number\"]}}",
     make_number},
    {"long numbers",
     "{\"items\":{\"multipleOf\":1234567890123456789012345678901,\"enum\":[1],\"type\":\"integer\"}"
     "}",
     make_digits},
    {"constants", "{\"items\":{\"not\":{\"const\":{\"a\":[1,2,{}]}}}}", make_object},
    {"contains, in vain", "{\"contains\":{\"const\":-1},\"minContains\":0,\"uniqueItems\":true}",
     make_number},
    {"members", "{\"additionalProperties\":{\"minimum\":0}}", make_member},
    {"names", "{\"propertyNames\":{\"pattern\":\"^member_[0-9]+$\",\"maxLength\":20}}",
     make_member},
    {"patterns", "{\"patternProperties\":{\"^m\":{\"type\":\"integer\"},\"0$\":true,\"9\":{}}}",
     make_member},
    {"dependents", "{\"dependentRequired\":{\"member_1\":[\"member_2\",\"member_3\"]}}",
     make_member},
    {"unevaluated members",
     "{\"anyOf\":[{\"properties\":{\"member_1\":true}},{\"patternProperties\":{\"2\":true}}],"
     "\"unevaluatedProperties\":{\"type\":\"number\"}}",
     make_member},
    {"unevaluated elements",
     "{\"contains\":{\"required\":[\"a\"]},\"if\":{\"prefixItems\":[true,{}]},"
     "\"unevaluatedItems\":false}",
     make_object},
    {"nesting, unevaluated",
     "{\"anyOf\":[{\"prefixItems\":[true]},{\"type\":\"number\"}],\"items\":{\"$ref\":\"#\"},"
     "\"unevaluatedItems\":false}",
     make_deep},
    {"dynamic references",
     "{\"$id\":\"http://a/\",\"$dynamicAnchor\":\"n\",\"items\":{\"$dynamicRef\":\"#n\"}}",
     make_array},
    {"nesting", TREE, make_deep},
    {"nesting, unique",
     "{\"if\":{\"type\":\"array\"},\"then\":{\"uniqueItems\":true,\"items\":{\"type\":\"array\"}}}",
     make_deep},
    {"long strings", "{\"items\":{\"maxLength\":9999,\"format\":\"uuid\"},\"minItems\":1}",
     make_long},
    {"branches",
     "{\"items\":{\"oneOf\":[{\"type\":\"null\"},{\"maxLength\":1},{\"pattern\":\"^v\"},{\"enum\":"
     "[\"a\",\"b\"]}]}}",
     make_string},
    {"references",
     "{\"items\":{\"$ref\":\"#/$defs/a\"},\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":"
     "{\"allOf\":[{\"$ref\":\"#/$defs/c\"},{\"type\":\"object\"}]},\"c\":{\"required\":[\"a\"]}}}",
     make_object},
};

static bool is_large(make_fn make)
{
    return make == make_deep || make == make_long || make == make_digits;
}

static void test_linear(void **state)
{
    (void)state;
    struct buf once = {0}, twice = {0};

    for (size_t i = 0; i < sizeof(linear) / sizeof(*linear); i++) {
        struct schema *schema = must_compile(linear[i].schema);
        unsigned n = is_large(linear[i].make) ? LEAST / 20 : LEAST;
        bool valid_once, valid_twice;
        make_json(&once, linear[i].make, n);
        make_json(&twice, linear[i].make, 2 * n);
        int64_t work = work_of(schema, &once, &valid_once);
        int64_t more = work_of(schema, &twice, &valid_twice);
        assert_int_equal(valid_once, valid_twice);
        if ((double)more > 2.2 * (double)work || work > 10 * (int64_t)once.len)
            fail_msg("%s: %lld steps for %zu bytes, %lld for %zu", linear[i].name, (long long)work,
                     once.len, (long long)more, twice.len);
        schema_destroy(&schema);
    }
    buf_deinit(&once);
    buf_deinit(&twice);
}

// --- what multiplies -----------------------------------------------------------------------------

// {"KEYWORD":[{"$ref":"#/$defs/1"},{"$ref":"#/$defs/1"}],"$defs":{"1":...}}, `levels` of them.
static void make_chain(struct buf *out, const char *level, unsigned levels, const char *last)
{
    buf_clear(out);
    buf_append_text(out, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
    for (unsigned i = 0; i < levels; i++) {
        buf_printf(out, "\"%u\":", i);
        for (const char *p = level; *p != '\0'; p++)
            if (*p == '@')
                buf_printf(out, "{\"$ref\":\"#/$defs/%u\"}", i + 1);
            else
                buf_append(out, p, 1);
        buf_append_text(out, ",");
    }
    buf_printf(out, "\"%u\":%s}}", levels, last);
}

static const struct {
    const char *level;
    unsigned levels;
    const char *last;
} multiplying[] = {
    {"{\"anyOf\":[@,@]}", 30, "{\"type\":\"null\"}"},
    {"{\"oneOf\":[@,@]}", 30, "true"},
    {"{\"allOf\":[@,@]}", 30, "true"},
    {"{\"oneOf\":[{\"not\":@},{\"not\":@}]}", 20, "true"},
    {"{\"anyOf\":[@,@],\"unevaluatedItems\":false}", 21, "{\"type\":\"null\"}"},
    {"{\"oneOf\":[@,@],\"unevaluatedItems\":false}", 20, "{\"prefixItems\":[true]}"},
    {"{\"if\":@,\"then\":@}", 30, "true"},
    {"{\"anyOf\":[{\"allOf\":[@,{\"minItems\":9}]},{\"allOf\":[@,{\"minItems\":9}]}]}", 20, "true"},
};

static void assert_given_up(const struct schema *schema, const char *json)
{
    struct schema_error errors[FIXTURE_ERRORS];
    size_t n;

    assert_false(run_schema(schema, json, strlen(json), errors, FIXTURE_ERRORS, &n));
    assert_string_equal(errors[0].keyword, SCHEMA_LIMIT);
    assert_string_equal(errors[0].message,
                        "the schema was given up after too many steps; make it simpler");
    assert_int_equal(n, 1);
}

static void test_multiplying(void **state)
{
    (void)state;
    struct buf text = {0}, json = {0};

    buf_append_text(&json, "[1]");
    for (size_t i = 0; i < sizeof(multiplying) / sizeof(*multiplying); i++) {
        bool valid;
        make_chain(&text, multiplying[i].level, multiplying[i].levels, multiplying[i].last);
        struct schema *schema = must_compile(buf_text(&text));
        int64_t work = work_of(schema, &json, &valid);
        assert_false(valid);
        assert_true(work > RUN_WORK(json.len) && work < RUN_WORK(json.len) + 10000);
        assert_given_up(schema, "[1]");
        schema_destroy(&schema);
    }
    buf_deinit(&text);
    buf_deinit(&json);
}

// A few levels are right to have.
static void test_little_multiplying(void **state)
{
    (void)state;
    struct buf text = {0};
    struct schema_error error;
    size_t n;

    make_chain(&text, "{\"anyOf\":[@,@]}", 10, "{\"type\":\"null\"}");
    struct schema *schema = must_compile(buf_text(&text));
    assert_true(run_schema(schema, "null", 4, &error, 1, &n));
    assert_false(run_schema(schema, "[1]", 3, &error, 1, &n));
    assert_string_equal(error.keyword, "anyOf");
    schema_destroy(&schema);
    buf_deinit(&text);
}

// Here it is the event that multiplies: each level of nesting is looked at twice.
static void test_multiplying_with_depth(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"if\":{\"items\":{\"$ref\":\"#\"}},\"then\":{\"items\":{\"$ref\":\"#\"}}}",
        "{\"oneOf\":[{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"},{\"items\":{\"$ref\":\"#\"},"
        "\"minItems\":0,\"type\":[\"array\",\"null\"]}]}",
    };
    char json[201] = {0};

    memset(json, '[', 100);
    memset(json + 100, ']', 100);
    for (size_t i = 0; i < 2; i++) {
        struct schema *schema = must_compile(schemas[i]);
        assert_given_up(schema, json);
        schema_destroy(&schema);
    }
}

// As deep as both can be: the stack must hold it, also of a build with sanitizers.
static void test_deepest(void **state)
{
    (void)state;
    struct buf text = {0};
    char json[2 * TAPE_DEPTH_DEFAULT + 1] = {0};
    struct schema_error error;
    size_t n;

    memset(json, '[', TAPE_DEPTH_DEFAULT);
    memset(json + TAPE_DEPTH_DEFAULT, ']', TAPE_DEPTH_DEFAULT);
    make_chain(&text, "{\"anyOf\":[@]}", 31, "{\"items\":{\"$ref\":\"#\"},\"maxItems\":1}");
    struct schema *schema = must_compile(buf_text(&text));
    assert_true(run_schema(schema, json, strlen(json), &error, 1, &n));
    schema_destroy(&schema);
    make_chain(&text, "{\"allOf\":[@]}", 31, "{\"items\":{\"$ref\":\"#\"},\"minItems\":1}");
    schema = must_compile(buf_text(&text));
    assert_false(run_schema(schema, json, strlen(json), &error, 1, &n));
    schema_destroy(&schema);
    buf_deinit(&text);
}

// --- tables --------------------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// The elements are all different: so are their hashes, whatever the seed.
static void assert_spread(const struct buf *json)
{
    struct tape tape;

    tape_init(&tape, 0);
    if (!tape_parse(&tape, json->data, json->len))
        fail_msg("%s at %zu", tape.error_message, tape.error_offset);
    uint32_t n = tape.tokens[0].count, k = 0;
    uint64_t *hashes = malloc(n * sizeof(*hashes));
    for (uint64_t seed = 0; seed < 3; seed++, k = 0) {
        for (uint32_t i = 1; i != tape.tokens[0].next; i = tape.tokens[i].next)
            hashes[k++] = equal_hash(&tape, i, seed * UINT64_C(0x123456789abcdef1));
        qsort(hashes, n, sizeof(*hashes), by_value);
        for (uint32_t i = 1; i < n; i++)
            if (hashes[i] == hashes[i - 1])
                fail_msg("of %u elements some have the same hash", n);
    }
    free(hashes);
    tape_deinit(&tape);
}

// 0.1 followed by 02 or 3, twelve times: as many digits before the point, alike to a hash that
// adds.
static void make_alike_numbers(struct buf *out, unsigned i)
{
    buf_append_text(out, "0.1");
    for (unsigned k = 0; k < 12; k++)
        buf_append_text(out, (i >> k & 1) != 0 ? "02" : "3");
}

// Binary trees of empty arrays, the left one by the number's lower digits.
static void make_tree(struct buf *out, unsigned i)
{
    buf_append_text(out, "[");
    if (i > 0) {
        make_tree(out, (i - 1) / 2);
        if (i % 2 != 0)
            buf_append_text(out, ",[]");
    }
    buf_append_text(out, "]");
}

static void make_swapped(struct buf *out, unsigned i)
{
    buf_printf(out, "{\"a\":%u,\"b\":%u}", i / 64, i % 64);
}

static void make_zeros(struct buf *out, unsigned i)
{
    buf_printf(out, "1%0*u", (int)(i % 100) + 1, i / 100 % 9 + 1);
    buf_printf(out, "e%u", i);
}

static void test_hashes_are_spread(void **state)
{
    (void)state;
    static const make_fn makes[] = {make_number, make_string,  make_escaped,
                                    make_object, make_array,   make_alike_numbers,
                                    make_tree,   make_swapped, make_zeros};
    struct buf json = {0};

    for (size_t i = 0; i < sizeof(makes) / sizeof(*makes); i++) {
        make_json(&json, makes[i], 4096);
        assert_spread(&json);
    }
    buf_deinit(&json);
}

// Texts that differ in their middle only.
static void make_name(struct buf *out, unsigned i)
{
    buf_printf(out, "\"https://example.com/%05u/and/so/on\"", i);
}

static void make_enum(struct buf *out, make_fn make, unsigned n)
{
    struct buf list = {0};

    make_json(&list, make, n);
    buf_clear(out);
    buf_printf(out, "{\"enum\":%s}", buf_text(&list));
    buf_deinit(&list);
}

static const struct enumeration *enum_of(const struct schema *schema)
{
    assert_int_equal(schema->program[0].op, OP_ENUM);
    return schema->program[0].u.set;
}

// Slots looked at before the next free one, at most.
static uint32_t longest_run(const struct name_set *set)
{
    uint32_t longest = 0, run = 0;

    for (uint32_t i = 0; i <= 2 * set->mask; i++) {
        run = set->slots[i & set->mask].text != NULL ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void test_large_enums(void **state)
{
    (void)state;
    static const make_fn makes[] = {make_string, make_name};
    struct buf text = {0};

    for (size_t i = 0; i < 2; i++) {
        make_enum(&text, makes[i], 4000);
        struct schema *schema = must_compile(buf_text(&text));
        assert_int_equal(enum_of(schema)->n_strings, 4000);
        assert_true(longest_run(&enum_of(schema)->strings) < 64);
        schema_destroy(&schema);
    }
    buf_deinit(&text);
}

static void test_large_enums_of_others(void **state)
{
    (void)state;
    static const make_fn makes[] = {make_number, make_object, make_array};
    struct buf text = {0}, json = {0};
    struct schema_error error;
    size_t n;

    for (size_t i = 0; i < 3; i++) {
        make_enum(&text, makes[i], 3000);
        struct schema *schema = must_compile(buf_text(&text));
        assert_true(enum_of(schema)->others_mask >= 5999);
        for (unsigned k = 0; k < 6000; k += 7) {
            buf_clear(&json);
            makes[i](&json, k);
            assert_int_equal(run_schema(schema, json.data, json.len, &error, 1, &n), k < 3000);
        }
        schema_destroy(&schema);
    }
    assert_valid("{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"1e1\",[1.0]]}", "1e1");
    assert_valid("{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"1e1\",[1.0]]}", "[1]");
    assert_valid("{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"1e1\",[1.0]]}", "\"\\u0031e1\"");
    assert_invalid("{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"1e1\",[1.0]]}", "[1,1]");
    buf_deinit(&text);
    buf_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_multiplying),
        cmocka_unit_test(test_little_multiplying),
        cmocka_unit_test(test_multiplying_with_depth),
        cmocka_unit_test(test_deepest),
        cmocka_unit_test(test_hashes_are_spread),
        cmocka_unit_test(test_large_enums),
        cmocka_unit_test(test_large_enums_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
