#pragma once

struct store;

/* Drops events that are too many or too old from memory; with the write lock held, or before anybody reads. */
void store_trim(struct store *s);
