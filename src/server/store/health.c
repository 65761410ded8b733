#include "server/store/health.h"

#include "base/log.h"
#include "base/thread.h"

/* One line in that time, however many writes are refused. */
#define SAY_AGAIN_US 60000000

void state_init(struct store_state *s)
{
    pthread_mutex_init(&s->lock, NULL);
}

void state_free(struct store_state *s)
{
    error_free(s->failure);
    pthread_mutex_destroy(&s->lock);
}

void state_busy(struct store_state *s, int64_t now_us)
{
    atomic_store(&s->busy_since_us, now_us);
}

void state_idle(struct store_state *s)
{
    atomic_store(&s->busy_since_us, 0);
}

bool state_failing(const struct store_state *s)
{
    return s->failure != NULL;
}

static void say(struct store_state *s, const struct error *err, int64_t now_us)
{
    if (now_us < s->say_after_us) {
        s->unsaid++;
        return;
    }
    if (s->unsaid)
        log_error("%s (%u more since)", err->message, s->unsaid);
    else
        log_error("%s", err->message);
    s->unsaid = 0;
    s->say_after_us = now_us + SAY_AGAIN_US;
}

void state_committed(struct store_state *s, const struct error *err, int64_t now_us)
{
    if (err)
        say(s, err, now_us);
    else if (s->failure)
        log_info("the database can be written to again");
    if (err == NULL && s->failure == NULL)
        return;
    LOCK_SCOPE(&s->lock);
    error_free(s->failure);
    s->failure = NULL;
    if (err)
        error_set(&s->failure, err->reason, "%s", err->message);
}
