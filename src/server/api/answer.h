#pragma once

#include "server/api/operation.h"

/*
 * An operation that is owed its answer, as a verb or a subresource's handler (hooks.h) sees it: it is answered by one
 * of the last three, once, at once or later from any thread, and is gone then.
 */
struct request;
const struct operation *request_operation(const struct request *r);
/* gone(arg) is called where nobody waits for the answer any more, from a thread of another's: as http_on_gone. The
 * answer is still owed. */
void request_on_gone(struct request *r, void (*gone)(void *arg), void *arg);
/* Takes the body of a subresource that streams, once; the answer is given after the sink's last call, or from within it. */
void request_receive(struct request *r, struct sink *s);
void request_add_header(struct request *r, const char *name, const char *value);

void request_reply(struct request *r, unsigned code, const char *media_type, struct str body); /* copies */
/* close may be called before this returns. */
void request_stream(struct request *r, unsigned code, const char *media_type, struct source *s);
/* A Status; takes the error. */
void request_fail(struct request *r, struct error *err);
