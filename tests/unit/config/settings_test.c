// SPDX-License-Identifier: Apache-2.0
// The settings table, and what is made from it: the JSON Schema, the reference and the manual page
// in config/ are as printed (run with CXSINK_REGENERATE=1 to write them), and the example loads,
// whole, but not cut anywhere. Runs at the top of the source tree.
#include "config_support.h"

#include "config/reader_priv.h"
#include "core/fsio.h"

#define EXAMPLE "config/cxsink.json"

static void read_whole(const char *path, struct buf *content)
{
    struct status st = {0};
    if (fsio_read_file(path, 1 << 20, content, &st) != STATUS_OK)
        fail_msg("%s (run at the top of the source tree)", st.detail);
}

static void expect_file(const char *path, void (*print)(struct buf *))
{
    struct buf printed = {0};
    struct buf stored = {0};
    print(&printed);
    if (getenv("CXSINK_REGENERATE") != NULL)
        write_bytes(path, printed.data, printed.len);
    read_whole(path, &stored);
    if (strcmp(buf_text(&stored), buf_text(&printed)) != 0)
        fail_msg("%s is not what the settings table prints; run this test with "
                 "CXSINK_REGENERATE=1",
                 path);
    buf_deinit(&printed);
    buf_deinit(&stored);
}

static void the_schema_is_as_printed(void **state)
{
    (void)state;
    expect_file("config/cxsink.schema.json", config_print_schema);
}

static void the_reference_is_as_printed(void **state)
{
    (void)state;
    expect_file("config/settings.md", config_print_reference);
}

static void the_manual_page_is_as_printed(void **state)
{
    (void)state;
    expect_file("config/man/cxsink.json.5", config_print_manual);
}

static void is_keyword(const char *name)
{
    static const char *const keywords[] = {
        "$schema",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "enum",
        "const",
        "pattern",
        "minLength",
        "items",
        "minimum",
        "exclusiveMinimum",
        "maximum",
        "default",
        "examples",
        "$ref",
        "$defs",
        "anyOf",
        "additionalProperties",
    };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(keywords[i], name) == 0)
            return;
    }
    fail_msg("keyword %s", name);
}

static void check_keywords(const struct doc_node *schema)
{
    for (const struct doc_node *m = schema->first; m != NULL; m = m->next) {
        is_keyword(m->name);
        bool named = strcmp(m->name, "properties") == 0 || strcmp(m->name, "$defs") == 0;
        bool nested = strcmp(m->name, "additionalProperties") == 0 || strcmp(m->name, "items") == 0;
        if (nested && m->type == DOC_OBJECT)
            check_keywords(m);
        for (const struct doc_node *n = named || strcmp(m->name, "anyOf") == 0 ? m->first : NULL;
             n != NULL; n = n->next)
            check_keywords(n);
    }
}

static void the_schema_is_json_of_known_keywords(void **state)
{
    (void)state;
    struct buf printed = {0};
    struct document doc;
    config_print_schema(&printed);
    document_literal(&doc, buf_text(&printed));
    struct config_faults faults = {0};
    document_find_duplicates(&doc, &faults);
    assert_int_equal(faults.count, 0);
    check_keywords(doc.root);
    const struct doc_node *stream = doc_member(
        doc_member(doc_member(doc.root, "properties"), "streams"), "additionalProperties");
    assert_non_null(doc_member(doc_member(stream, "properties"), "token_close_codes"));
    assert_int_equal(doc_member(stream, "required")->count, 2);
    document_deinit(&doc);
    buf_deinit(&printed);
}

// The row above, "streams.*.ping" of "streams.*.ping.interval"; NULL at the top.
static const struct setting *parent_of(const struct setting *s)
{
    const char *dot = strrchr(s->path, '.');
    for (size_t i = 0; dot != NULL && i < settings_count; i++) {
        const char *path = settings_table[i].path;
        if (strlen(path) == (size_t)(dot - s->path) && strncmp(path, s->path, strlen(path)) == 0)
            return &settings_table[i];
    }
    assert_null(dot);
    return NULL;
}

