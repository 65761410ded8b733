#pragma once

#include "http/connection.h"

struct http_server {
    struct service service;
    struct loop_watched listener;
};
