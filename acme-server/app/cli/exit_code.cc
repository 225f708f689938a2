#include "acme-server/app/cli/exit_code.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <system_error>

#include "acme-server/app/commands/commands.h"
#include "acme-server/base/transient_error.h"

namespace gatehouse::app {
namespace {

constexpr std::array kPassing = {std::errc::no_space_on_device,
                                 std::errc::too_many_files_open,
                                 std::errc::too_many_files_open_in_system,
                                 std::errc::no_buffer_space,
                                 std::errc::not_enough_memory,
                                 std::errc::resource_unavailable_try_again,
                                 std::errc::address_not_available,
                                 std::errc::interrupted};

bool passes(const std::error_code& code) {
  return std::ranges::any_of(kPassing, [&](std::errc each) { return code == each; }) ||
         code == std::error_code(EDQUOT, std::generic_category());
}

}  // namespace

int exit_code_of(const std::exception& failure) {
  if (dynamic_cast<const TransientError*>(&failure) != nullptr) return kFailed;
  if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr) return kFailed;
  const auto* const system = dynamic_cast<const std::system_error*>(&failure);
  return system != nullptr && passes(system->code()) ? kFailed : kRefused;
}

}  // namespace gatehouse::app
