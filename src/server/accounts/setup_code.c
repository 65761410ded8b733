#include "server/accounts/setup_code.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/str.h"
#include "base/thread.h"

#define CODE_BYTES 24

struct setup_code {
    pthread_mutex_t lock;
    char *code; /* NULL: none was asked for */
};

struct setup_code *setup_code_new(void)
{
    struct setup_code *s = xcalloc(1, sizeof(*s));

    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void setup_code_free(struct setup_code *s)
{
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->code);
    free(s);
}

char *setup_code_make(struct setup_code *s)
{
    LOCK_SCOPE(&s->lock);
    if (s->code == NULL)
        s->code = random_token(CODE_BYTES);
    return xstrdup(s->code);
}

bool setup_code_fits(struct setup_code *s, const char *code)
{
    LOCK_SCOPE(&s->lock);
    return s->code && str_equal_secret(str_from(code), str_from(s->code));
}

void setup_code_end(struct setup_code *s)
{
    LOCK_SCOPE(&s->lock);
    free(s->code);
    s->code = NULL;
}
