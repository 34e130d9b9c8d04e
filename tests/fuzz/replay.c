// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target once over each file of its corpus, as a test: no libFuzzer, any compiler.
//     NAME [FILE...]     without files: all of tests/fuzz/corpus/NAME
#include "fuzz.h"

#include "core/buf.h"
#include "core/fsio.h"

#include <dirent.h>

#define INPUT_MAX (1u << 20)

// Told when a check of the target aborts.
static void run_file(const char *path)
{
    struct buf content = {0};
    struct status st = {0};
    if (fsio_read_file(path, INPUT_MAX, &content, &st) != STATUS_OK) {
        fprintf(stderr, "%s\n", st.detail);
        exit(1);
    }
    fprintf(stderr, "%s\n", path);
    char *input = fuzz_copy(content.data, content.len);
    fuzz_one((const uint8_t *)input, content.len);
    free(input);
    buf_deinit(&content);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int run_corpus(const char *name)
{
    char path[4096];
    struct dirent **entries;
    snprintf(path, sizeof(path), "tests/fuzz/corpus/%s", name);
    int n = scandir(path, &entries, is_input, by_name);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "tests/fuzz/corpus/%s/%s", name, entries[i]->d_name);
        run_file(path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return n;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    int n = argc > 1 ? argc - 1 : run_corpus(name);
    if (n <= 0) {
        fprintf(stderr, "%s: no input in tests/fuzz/corpus (run at the top of the tree)\n", name);
        return 1;
    }
    printf("%s: %d inputs\n[       OK ] %s\n", name, n, name); // as run-unit.sh counts
    return 0;
}
