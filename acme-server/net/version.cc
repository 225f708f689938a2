#include "acme-server/net/version.h"

#include <ares.h>

#include "acme-server/base/library_version.h"

namespace gatehouse::net {

LibraryVersion library_version() {
  int number = 0;  // 0xMMmmpp
  ares_version(&number);
  return {.name = "c-ares", .number = {number >> 16, (number >> 8) & 0xff, number & 0xff}};
}

}  // namespace gatehouse::net
