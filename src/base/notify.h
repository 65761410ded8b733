#pragma once

/*
 * Tells the service manager that started us (systemd's documented protocol, sd_notify(3)) when we are ready. Without
 * one that asked for it, nothing happens.
 */

/* At the start of main(): takes the request out of the environment, so that no child answers in our place. */
void notify_take(void);
void notify_ready(void);
