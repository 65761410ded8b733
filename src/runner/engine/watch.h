#pragma once

/* The one thread of an engine; `arg` is the struct engine. */
void *engine_watch(void *arg);
