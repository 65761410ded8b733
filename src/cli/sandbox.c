/* `sandbox`: what helps to write a catalogue entry. Needs no server. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/text.h"
#include "base/yaml_write.h"
#include "cli/command.h"
#include "cli/devcontainer.h"

#define FILE_MAX ((size_t)1 << 20)
#define YAML_ROOM (16 * FILE_MAX)

/* Whoever wrote the file may have written anything. */
static void say_left_out(void *arg, const char *field, const char *why)
{
    _cleanup_free_ char *line = xasprintf("%s: %s", field, why);

    line[text_clean(line, strlen(line), "")] = '\0';
    fprintf(stderr, "left out: %s\n", line);
}

static int from_devcontainer(const char *file, struct error **err)
{
    static const struct left_out left_out = {say_left_out, NULL};
    _cleanup_arena_ struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer out = BUFFER_MAX(YAML_ROOM);
    size_t n;
    _cleanup_free_ char *text = read_file(file, FILE_MAX, &n, err);

    if (text == NULL)
        return -1;
    yyjson_mut_val *object = devcontainer_sandbox(arena, (struct str){text, n}, file, &left_out, err);
    if (object == NULL)
        return -1;
    yaml_write(&out, object);
    if (out.overflow)
        return error_set(err, REASON_INVALID, "%s: too large", file);
    fwrite(out.p, 1, out.n, stdout);
    return fflush(stdout) == 0 ? 0 : error_set(err, REASON_INTERNAL, "standard output takes no more");
}

int command_sandbox(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;

    if (argc != 3 || !streq(argv[1], "from-devcontainer")) {
        fputs(
            "Usage: open-hydra-server sandbox from-devcontainer FILE\n\n"
            "Prints a Sandbox with the image, containerEnv, forwardPorts and postStartCommand of a devcontainer.json, and says\n"
            "what else it leaves out and why. Then: kubectl create -f\n",
            stderr);
        return 2;
    }
    return from_devcontainer(argv[2], &err) < 0 ? command_fail(err) : 0;
}