static void rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        const struct setting_kind *kind = &setting_kinds[s->type];
        const struct setting *parent = parent_of(s);
        assert_ptr_equal(setting_find_child(parent, setting_name(s)), s); // once, below a row
        assert_true(s->help != NULL && s->help[strlen(s->help) - 1] == '.');
        assert_null(strchr(s->help, '|')); // it goes into a table of Markdown
        assert_true(kind->read != NULL || s->type == SETTING_ANY);
        assert_true(kind->expected != NULL || s->type == SETTING_ANY);
        assert_int_equal(s->map != NULL, s->type == SETTING_MAP);
        assert_int_equal(s->choices != NULL, s->type == SETTING_CHOICE);
        assert_int_equal(s->schemes != NULL, s->type == SETTING_URL);
        assert_true(s->min <= s->max);
        if (s->restart)
            assert_true(kind->text || kind->size > 0);
        if (s->fallback != NULL) {
            struct document doc;
            document_literal(&doc, s->fallback);
            assert_true(doc.root->type == kind->type ||
                        (doc.root->type == DOC_NULL && s->nullable));
            document_deinit(&doc);
        }
    }
}

static void set_example_environment(void)
{
    setenv("CXONE_CLIENT_ID", "id", 1);
    setenv("CXONE_CLIENT_SECRET", "secret", 1);
    setenv("CXONE_STREAM_ID", "42", 1);
    setenv("CXSINK_PG_DSN", "", 1);
    unsetenv("CXONE_STREAM_URL");
    unsetenv("CXONE_TOKEN_URL");
}

static void the_example_loads(void **state)
{
    (void)state;
    struct config_faults faults;
    set_example_environment();
    struct config *c = config_load(EXAMPLE, &faults);
    print_faults(&faults);
    assert_non_null(c);
    assert_string_equal(c->streams->url, "wss://api.cxp.cxone.com/data-actions/v1/stream/42");
    assert_int_equal(access(c->streams->schema, R_OK), 0);
    assert_int_equal(c->streams->auth, 0);
    assert_int_equal(c->tables->n_columns, 9);
    assert_int_equal(c->tables->n_update, 6);
    assert_string_equal(c->tables->touch, "updated_at");
    config_free(&c);
    config_faults_free(&faults);
}

static void the_example_names_what_is_not_set(void **state)
{
    (void)state;
    struct config_faults faults;
    unsetenv("CXONE_CLIENT_ID");
    unsetenv("CXONE_CLIENT_SECRET");
    unsetenv("CXONE_STREAM_ID");
    unsetenv("CXSINK_PG_DSN");
    assert_null(config_load(EXAMPLE, &faults));
    assert_int_equal(faults.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(faults.items[i].message, "is not set; set it"));
    config_faults_free(&faults);
}

static void the_example_cut_anywhere_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct buf text = {0};
    set_example_environment();
    read_whole(EXAMPLE, &text);
    size_t end = text.len;
    while (text.data[end - 1] != '}')
        end--;
    for (size_t length = 0; length < end; length++) {
        load_bytes(f, text.data, length);
        assert_int_equal(f->faults.count, 1);
        assert_true(f->faults.items[0].line > 0);
    }
    load_bytes(f, text.data, end);
    assert_non_null(f->config);
    buf_deinit(&text);
}

// Whatever stands anywhere: faults or a configuration, and nothing else (for the sanitizers).
static void the_example_with_any_byte_changed(void **state)
{
    static const char others[] = "\"{}[]:,\\/* 0\n\x80\xff$";
    struct fixture *f = *state;
    struct buf text = {0};
    set_example_environment();
    read_whole(EXAMPLE, &text);
    for (size_t at = 0; at < text.len; at++) {
        char kept = text.data[at];
        text.data[at] = others[at % sizeof(others)]; // its NUL too
        load_bytes(f, text.data, text.len);
        text.data[at] = kept;
    }
    buf_deinit(&text);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(the_schema_is_as_printed),
        cmocka_unit_test(the_reference_is_as_printed),
        cmocka_unit_test(the_manual_page_is_as_printed),
        cmocka_unit_test(the_schema_is_json_of_known_keywords),
        cmocka_unit_test(the_example_loads),
        cmocka_unit_test(the_example_names_what_is_not_set),
        with_files(the_example_cut_anywhere_is_a_fault),
        with_files(the_example_with_any_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
