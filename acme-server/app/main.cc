#include "acme-server/app/cli/cli.h"

int main(int argc, char** argv) {
  return gatehouse::app::run_command_line(argc, argv);
}
