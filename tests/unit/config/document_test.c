// SPDX-License-Identifier: Apache-2.0
// The file's syntax: comments, lines and columns, everything JSON forbids, duplicate members.
#include "config_support.h"

#include "config/document_priv.h"

static bool parse(struct document *doc, const char *text, size_t length,
                  struct config_faults *faults)
{
    char *copy = mem_alloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return document_parse(doc, copy, length, faults);
}

static void parse_good(struct document *doc, const char *text)
{
    struct config_faults faults = {0};
    char *json = quoted(text);
    bool ok = parse(doc, json, strlen(json), &faults);
    print_faults(&faults);
    assert_true(ok);
    free(json);
}

static void keeps_values_and_lines(void **state)
{
    (void)state;
    struct document doc;
    parse_good(&doc, "// first\n{ /* two\nlines */ 'a': 1,\n"
                     "  'b': [true, false, null, -1.5e+3],\n"
                     "  'c': {'d': 'x // no comment'}, // comment\n"
                     "  'e':\n\n  'below'\r\n}\n");
    const struct doc_node *root = doc.root;
    assert_int_equal(root->type, DOC_OBJECT);
    assert_int_equal(root->line, 2);
    assert_int_equal(root->count, 4);
    const struct doc_node *a = doc_member(root, "a");
    uint64_t number = 0;
    assert_int_equal(a->line, 3);
    assert_true(doc_whole_number(a, &number));
    assert_int_equal(number, 1);
    const struct doc_node *b = doc_member(root, "b");
    assert_int_equal(b->type, DOC_ARRAY);
    assert_int_equal(b->count, 4);
    assert_int_equal(b->first->type, DOC_BOOLEAN);
    assert_int_equal(b->first->next->next->type, DOC_NULL);
    assert_false(doc_whole_number(b->first->next->next->next, &number));
    const struct doc_node *d = doc_member(doc_member(root, "c"), "d");
    assert_string_equal(d->text, "x // no comment");
    assert_int_equal(d->line, 5);
    const struct doc_node *e = doc_member(root, "e");
    assert_int_equal(e->name_line, 6);
    assert_int_equal(e->line, 8);
    assert_null(doc_member(root, "nope"));
    assert_null(doc_member(b, "nope"));
    document_deinit(&doc);
    document_deinit(&doc); // harmless
}

static void decodes_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *value;
    } cases[] = {
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude00x\"", "\xf0\x9f\x98\x80x"},
        {"\"\xf0\x9f\x98\x80 \xe6\x97\xa5\"", "\xf0\x9f\x98\x80 \xe6\x97\xa5"},
        {"\"\x7f\"", "\x7f"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct document doc;
        struct config_faults faults = {0};
        assert_true(parse(&doc, cases[i].json, strlen(cases[i].json), &faults));
        assert_string_equal(doc.root->text, cases[i].value);
        assert_int_equal(doc.root->length, strlen(cases[i].value));
        document_deinit(&doc);
    }
}

static void takes_a_byte_order_mark(void **state)
{
    (void)state;
    struct document doc;
    parse_good(&doc, "\xef\xbb\xbf{}");
    assert_int_equal(doc.root->type, DOC_OBJECT);
    document_deinit(&doc);
}

struct syntax_case {
    const char *text; // ' for "
    unsigned line;
    unsigned column;
    const char *fragment;
};

static void expect_syntax_fault(const struct syntax_case *c, const char *json, size_t length)
{
    struct document doc;
    struct config_faults faults = {0};
    char column[32];
    assert_false(parse(&doc, json, length, &faults));
    document_deinit(&doc);
    assert_int_equal(faults.count, 1);
    snprintf(column, sizeof(column), "column %u: ", c->column);
    if (faults.items[0].line != c->line || strstr(faults.items[0].message, column) == NULL ||
        strstr(faults.items[0].message, c->fragment) == NULL)
        fail_msg("%s: line %u, %s", json, faults.items[0].line, faults.items[0].message);
    config_faults_free(&faults);
}

