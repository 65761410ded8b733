/* What the last words of a start that failed show. They are those of the real programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attributes.h"
#include "runner/environment/cause.h"

static const struct {
    const char *words, *reason;
} table[] = {
    {"", NULL},
    {"last words\n", NULL},
    {"open-hydra: HomeFull: /home/student: No space left on device\nTraceback\nAssertionError\n", "HomeFull"},
    {"sqlite3.OperationalError: database or disk is full\n", "HomeFull"},
    {"OSError: [Errno 28] No space left on device: '/home/student/.local'\n", "HomeFull"},
    {"OSError: [Errno 122] Disk quota exceeded\n", "HomeFull"},
    {"Error: ENOSPC: no space left on device, mkdir '/home/coder/.local'\n", "HomeFull"},
    {"Error: EDQUOT: disk quota exceeded, write\n", "HomeFull"},
    {"open-hydra: HomeNotWritable: /home/student: Permission denied\n", "HomeNotWritable"},
    {"PermissionError: [Errno 13] Permission denied: '/home/jovyan/.local'\n", "HomeNotWritable"},
    {"Error: EACCES: permission denied, mkdir '/home/coder/.config'\n", "HomeNotWritable"},
    {"OSError: [Errno 30] Read-only file system: '/home/student/.jupyter'\n", "HomeNotWritable"},
    /* Not the home. */
    {"PermissionError: [Errno 13] Permission denied: '/opt/x'\n", NULL},
    {"Traceback (most recent call last):\n  File \"/home/a/.local/lib/python3.13/site-packages/tornado/x.py\", line 1\n"
     "ImportError: no\n",
     "ModuleShadowed"},
    {"Options --port and --sock are mutually exclusive. Aborting.\n", "ConfigurationBroken"},
    {"ValueError: certfile \"/home/student/mycert.pem\" does not exist\n", "ConfigurationBroken"},
    {"[C] Bad config encountered during initialization: The 'checkpoints_class' trait …\n", "ConfigurationBroken"},
    {"traitlets.traitlets.TraitError: The 'port' trait\n", "ConfigurationBroken"},
    {"  File \"/home/jovyan/.jupyter/jupyter_server_config.py\", line 2\nNameError: x\n", "ConfigurationBroken"},
    {"open-hydra: ConfigurationBroken: /home/student/.jupyter/a.json is not read\n", "ConfigurationBroken"},
    /* What was left out is no cause. */
    {"open-hydra: SettingIgnored: /home/student/.jupyter/a.py: ServerApp.port is not taken from a home\n", NULL},
    {"open-hydra: KernelIgnored: /home/student/.local/share/jupyter/kernels/python3 is left out\n", NULL},
    {"Timeout (0:02:00)!\nThread 0x0000 (most recent call first):\n", "StartHangs"},
    /* What says more comes first, wherever it stands. */
    {"open-hydra: ConfigurationBroken: x\nOSError: [Errno 28] No space left on device\n", "HomeFull"},
    /* Both words stand in one line. */
    {"File \"/opt/x.py\"\nsee ~/.local/lib/python3.13\n", NULL},
};

static void test_table(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct cause *found = cause_in(str_from(table[i].words));
        if (!same_text(found ? found->reason : NULL, table[i].reason))
            fail_msg("%s: %s", table[i].words, found ? found->reason : "nothing");
    }
}

static void test_words_of_nobody(void **state)
{
    assert_null(cause_in((struct str){NULL, 0}));
    assert_null(cause_in((struct str){"\0\xff File \"\0", 10}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_words_of_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
