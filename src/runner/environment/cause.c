#include "runner/environment/cause.h"

#include <string.h>

#include "base/attributes.h"

static const struct cause home_full = {"HomeFull",
                                       "there was no room left for the owner's files: delete some in safe mode"};
static const struct cause home_not_writable = {
    "HomeNotWritable",
    "the owner's files, or some of them, may not be written by their owner: they belong to another user"};
static const struct cause module_shadowed = {
    "ModuleShadowed", "a package in ~/.local/lib stands in for one that the program needs: remove it in safe mode"};
static const struct cause configuration_broken = {
    "ConfigurationBroken",
    "what is configured in the home (~/.jupyter, ~/.local/share) is broken: remove it in safe mode"};
static const struct cause start_hangs = {"StartHangs", "it hung while it started"};

/* Both words stand in one line. What says more comes first; our own images say it in a line «open-hydra: REASON: …». */
static const struct {
    const char *words[2];
    const struct cause *cause;
} signs[] = {
    {{"open-hydra: HomeFull: ", ""}, &home_full},
    {{"open-hydra: HomeNotWritable: ", ""}, &home_not_writable},
    {{"File \"", "/.local/lib/python"}, &module_shadowed},
    {{"No space left on device", ""}, &home_full},
    {{"no space left on device", ""}, &home_full},
    {{"Disk quota exceeded", ""}, &home_full},
    {{"disk quota exceeded", ""}, &home_full},
    {{"database or disk is full", ""}, &home_full},
    {{"Bad config encountered", ""}, &configuration_broken},
    {{"TraitError", ""}, &configuration_broken},
    {{"File \"", "/.jupyter/"}, &configuration_broken},
    {{"SyntaxError", "settings.json"}, &configuration_broken},
    {{"are mutually exclusive", "--port"}, &configuration_broken},
    {{"certfile", "does not exist"}, &configuration_broken},
    {{"PermissionError", "/home/"}, &home_not_writable},
    {{"permission denied", "/home/"}, &home_not_writable},
    {{"Permission denied", "/home/"}, &home_not_writable},
    {{"Read-only file system", "/home/"}, &home_not_writable},
    {{"open-hydra: ConfigurationBroken: ", ""}, &configuration_broken},
    {{"Timeout (", ")!"}, &start_hangs}, /* Python's faulthandler */
};

static bool holds(struct str line, const char *word)
{
    return *word == '\0' || memmem(line.p, line.n, word, strlen(word)) != NULL;
}

static bool shows(struct str words, const char *const sign[2])
{
    struct str line;

    while (str_split(&words, '\n', &line))
        if (holds(line, sign[0]) && holds(line, sign[1]))
            return true;
    return false;
}

const struct cause *cause_in(struct str words)
{
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (shows(words, signs[i].words))
            return signs[i].cause;
    return NULL;
}
