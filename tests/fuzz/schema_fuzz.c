// SPDX-License-Identifier: Apache-2.0
// schema/compile over any bytes: it compiles, or says where and why not. The first byte chooses the
// options.
#include "fuzz.h"

#include "schema/compile.h"

#define FAULTS_MAX 8

static void check_fault(const struct schema_fault *fault, const char *text, size_t size)
{
    unsigned lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    FUZZ_CHECK(fault->line >= 1 && fault->line <= lines && fault->column >= 1, "%u:%u: %s",
               fault->line, fault->column, fault->message);
    FUZZ_CHECK(fault->message[0] != '\0', "no sentence");
    FUZZ_CHECK(fault->pointer[0] == '\0' || fault->pointer[0] == '/', "%s", fault->pointer);
    FUZZ_CHECK(memchr(fault->pointer, '\0', sizeof(fault->pointer)) != NULL, "%s", fault->message);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct schema_fault list[FAULTS_MAX];
    struct schema_faults faults = {.list = list, .max = FAULTS_MAX};
    struct schema *schema = NULL;

    if (size == 0)
        return 0;
    struct schema_options options = {.draft = (enum schema_draft)(data[0] % 5),
                                     .annotate_formats = (data[0] & 8) != 0,
                                     .strict = (enum schema_strict)(data[0] / 16 % 3)};
    char *text = fuzz_copy(data + 1, size - 1);
    enum status_code code = schema_compile_with(&options, text, size - 1, &faults, &schema);
    FUZZ_CHECK((code == STATUS_OK) == (schema != NULL), "%d", code);
    FUZZ_CHECK((code == STATUS_OK) == (faults.count == 0), "%zu", faults.count);
    for (size_t i = 0; i < faults.count && i < FAULTS_MAX; i++)
        check_fault(&list[i], text, size - 1);
    schema_destroy(&schema);
    free(text);
    return 0;
}
