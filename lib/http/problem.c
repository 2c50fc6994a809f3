#include "http/problem.h"

#include "http/server.h"

#include <jansson.h>

#include <stdlib.h>

const char *ow_http_problem_title(int code)
{
    static const struct {
        int code;
        const char *title;
    } titles[] = {
        {400, "Bad Request"           },
        {404, "Not Found"             },
        {405, "Method Not Allowed"    },
        {409, "Conflict"              },
        {413, "Content Too Large"     },
        {415, "Unsupported Media Type"},
        {500, "Internal Server Error" },
        {503, "Service Unavailable"   },
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].code == code) {
            return titles[i].title;
        }
    }
    OW_IMPOSSIBLE("a code that no problem has");
}

void ow_http_reply_problem(struct ow_http_reply *reply, int code, const char *detail, int exit_code)
{
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:i}", "type", "about:blank", "title",
                                ow_http_problem_title(code), "status", code, "detail", detail,
                                "exit_code", exit_code);
    /* A detail may quote a path that is not UTF-8: then there is none. */
    if (problem == NULL) {
        problem = json_pack("{s:s, s:s, s:i, s:i}", "type", "about:blank", "title",
                            ow_http_problem_title(code), "status", code, "exit_code", exit_code);
    }
    char *text = json_dumps(problem, JSON_COMPACT);
    OW_INVARIANT(text != NULL);
    reply->code = code;
    reply->type = "application/problem+json";
    ow_buffer_clear(&reply->body);
    ow_buffer_text(&reply->body, text);
    ow_buffer_byte(&reply->body, '\n');
    free(text);
    json_decref(problem);
}