static void tells_syntax_faults_by_line_and_column(void **state)
{
    (void)state;
    static const struct syntax_case cases[] = {
        {"", 1, 1, "empty"},
        {"\n  // only\n", 3, 1, "empty"},
        {"{'a':1,\n}", 1, 7, "trailing comma before \"}\""},
        {"[1,2, // x\n ]", 1, 5, "trailing comma before \"]\""},
        {"{'a':1\n 'b':2}", 2, 2, "expected \",\" or \"}\""},
        {"[1 2]", 1, 4, "expected \",\" or \"]\""},
        {"[1,2", 1, 5, "the file ends within an array"},
        {"{'a':{", 1, 7, "the file ends within an object"},
        {"{'a':1,", 1, 8, "the file ends within an object"},
        {"{'a':", 1, 6, "the file ends where a value"},
        {"{'a':'x\n'}", 1, 6, "not closed"},
        {"{'a':'x", 1, 6, "not closed"},
        {"{'a", 1, 2, "not closed"},
        {"{a:1}", 1, 2, "name in double quotes"},
        {"{'a' 1}", 1, 6, "expected \":\""},
        {"{'a'}", 1, 5, "expected \":\""},
        {"{'a':tru}", 1, 6, "expected a value"},
        {"{'a':True}", 1, 6, "expected a value"},
        {"{'a':nulll}", 1, 6, "expected a value"},
        {"{'a':NaN}", 1, 6, "expected a value"},
        {"{'a':,}", 1, 6, "expected a value"},
        {"[01]", 1, 2, "not a number"},
        {"[-]", 1, 2, "not a number"},
        {"[1.]", 1, 2, "not a number"},
        {"[1e]", 1, 2, "not a number"},
        {"[1e+]", 1, 2, "not a number"},
        {"[30s]", 1, 2, "a duration or a size is a string"},
        {"[.5]", 1, 2, "expected a value"},
        {"[+5]", 1, 2, "expected a value"},
        {"{} x", 1, 4, "expected the end"},
        {"{}{}", 1, 3, "expected the end"},
        {"# no", 1, 1, "expected a value"},
        {"{} /", 1, 4, "expected the end"},
        {"\n /* x", 2, 2, "not closed"},
        {"{ /* x */ /*/ }", 1, 11, "not closed"},
        {"['\\q']", 1, 3, "unknown escape"},
        {"['\\u12g4']", 1, 3, "four hexadecimal digits"},
        {"['\\u12", 1, 3, "four hexadecimal digits"},
        {"['\\u0000']", 1, 3, "U+0000"},
        {"['\\ud800']", 1, 3, "surrogate"},
        {"['\\ud800\\u0041']", 1, 3, "surrogate"},
        {"['\\udc00']", 1, 3, "surrogate"},
        {"['a\tb']", 1, 4, "control character"},
        {"['\xff']", 1, 3, "UTF-8"},
        {"['\xc0\xaf']", 1, 3, "UTF-8"},
        {"['\xed\xa0\x80']", 1, 3, "UTF-8"},
        {"['\xf4\x90\x80\x80']", 1, 3, "UTF-8"},
        {"['\xe2\x82']", 1, 3, "UTF-8"},
        {"\xff", 1, 1, "expected a value"},
        {"['\xc3\xa9\xe6\x97\xa5', x]", 1, 8, "expected a value"}, // columns count characters
        {"/* \xc3\xa9 */ x", 1, 9, "expected a value"},
        {"['\\u00e9\\n', x]", 1, 14, "expected a value"}, // as written, not as decoded
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *json = quoted(cases[i].text);
        expect_syntax_fault(&cases[i], json, strlen(json));
        free(json);
    }
}

static void strings_take_double_quotes(void **state)
{
    (void)state;
    expect_syntax_fault(&(struct syntax_case){"", 1, 6, "double quotes"}, "{\"a\":'x'}", 9);
    expect_syntax_fault(&(struct syntax_case){"", 1, 2, "double quotes"}, "{'a':1}", 7);
}

static void a_nul_byte_ends_nothing(void **state)
{
    (void)state;
    expect_syntax_fault(&(struct syntax_case){"", 1, 3, "expected the end"}, "{}\0{}", 5);
    expect_syntax_fault(&(struct syntax_case){"", 1, 3, "control character"}, "[\"\0\"]", 5);
    expect_syntax_fault(&(struct syntax_case){"", 1, 2, "expected a value"}, "[\0]", 3);
    expect_syntax_fault(&(struct syntax_case){"", 1, 1, "expected a value"}, "\0", 1);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char deep[2 * DOCUMENT_DEPTH_MAX + 3];
    memset(deep, '[', DOCUMENT_DEPTH_MAX);
    memset(deep + DOCUMENT_DEPTH_MAX, ']', DOCUMENT_DEPTH_MAX);
    struct document doc;
    struct config_faults faults = {0};
    assert_true(parse(&doc, deep, 2 * DOCUMENT_DEPTH_MAX, &faults));
    document_deinit(&doc);
    memset(deep, '[', sizeof(deep));
    expect_syntax_fault(&(struct syntax_case){"", 1, DOCUMENT_DEPTH_MAX + 1, "nested more than 64"},
                        deep, sizeof(deep));
}

static void finds_duplicates_everywhere(void **state)
{
    (void)state;
    struct document doc;
    struct config_faults faults = {0};
    parse_good(&doc, "{'a':1,\n'b':{'x':1,'\\u0078':2},\n'a':[{},{'y/~':1,\n'y/~':2}],\n'a':3}");
    document_find_duplicates(&doc, &faults);
    config_faults_add(&faults, 0, "", "end");
    assert_int_equal(faults.count, 5);
    assert_string_equal(faults.items[0].pointer, "/a");
    assert_int_equal(faults.items[0].line, 3);
    assert_non_null(strstr(faults.items[0].message, "first in line 1"));
    assert_int_equal(faults.items[1].line, 5);
    assert_string_equal(faults.items[2].pointer, "/b/x");
    assert_int_equal(faults.items[2].line, 2);
    assert_string_equal(faults.items[3].pointer, "/a/1/y~1~0");
    assert_int_equal(faults.items[3].line, 4);
    assert_false(doc_member(doc.root, "a")->duplicate); // the first one stands
    config_faults_free(&faults);
    document_deinit(&doc);
}

static void whole_numbers_are_digits(void **state)
{
    (void)state;
    struct document doc;
    uint64_t value = 0;
    parse_good(&doc, "[18446744073709551615, 18446744073709551616, 1.0, -1, 1e2, '5', 0]");
    const struct doc_node *n = doc.root->first;
    assert_true(doc_whole_number(n, &value));
    assert_true(value == UINT64_MAX);
    for (int i = 0; i < 5; i++) {
        n = n->next;
        assert_false(doc_whole_number(n, &value));
    }
    assert_true(doc_whole_number(n->next, &value));
    assert_int_equal(value, 0);
    document_deinit(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_values_and_lines),
        cmocka_unit_test(decodes_strings),
        cmocka_unit_test(takes_a_byte_order_mark),
        cmocka_unit_test(tells_syntax_faults_by_line_and_column),
        cmocka_unit_test(strings_take_double_quotes),
        cmocka_unit_test(a_nul_byte_ends_nothing),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(finds_duplicates_everywhere),
        cmocka_unit_test(whole_numbers_are_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
