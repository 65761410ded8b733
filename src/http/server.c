#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "http/steps.h"

/*
 * Who may connect and how many, and a server's start and stop. The listening socket is inherited by the next process,
 * so that it is neither closed nor shut down.
 */

static bool may_connect(const struct http_options *o, int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);

    if (o->peer_uid == (uid_t)-1)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return false;
    if (peer.uid == o->peer_uid || peer.uid == 0)
        return true;
    log_warning("http: refused a connection of user id %u", (unsigned)peer.uid);
    return false;
}

static void admit(struct service *s, int fd)
{
    if (atomic_load(&s->connections) >= s->options.max_connections || !may_connect(&s->options, fd)) {
        close(fd);
        return;
    }
    atomic_fetch_add(&s->connections, 1);
    connection_open(&s->requests, fd);
}

/* Asked again as long as somebody waits. Without a descriptor left, the next round tries again. */
static void on_listener(struct loop_watched *w, uint32_t events)
{
    struct http_server *s = (struct http_server *)(void *)((char *)w - offsetof(struct http_server, listener));

    if (atomic_load(&s->service.stopping))
        return loop_forget(&s->service.requests.loop, s->service.options.listen_fd);
    for (int i = 0; i < 64; i++) {
        int fd = accept4(s->service.options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                usleep(1000);
            return;
        }
        admit(&s->service, fd);
    }
}

static int listen_here(struct http_server *s, struct error **err)
{
    s->listener.on_events = on_listener;
    if (loop_watch(&s->service.requests.loop, s->service.options.listen_fd, EPOLLIN, &s->listener) < 0)
        return error_errno(err, errno, "cannot use the listening socket");
    return 0;
}

static void free_server(struct http_server *s)
{
    lane_free(&s->service.requests);
    lane_free(&s->service.bodies);
    free(s);
}

struct http_server *http_server_start(const struct http_options *options, http_handler *handler, void *arg,
                                      struct error **err)
{
    struct http_server *s = xcalloc(1, sizeof(*s));
    struct service *v = &s->service;

    v->options = *options;
    v->handler = handler;
    v->arg = arg;
    int ok = lane_init(&v->requests, v, err);
    if (lane_init(&v->bodies, v, ok < 0 ? NULL : err) < 0 || ok < 0 || listen_here(s, err) < 0) {
        free_server(s);
        return NULL;
    }
    loop_start(&v->requests.loop, "http");
    loop_start(&v->bodies.loop, "http-bodies");
    return s;
}

void http_server_stop(struct http_server *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->service.stopping, true);
    loop_ask_to_stop(&s->service.requests.loop);
    loop_ask_to_stop(&s->service.bodies.loop);
    loop_join(&s->service.requests.loop);
    loop_join(&s->service.bodies.loop);
    /* One loop may have handed something to the other when that had ended. */
    loop_finish(&s->service.requests.loop);
    loop_finish(&s->service.bodies.loop);
    loop_finish(&s->service.requests.loop);
    free_server(s);
}
