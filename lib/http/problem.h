/*
 * problem: the names of the codes that problems (RFC 9457) are told with.
 *
 * Pure. Private to lib/http.
 */
#ifndef OW_HTTP_PROBLEM_H
#define OW_HTTP_PROBLEM_H

/* "Not Found". */
const char *ow_http_problem_title(int code);

#endif
