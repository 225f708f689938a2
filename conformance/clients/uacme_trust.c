/* Loaded before libcurl's caller: gives every transfer the root in CONFORMANCE_ROOT. uacme 1.7.4 cannot be told a root (1.7.6 can:
   UACME_CAINFO), and libcurl reads none from the environment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

enum { kCurloptCainfo = 10065 }; /* part of libcurl's ABI */

extern int curl_easy_setopt(void *handle, int option, ...);

int curl_easy_perform(void *handle) {
  int (*perform)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "curl_easy_perform");
  curl_easy_setopt(handle, kCurloptCainfo, getenv("CONFORMANCE_ROOT"));
  return perform(handle);
}
