/*
 * admin: what a running worker answers: GET /livez, /version, /backup; POST /backup.
 *
 * It has no hand in the store: what needs it is a job of the apply thread (engine/job.h). Threads:
 * _start and _stop are the owner's, the rest the server's. Memory: the caller's struct, until _stop
 * returned true. Failure: as server.h and local.h: a worker goes on without it.
 */
#ifndef OW_HTTP_ADMIN_H
#define OW_HTTP_ADMIN_H

#include "engine/backup_job.h"
#include "engine/worker.h"
#include "http/server.h"

struct ow_http_admin_options {
    const char *socket_path; /* beside the store, whose lock is held */
    const char *version, *commit;
    const char *store_id;
    int64_t epoch;
    struct ow_worker *worker;
    struct ow_clock clock;
};

struct ow_http_admin {
    struct ow_http_admin_options options;
    struct ow_http_server *server; /* NULL: not started */
    pthread_mutex_t lock;          /* of what follows */
    struct ow_backup_job *backup;  /* the one in work, or NULL */
};

enum ow_status ow_http_admin_start(struct ow_http_admin *admin,
                                   const struct ow_http_admin_options *options, struct ow_err *err)
    OW_MUST_USE;
/* Ends the worker's jobs too: nobody could wait for them any more. A zeroed struct is fine. False:
 * see ow_http_server_stop. */
bool ow_http_admin_stop(struct ow_http_admin *admin, int deadline_ms);

#endif
