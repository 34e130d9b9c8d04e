// SPDX-License-Identifier: Apache-2.0
// The manual page says of each command what its --help says: config/man/cxsink.1 has a subsection
// "cxsink COMMAND" for each, with the same options and the same verbs; and the commands take what
// their help names. Runs at the top of the source tree.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/daemon.h"
#include "cli/commands.h"
#include "core/buf.h"
#include "core/fsio.h"
#include "core/mem.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE "config/man/cxsink.1"
#define SECTION ".Ss cxsink "
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

// --- sets of words -------------------------------------------------------------------------------

struct words {
    size_t n;
    char list[64][40];
};

static bool has(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->n; i++) {
        if (strcmp(words->list[i], word) == 0)
            return true;
    }
    return false;
}

static void add(struct words *words, const char *text, size_t length)
{
    char word[sizeof(words->list[0])];
    assert_true(length > 0 && length < sizeof(word));
    snprintf(word, sizeof(word), "%.*s", (int)length, text);
    if (has(words, word))
        return;
    assert_true(words->n < sizeof(words->list) / sizeof(words->list[0]));
    strcpy(words->list[words->n++], word);
}

// Told for all that are missing, before the test fails; returns how many.
static unsigned missing(const struct words *from, const struct words *in, const char *command,
                        const char *what)
{
    static const char common[] = " --config -c --help -h --version "; // described once, in OPTIONS
    unsigned n = 0;
    for (size_t i = 0; i < from->n; i++) {
        char padded[sizeof(from->list[0]) + 2];
        snprintf(padded, sizeof(padded), " %s ", from->list[i]);
        if (has(in, from->list[i]) || strstr(common, padded) != NULL)
            continue;
        print_error("cxsink %s: %s %s\n", command, from->list[i], what);
        n++;
    }
    return n;
}

// --- the help ------------------------------------------------------------------------------------

// Runs the command; what it writes is returned, to be freed.
static char *output_of(const struct cli_command *command, char **argv, int argc, int *code_r)
{
    struct buf text = {0};
    int file = memfd_create("output", MFD_CLOEXEC);
    fflush(NULL);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    *code_r = command->fn(argc, argv);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    ssize_t n = pread(file, buf_reserve(&text, 65536), 65536, 0);
    text.len = n > 0 ? (size_t)n : 0;
    close(file);
    close(out);
    close(err);
    return buf_text(&text) != NULL ? text.data : NULL;
}

static char *help_of(const struct cli_command *command)
{
    char name[32], option[] = "--help";
    int code;
    snprintf(name, sizeof(name), "%s", command->name);
    char *text = output_of(command, (char *[]){name, option, NULL}, 2, &code);
    assert_int_equal(code, EXIT_DONE);
    assert_memory_equal(text, "usage: cxsink ", 14);
    return text;
}

// "--json", and "-j" where it stands as in "-j, --jobs".
static void help_options(const char *help, struct words *out)
{
    for (const char *at = strchr(help, '-'); at != NULL; at = strchr(at + 1, '-')) {
        bool begins = at > help && strchr(" [|(`\n", at[-1]) != NULL;
        size_t length = strspn(at + 2, LETTERS "-");
        if (begins && at[1] == '-' && length > 0)
            add(out, at, length + 2);
        else if (begins && isalpha((unsigned char)at[1]) && at[2] == ',')
            add(out, at, 2);
    }
}

// The lower-case words behind the command in its usage lines: "cxsink spool stat|verify".
static void help_verbs(const char *help, const char *command, struct words *out)
{
    char start[48];
    snprintf(start, sizeof(start), " cxsink %s ", command);
    for (const char *at = strstr(help, start); at != NULL; at = strstr(at + 1, start)) {
        const char *word = at + strlen(start);
        for (size_t n = strspn(word, LETTERS); n > 0; n = strspn(word, LETTERS)) {
            add(out, word, n);
            word += n;
            word += *word == '|';
        }
    }
}

// --- the manual page -----------------------------------------------------------------------------

static char *read_page(void)
{
    struct buf page = {0};
    struct status st = {0};
    if (fsio_read_file(PAGE, 1 << 20, &page, &st) != STATUS_OK)
        fail_msg("%s (run at the top of the source tree)", st.detail);
    return buf_text(&page) != NULL ? page.data : NULL;
}

// The command's subsection alone, to be freed; NULL: it has none.
static char *section_of(const char *page, const char *command)
{
    char *heading = mem_printf("\n" SECTION "%s\n", command);
    const char *start = strstr(page, heading);
    free(heading);
    if (start == NULL)
        return NULL;
    const char *end = strstr(start + 1, "\n.S");
    return mem_strndup(start, end != NULL ? (size_t)(end - start) : strlen(start));
}

