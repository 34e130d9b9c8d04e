// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include "app/daemon.h"
#include "cli/common.h"
#include "config/suggest.h"
#include "config/units.h"
#include "core/mem.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What getopt_long returns for the first of the list; above every letter.
#define FIRST 256
#define COUNT_DIGITS_MAX 15

static int store_count(const struct cli_options *options, const struct cli_option *option,
                       long long *count_r)
{
    size_t digits = strspn(optarg, "0123456789");
    *count_r =
        digits > 0 && digits <= COUNT_DIGITS_MAX && optarg[digits] == '\0' ? atoll(optarg) : 0;
    if (*count_r > 0)
        return CLI_GO_ON;
    return cli_usage_error(options->command, "--%s takes a whole number above 0, not \"%s\"",
                           option->name, optarg);
}

static int store_duration(const struct cli_options *options, const struct cli_option *option,
                          int64_t *us_r)
{
    if (units_duration_parse(optarg, us_r) && *us_r > 0)
        return CLI_GO_ON;
    return cli_usage_error(options->command, "--%s takes a duration such as 90s or 5m, not \"%s\"",
                           option->name, optarg);
}

static int store(const struct cli_options *options, const struct cli_option *option, void *target)
{
    void *field = (char *)target + option->offset;
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return CLI_GO_ON;
    case CLI_TEXT:
        *(const char **)field = optarg;
        return CLI_GO_ON;
    case CLI_COUNT:
        return store_count(options, option, field);
    default:
        return store_duration(options, option, field);
    }
}

static const struct cli_option *find(const struct cli_options *options, int returned)
{
    for (size_t i = 0; i < options->n; i++) {
        if (returned == FIRST + (int)i || (returned == options->list[i].letter && returned != 0))
            return &options->list[i];
    }
    return NULL;
}

const char *cli_suggestion(const char *wrong, const void *known, size_t n, size_t size,
                           char room[CLI_SUGGESTION_SIZE])
{
    struct suggest names;
    suggest_init(&names, wrong);
    for (size_t i = 0; i < n; i++)
        suggest_consider(&names,
                         *(const char *const *)(const void *)((const char *)known + i * size));
    const char *sentence = suggest_sentence(&names);
    bool any = sentence[0] != '\0';
    snprintf(room, CLI_SUGGESTION_SIZE, "%s%s%s", any ? " (" : "", sentence, any ? ")" : "");
    suggest_deinit(&names);
    return room;
}

static int unknown_option(const char *command, const struct option *longs, const char *word)
{
    char room[CLI_SUGGESTION_SIZE];
    size_t n = 0;
    while (longs[n].name != NULL)
        n++;
    return cli_usage_error(
        command, "unknown option \"%s\"%s", word,
        cli_suggestion(word + strspn(word, "-"), longs, n, sizeof(longs[0]), room));
}

int cli_option_fault(const char *command, const struct option *longs, char *const *argv,
                     int returned)
{
    const char *word = argv[optind - 1];
    bool is_long = strncmp(word, "--", 2) == 0;
    char letter[] = {'-', (char)optopt, '\0'};
    if (returned == ':')
        return cli_usage_error(command, "%s needs a value", is_long ? word : letter);
    if (optopt == 0)
        return unknown_option(command, longs, word);
    if (is_long && strchr(word, '=') != NULL)
        return cli_usage_error(command, "%.*s takes no value", (int)strcspn(word, "="), word);
    return cli_usage_error(command, "unknown option \"%s\"", letter);
}

static int take(const struct cli_options *options, int returned, void *target)
{
    const struct cli_option *option = find(options, returned);
    if (option != NULL)
        return store(options, option, target);
    fputs(options->help, stdout);
    return EXIT_DONE;
}

int cli_options_read(const struct cli_options *options, int argc, char **argv, void *target)
{
    struct option *longs = mem_zalloc((options->n + 2) * sizeof(*longs));
    struct buf letters = {0};
    int code = CLI_GO_ON;
    int returned;
    optind = 0; // from the beginning, also a second time
    opterr = 0;
    buf_append_text(&letters, ":h");
    for (size_t i = 0; i < options->n; i++) {
        const struct cli_option *o = &options->list[i];
        int argument = o->type == CLI_FLAG ? no_argument : required_argument;
        longs[i] = (struct option){o->name, argument, NULL, FIRST + (int)i};
        if (o->letter != 0)
            buf_printf(&letters, "%c%s", o->letter, argument == required_argument ? ":" : "");
    }
    longs[options->n] = (struct option){"help", no_argument, NULL, 'h'};
    while (code == CLI_GO_ON &&
           (returned = getopt_long(argc, argv, buf_text(&letters), longs, NULL)) != -1)
        code = returned == '?' || returned == ':'
                   ? cli_option_fault(options->command, longs, argv, returned)
                   : take(options, returned, target);
    buf_deinit(&letters);
    free(longs);
    if (code == CLI_GO_ON && !options->arguments && optind < argc)
        return cli_usage_error(options->command, "takes no argument \"%s\"", argv[optind]);
    return code;
}

static bool is_given(const struct cli_option *option, const void *target)
{
    const void *field = (const char *)target + option->offset;
    switch (option->type) {
    case CLI_FLAG:
        return *(const bool *)field;
    case CLI_TEXT:
        return *(const char *const *)field != NULL;
    case CLI_COUNT:
        return *(const long long *)field > 0;
    default:
        return *(const int64_t *)field > 0;
    }
}

const char *cli_options_misplaced(const struct cli_options *options, const void *target,
                                  unsigned verb)
{
    for (size_t i = 0; i < options->n; i++) {
        const struct cli_option *option = &options->list[i];
        if (option->verbs != 0 && (option->verbs & verb) == 0 && is_given(option, target))
            return option->name;
    }
    return NULL;
}
