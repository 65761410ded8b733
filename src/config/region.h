#pragma once

#include <stdbool.h>

/* In which place of the world environments are: time zone and language, as the configuration or this machine says. */

/* A name of the time zone database («Asia/Shanghai»). */
bool is_time_zone_name(const char *name);
/* This machine's, by its /etc below `root` (""); NULL: it says none. The caller frees. */
char *machine_time_zone(const char *root);

/* «zh-CN» of «zh_CN.UTF-8», «zh-CN» or «zh_CN»; NULL: that names no language (C and POSIX are none). The caller frees. */
char *language_tag(const char *text);
/* This machine's, by its environment and its /etc; NULL: it says none. The caller frees. */
char *machine_language(const char *root);
/* What LANG is for it. The images have Chinese, and C.UTF-8 for English; of any other language others may have it. The
 * caller frees. */
char *language_locale(const char *tag);