// The arguments of the macros Fl and Cm (mdoc(7)): options and verbs.
static void page_words(char *section, struct words *options, struct words *verbs)
{
    char *line_state = NULL;
    for (char *line = strtok_r(section, "\n", &line_state); line != NULL;
         line = strtok_r(NULL, "\n", &line_state)) {
        struct words *to = NULL;
        bool item = strncmp(line, ".It ", 4) == 0;
        char *state = NULL;
        for (char *word = *line == '.' ? strtok_r(line + 1, " ", &state) : NULL; word != NULL;
             word = strtok_r(NULL, " ", &state)) {
            if (isupper((unsigned char)word[0]) && islower((unsigned char)word[1])) {
                to = strcmp(word, "Fl") == 0 ? options : NULL;
                to = strcmp(word, "Cm") == 0 && item ? verbs : to;
            } else if (to != NULL && isalpha((unsigned char)word[word[0] == '-'])) {
                char *text = mem_printf("%s%s", to == options ? "-" : "", word);
                add(to, text, strlen(text));
                free(text);
            }
        }
    }
}

// --- the tests -----------------------------------------------------------------------------------

static unsigned compare(const struct cli_command *command, const char *page)
{
    struct words *words = mem_zalloc(4 * sizeof(*words));
    struct words *said = &words[0], *verbs = &words[1], *written = &words[2], *items = &words[3];
    unsigned faults = 1;
    char *help = help_of(command);
    char *section = section_of(page, command->name);
    help_options(help, said);
    help_verbs(help, command->name, verbs);
    if (section == NULL) {
        print_error("cxsink %s: no subsection \"" SECTION "%s\" in " PAGE "\n", command->name,
                    command->name);
    } else {
        page_words(section, written, items);
        faults = missing(said, written, command->name, "is in its help, not in " PAGE) +
                 missing(written, said, command->name, "is in " PAGE ", not in its help") +
                 missing(verbs, items, command->name, "is in its help, no \".It Cm\" of " PAGE);
        for (size_t i = 0; i < items->n; i++) { // those of options are their values
            if (verbs->n > 0 && strstr(help, items->list[i]) == NULL) {
                print_error("cxsink %s: %s is in " PAGE ", not in its help\n", command->name,
                            items->list[i]);
                faults++;
            }
        }
    }
    free(section);
    free(help);
    free(words);
    return faults;
}

static void the_page_says_what_the_help_says(void **state)
{
    (void)state;
    char *page = read_page();
    unsigned faults = 0;
    for (size_t i = 0; i < cli_commands_count; i++)
        faults += compare(&cli_commands[i], page);
    free(page);
    assert_int_equal(faults, 0);
}

static bool is_command(const char *name, size_t length)
{
    for (size_t i = 0; i < cli_commands_count; i++) {
        if (strlen(cli_commands[i].name) == length &&
            strncmp(cli_commands[i].name, name, length) == 0)
            return true;
    }
    return false;
}

static void the_page_has_no_other_command(void **state)
{
    (void)state;
    char *page = read_page();
    size_t n = 0;
    for (const char *at = strstr(page, SECTION); at != NULL; at = strstr(at + 1, SECTION)) {
        const char *name = at + strlen(SECTION);
        if (!is_command(name, strcspn(name, "\n")))
            fail_msg("%.*s: there is no such command", (int)strcspn(at, "\n"), at);
        n++;
    }
    assert_int_equal(n, cli_commands_count);
    free(page);
}

// With a value that it takes, or with none; --help behind it ends the command.
static bool takes(const struct cli_command *command, const char *option)
{
    static const char *const values[] = {
        "=1",    "=1s",         "=1KiB",
        "=text", "=assert",     "=off",
        "=7",    "=2020-01-01", "=http://x=/dev/null",
        "",
    };
    bool taken = false;
    for (size_t i = 0; !taken && i < sizeof(values) / sizeof(values[0]); i++) {
        char name[32], help[] = "--help";
        int code;
        snprintf(name, sizeof(name), "%s", command->name);
        char *given = mem_printf("%s%s", option, option[1] == '-' ? values[i] : "");
        char *text = output_of(command, (char *[]){name, given, help, NULL}, 3, &code);
        taken = code == EXIT_DONE && strncmp(text, "usage: ", 7) == 0;
        free(text);
        free(given);
    }
    return taken;
}

static void commands_take_what_their_help_names(void **state)
{
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < cli_commands_count; i++) {
        struct words *options = mem_zalloc(sizeof(*options));
        char *help = help_of(&cli_commands[i]);
        help_options(help, options);
        for (size_t k = 0; k < options->n; k++) {
            if (options->list[k][1] == '-' && !takes(&cli_commands[i], options->list[k]))
                fail_msg("cxsink %s does not take %s", cli_commands[i].name, options->list[k]);
        }
        n += options->n;
        free(help);
        free(options);
    }
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_what_the_help_says),
        cmocka_unit_test(the_page_has_no_other_command),
        cmocka_unit_test(commands_take_what_their_help_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
