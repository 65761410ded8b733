#pragma once

#include "server/api/write.h"

/* Hands on to worker and writer. Whoever calls must not touch the request afterwards. */
void write_start(struct write *w);
/* Refused before it was handed on: the request's answer. Takes the error. */
void write_fail(struct write *w, struct error *err);
/* The server's own, all of it in a transaction that the caller is in. */
int write_run_in_txn(struct write *w, struct store_txn *txn, struct error **err) _must_check_;
