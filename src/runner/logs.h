#pragma once

#include "http/http.h"
#include "runner/runtime/runtime.h"

/* What the server asks the runner of a device's environment, by the device's uid, as kube-apiserver asks a kubelet:
 *   GET /devices/UID/log?follow=true&tailLines=N   plain text, as it comes
 *   GET /devices/UID/usage                         {"memoryBytes", "memoryLimitBytes", "cpuNanoseconds", "pids"}
 *   GET /healthz */
struct logs;
struct logs *logs_start(int listen_fd, uid_t server_uid, struct runtime *runtime, struct error **err) _must_check_;
void logs_stop(struct logs *l);
