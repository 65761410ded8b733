#pragma once

#include "server/hooks/content.h"

/*
 * A data set or a course in as many requests as it takes: tus 1.0 (https://tus.io/protocols/resumable-upload) at
 * OBJECT/upload, with creation, expiration, termination and checksum.
 *
 *     OPTIONS what is spoken, and how large it may be
 *     POST    begins it, and makes the object where there is none; Location says where it goes on
 *     HEAD    how much is here, on disk
 *     PATCH   some more
 *     DELETE  gives it up
 *
 * An object has one at a time, which lies under the object's uid. What has come stays when its sender or the server
 * goes, for two days.
 */
void tus_upload(struct request *r, struct object *object, struct content *content);
