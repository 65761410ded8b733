#include "kinds/ide.h"

#include "base/attributes.h"
#include "base/str.h"

const struct ide ides[] = {
    {NULL, NULL, "jupyterLabUrl"},
    {"vscode", "vscode", "vsCodeUrl"},
};
const size_t ides_len = ARRAY_SIZE(ides);

const struct ide *ide_by_type(const char *type)
{
    for (size_t i = 0; i < ides_len; i++)
        if (streq(ides[i].type, type))
            return &ides[i];
    return &ides[0];
}

const struct ide *ide_by_sandbox(const char *sandbox)
{
    for (size_t i = 0; i < ides_len; i++)
        if (streq(ides[i].sandbox, sandbox))
            return &ides[i];
    return &ides[0];
}
