#pragma once

struct store;

/* The one thread that writes; see store.h for what it is given. */
void writer_start(struct store *s);
void writer_stop(struct store *s); /* after what is queued */
